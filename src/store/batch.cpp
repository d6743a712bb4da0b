#include "store/batch.h"

#include <iterator>

#include "base/failpoint.h"

namespace postern::store {
namespace {

using Commands = std::span<const std::unique_ptr<Command>>;

void finish_all(Commands commands, Commit outcome) {
  for (const auto& command : commands) command->finish(outcome);
}

void append(auto& to, auto from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

[[nodiscard]] KeySet keys_of(Commands commands) {
  KeySet all;
  for (const auto& command : commands) {
    KeySet keys = command->keys();
    append(all.attempts, std::move(keys.attempts));
    append(all.orders, std::move(keys.orders));
    append(all.fact_keys, std::move(keys.fact_keys));
    append(all.messages, std::move(keys.messages));
    append(all.claims, std::move(keys.claims));
    append(all.deliveries, std::move(keys.deliveries));
    append(all.events, std::move(keys.events));
  }
  return all;
}

enum class Written : unsigned char { kYes, kNo, kOneIsAtFault };

/// Begins, plans and writes, short of the commit. On anything but kYes the transaction is undone.
[[nodiscard]] Written write_uncommitted(Engine& engine, RowIds& ids, Commands commands) {
  if (!engine.begin()) return Written::kNo;
  WorkingSet working(ids, commands.size());
  if (!engine.load(keys_of(commands), working)) {
    engine.rollback();
    return Written::kNo;
  }
  for (const auto& command : commands) command->plan(working);
  failpoint("planned");
  const Result<void> written = engine.write(working.take_writes());
  if (written) return Written::kYes;
  engine.rollback();
  return written.error().error_class == ErrorClass::kRejected ? Written::kOneIsAtFault
                                                              : Written::kNo;
}

}  // namespace

void run_batch(Engine& engine, RowIds& ids, Commands commands) {
  switch (write_uncommitted(engine, ids, commands)) {
    case Written::kYes:
      break;
    case Written::kNo:
      finish_all(commands, Commit::kRefused);
      return;
    case Written::kOneIsAtFault:
      if (commands.size() == 1) {
        finish_all(commands, Commit::kRefused);
        return;
      }
      for (std::size_t i = 0; i < commands.size(); ++i) {
        run_batch(engine, ids, commands.subspan(i, 1));
      }
      return;
  }
  failpoint("written");
  if (planted_fault("ack_before_commit")) {
    finish_all(commands, Commit::kDone);
    planted_pause();
    (void)engine.commit();
    return;
  }
  Commit outcome = engine.commit();
  failpoint("committed");
  if (outcome == Commit::kUnknown && planted_fault("unknown_is_done")) outcome = Commit::kDone;
  finish_all(commands, outcome);
  failpoint("finished");
}

}  // namespace postern::store
