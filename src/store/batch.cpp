#include "store/batch.h"

#include <iterator>
#include <vector>

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

struct Asked {
  KeySet keys;
  std::vector<Command*> turns;
};

/// What all commands must see, and in which order they plan: as they were submitted, but claims
/// last. A claim is tried as soon as it is committed, so it must not get what a neighbour in the
/// batch has ended, such as a person who cancels it.
[[nodiscard]] Asked ask(Commands commands) {
  Asked asked;
  asked.turns.reserve(commands.size());
  std::vector<Command*> claiming;
  for (const auto& command : commands) {
    KeySet keys = command->keys();
    (keys.claims.empty() ? asked.turns : claiming).push_back(command.get());
    append(asked.keys.attempts, std::move(keys.attempts));
    append(asked.keys.orders, std::move(keys.orders));
    append(asked.keys.fact_keys, std::move(keys.fact_keys));
    append(asked.keys.messages, std::move(keys.messages));
    append(asked.keys.claims, std::move(keys.claims));
    append(asked.keys.deliveries, std::move(keys.deliveries));
    append(asked.keys.events, std::move(keys.events));
  }
  append(asked.turns, std::move(claiming));
  return asked;
}

enum class Written : unsigned char { kYes, kNo, kOneIsAtFault, kConflict };

/// How often a batch is planned before others that are in its way win.
constexpr int kConflictsMax = 4;

[[nodiscard]] Written judge(const Error& error) {
  if (error.code == kConflict) return Written::kConflict;
  return error.error_class == ErrorClass::kRejected ? Written::kOneIsAtFault : Written::kNo;
}

/// Begins, plans and writes, short of the commit. On anything but kYes the transaction is undone.
[[nodiscard]] Written write_uncommitted(Engine& engine, RowIds& ids, Commands commands) {
  if (!engine.begin()) return Written::kNo;
  WorkingSet working(ids, commands.size());
  const Asked asked = ask(commands);
  if (const Result<void> loaded = engine.load(asked.keys, working); !loaded) {
    engine.rollback();
    return judge(loaded.error());
  }
  for (Command* command : asked.turns) command->plan(working);
  failpoint("planned");
  const Result<void> written = engine.write(working.take_writes());
  if (written) return Written::kYes;
  engine.rollback();
  return judge(written.error());
}

[[nodiscard]] Written write_despite_conflicts(Engine& engine, RowIds& ids, Commands commands) {
  Written written = Written::kConflict;
  for (int i = 0; i < kConflictsMax && written == Written::kConflict; ++i) {
    written = write_uncommitted(engine, ids, commands);
  }
  return written;
}

}  // namespace

void run_batch(Engine& engine, RowIds& ids, Commands commands) {
  switch (write_despite_conflicts(engine, ids, commands)) {
    case Written::kYes:
      break;
    case Written::kNo:
    case Written::kConflict:
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
