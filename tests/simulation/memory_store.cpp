// The engine writes straight into the tables and keeps, for each change, how to take it back; a
// rollback runs these in reverse. Rows are refused for the same reasons as by the real stores.
#include "tests/simulation/memory_store.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/check.h"
#include "base/failpoint.h"
#include "tests/simulation/memory_reader.h"

namespace postern::simulation {
namespace {

using store::Commit;
using store::RowId;
using store::Table;
using store::WorkingSet;
using store::Writes;

[[nodiscard]] std::unexpected<Error> refused(std::string why) {
  return rejected("store_row_refused", std::move(why));
}

[[nodiscard]] bool sums_are_sound(const store::OrderRow& row) {
  if (row.sequence < 0) return false;
  if (row.expected && row.expected->minor() < 0) return false;
  if (row.paid && row.paid->minor() < 0) return false;
  if (!row.refunded) return true;
  return row.paid && row.refunded->currency() == row.paid->currency() &&
         row.refunded->minor() >= 0 && row.refunded->minor() <= row.paid->minor();
}

template <class Row>
[[nodiscard]] RowId last_id(const std::map<RowId, Row>& table) {
  return table.empty() ? 0 : table.rbegin()->first;
}

/// Passes a command on, but no answer once the process is dead.
class Mortal final : public store::Command {
 public:
  Mortal(std::unique_ptr<store::Command> command, std::shared_ptr<const bool> crashed)
      : command_(std::move(command)), crashed_(std::move(crashed)) {}
  store::KeySet keys() const override { return command_->keys(); }
  void plan(WorkingSet& working) override { command_->plan(working); }
  void finish(Commit outcome) noexcept override {
    if (!*crashed_) command_->finish(outcome);
  }

 private:
  std::unique_ptr<store::Command> command_;
  std::shared_ptr<const bool> crashed_;
};

}  // namespace

class MemoryStore::EngineImpl final : public store::Engine, public store::RowIds {
 public:
  EngineImpl(MemoryDisk& disk, const MemoryStoreOptions& options, std::shared_ptr<bool> crashed)
      : disk_(disk),
        outbox_(options.outbox),
        hides_facts_(options.dedupe == MemoryStoreOptions::Dedupe::kCheckThenAct ||
                     planted_fault("check_then_act")),
        crashed_(std::move(crashed)),
        last_ids_{last_id(disk.attempts),  last_id(disk.orders), last_id(disk.facts),
                  last_id(disk.callbacks), last_id(disk.events), last_id(disk.deliveries),
                  last_id(disk.incidents), last_id(disk.tries),  last_id(disk.audit)} {}

  void set_faults(std::function<CommitFault()> faults) { faults_ = std::move(faults); }

  Result<void> begin() override {
    if (failure_) return std::unexpected(*failure_);
    if (*crashed_) return retryable("store_crashed");
    POSTERN_CHECK(undo_.empty());
    return {};
  }

  Result<void> load(const store::KeySet& keys, WorkingSet& working) override {
    for (const core::AttemptKey& key : keys.attempts) {
      const auto found = disk_.attempts_by_key.find(key);
      if (found != disk_.attempts_by_key.end()) load_attempt(found->second, working);
    }
    for (const core::OrderKey& key : keys.orders) {
      const auto found = disk_.orders_by_key.find(key);
      if (found != disk_.orders_by_key.end()) load_order(found->second, working);
    }
    for (const std::string& key : keys.fact_keys) load_fact(key, working);
    for (const store::MessageKey& key : keys.messages) {
      const auto found = disk_.callbacks_by_message.find(key);
      if (found == disk_.callbacks_by_message.end()) continue;
      load_callback(found->second, working);
      working.put_message(key, found->second);
    }
    for (const store::ClaimKey& key : keys.claims) load_claim(key, working);
    for (const RowId id : keys.deliveries) load_delivery(id, working);
    for (const RowId id : keys.events) load_event(id, working);
    return {};
  }

  Result<void> write(const Writes& writes) override {
    fault_ = faults_ ? faults_() : CommitFault::kNone;
    if (fault_ == CommitFault::kRefused) return retryable("store_disk_full");
    for (const store::NewCallback& row : writes.callbacks) {
      POSTERN_RETURN_IF_ERROR(insert_callback(row));
    }
    for (const RowId id : writes.copies) change(disk_.callbacks.at(id).copies, +1);
    POSTERN_RETURN_IF_ERROR(write_orders(writes));
    POSTERN_RETURN_IF_ERROR(write_attempts(writes));
    for (const store::FactRow& row : writes.facts) POSTERN_RETURN_IF_ERROR(insert_fact(row));
    for (const store::EventRow& row : writes.events) {
      if (row.sequence <= 0) return refused("an event's sequence");
      POSTERN_RETURN_IF_ERROR(insert(disk_.events_by_sequence, {row.order, row.sequence}, row.id));
      POSTERN_RETURN_IF_ERROR(insert(disk_.events, row.id, row));
    }
    POSTERN_RETURN_IF_ERROR(write_outbox(writes));
    POSTERN_RETURN_IF_ERROR(write_deliveries(writes));
    for (const store::AuditRow& row : writes.audit) {
      POSTERN_RETURN_IF_ERROR(insert(disk_.audit, row.id, row));
    }
    for (const store::AppliedRow& row : writes.applied) {
      POSTERN_RETURN_IF_ERROR(insert(disk_.applied, {row.event, row.consumer}, row));
    }
    for (const store::IncidentRow& row : writes.incidents) {
      POSTERN_RETURN_IF_ERROR(raise_incident(row));
    }
    for (const auto& [kind, subject] : writes.incidents_resolved) {
      const auto found = disk_.incidents_by_subject.find({subject, kind});
      if (found == disk_.incidents_by_subject.end()) continue;
      store::IncidentRow& row = disk_.incidents.at(found->second);
      keep(row);
      row.state = store::IncidentState::kResolved;
    }
    return {};
  }

  Commit commit() override {
    switch (fault_) {
      case CommitFault::kNone:
      case CommitFault::kRefused:
        undo_.clear();
        return Commit::kDone;
      case CommitFault::kUnknownLost:
        rollback();
        break;
      case CommitFault::kUnknownApplied:
        undo_.clear();
        break;
      case CommitFault::kCrashLost:
        rollback();
        *crashed_ = true;
        return Commit::kUnknown;
      case CommitFault::kCrashApplied:
        undo_.clear();
        *crashed_ = true;
        return Commit::kUnknown;
    }
    failure_ = Error{ErrorClass::kFault, "store_commit_failed", "as the simulator says"};
    return Commit::kUnknown;
  }

  void rollback() override {
    while (!undo_.empty()) {
      undo_.back()();
      undo_.pop_back();
    }
  }

  void tidy() override {}
  const std::optional<Error>& failure() const override { return failure_; }
  RowId next(Table table) override { return ++last_ids_[static_cast<std::size_t>(table)]; }

 private:
  // Loading.

  void load_attempt(RowId id, WorkingSet& working) {
    const store::AttemptRow& attempt = disk_.attempts.at(id);
    if (attempt.order != 0) return load_order(attempt.order, working);
    if (working.find_attempt(attempt.key) != nullptr) return;
    load_facts_of(id, working);
    working.put_attempt(attempt);
  }

  void load_order(RowId id, WorkingSet& working) {
    if (working.has_order(id)) return;
    store::LoadedOrder order{.row = disk_.orders.at(id), .attempts = {}, .endpoints_busy = {}};
    for (auto at = disk_.attempts_by_order.lower_bound({id, 0});
         at != disk_.attempts_by_order.end() && at->first == id; ++at) {
      order.attempts.push_back(at->second);
      load_facts_of(at->second, working);
      working.put_attempt(disk_.attempts.at(at->second));
    }
    for (auto at = disk_.deliveries_by_order.lower_bound({id, 0});
         at != disk_.deliveries_by_order.end() && at->first == id; ++at) {
      const store::DeliveryRow& delivery = disk_.deliveries.at(at->second);
      if (delivery.state == store::DeliveryState::kReady ||
          delivery.state == store::DeliveryState::kWaiting) {
        order.endpoints_busy.insert(delivery.endpoint);
      }
    }
    working.put_order(std::move(order));
  }

  void load_facts_of(RowId attempt, WorkingSet& working) {
    if (hides_facts_) return;
    for (auto at = disk_.facts_by_attempt.lower_bound({attempt, 0});
         at != disk_.facts_by_attempt.end() && at->first == attempt; ++at) {
      working.put_fact(disk_.facts.at(at->second));
    }
  }

  void load_fact(const std::string& key, WorkingSet& working) {
    const auto found = disk_.facts_by_key.find(key);
    if (hides_facts_ || found == disk_.facts_by_key.end()) return;
    const store::FactRow& fact = disk_.facts.at(found->second);
    working.put_fact(fact);
    load_callback(fact.callback, working);
  }

  void load_callback(RowId id, WorkingSet& working) {
    const auto found = disk_.callbacks.find(id);
    if (found == disk_.callbacks.end() || working.has_callback(id)) return;
    const auto first = disk_.callbacks_by_first.lower_bound({id, 0});
    const auto last = disk_.callbacks_by_first.lower_bound({id + 1, 0});
    working.put_callback({.id = id,
                          .digest = found->second.digest,
                          .variants = static_cast<std::size_t>(std::distance(first, last))});
  }

  [[nodiscard]] store::LoadedDelivery with_event(const store::DeliveryRow& row) const {
    return {
        .row = row, .event = disk_.events.at(row.event), .order = disk_.orders.at(row.order).key};
  }

  void load_claim(const store::ClaimKey& key, WorkingSet& working) {
    std::set<std::pair<TimePoint, RowId>> ready;
    for (const auto& [id, row] : disk_.deliveries) {
      if (row.endpoint == key.endpoint && row.state == store::DeliveryState::kReady) {
        ready.emplace(row.due_at, id);
      }
    }
    std::size_t taken = 0;
    for (const auto& [due_at, id] : ready) {
      if (taken++ == key.limit || due_at > key.due_by) {
        return working.deliveries().put_next_due(key.endpoint, due_at);
      }
      working.deliveries().put_claimable(key.endpoint, id);
      working.deliveries().put(with_event(disk_.deliveries.at(id)));
    }
  }

  void load_delivery(RowId id, WorkingSet& working) {
    const auto found = disk_.deliveries.find(id);
    if (found == disk_.deliveries.end()) return;
    working.deliveries().put(with_event(found->second));
    const store::ChainKey key{found->second.order, found->second.endpoint};
    if (working.deliveries().has_chain(key)) return;
    store::Chain chain;
    for (auto at = disk_.deliveries_by_order.lower_bound({key.order, 0});
         at != disk_.deliveries_by_order.end() && at->first == key.order; ++at) {
      const store::DeliveryRow& row = disk_.deliveries.at(at->second);
      if (row.endpoint != key.endpoint) continue;
      if (row.state == store::DeliveryState::kReady) chain.ready.insert(row.id);
      if (row.state == store::DeliveryState::kWaiting) chain.waiting.insert(row.id);
    }
    working.deliveries().put_chain(key, std::move(chain));
  }

  void load_event(RowId id, WorkingSet& working) {
    if (!disk_.events.contains(id)) return;
    store::KnownEvent event{.id = id, .applied = {}};
    for (auto at = disk_.applied.lower_bound({id, {}});
         at != disk_.applied.end() && at->first.first == id; ++at) {
      event.applied.push_back(at->second);
    }
    working.put_event(std::move(event));
  }

  // Writing. Each of these notes how to take its change back.

  template <class Map>
  [[nodiscard]] Result<void> insert(Map& map, const typename Map::key_type& key,
                                    const typename Map::mapped_type& value) {
    if (!map.emplace(key, value).second) return refused("a row with this key exists");
    undo_.emplace_back([&map, key] { map.erase(key); });
    return {};
  }

  void index(MemoryDisk::Pairs& pairs, RowId owner, RowId row) {
    pairs.emplace(owner, row);
    undo_.emplace_back([&pairs, owner, row] { pairs.erase({owner, row}); });
  }

  /// Notes a row as it is, before it is changed in place.
  template <class Row>
  void keep(Row& row) {
    undo_.emplace_back([&row, old = row] { row = old; });
  }

  void change(std::int64_t& count, std::int64_t by) {
    count += by;
    undo_.emplace_back([&count, by] { count -= by; });
  }

  [[nodiscard]] Result<void> insert_callback(const store::NewCallback& row) {
    store::CallbackRow stored = *row.evidence;
    stored.id = row.id;
    stored.outcome = row.outcome;
    stored.copies = 0;
    stored.copy_of = row.copy_of;
    stored.message_key = row.message_key;
    if (!row.message_key.empty()) {
      POSTERN_RETURN_IF_ERROR(insert(disk_.callbacks_by_message,
                                     store::MessageKey{stored.account, row.message_key}, row.id));
    }
    if (row.copy_of != 0) index(disk_.callbacks_by_first, row.copy_of, row.id);
    return insert(disk_.callbacks, row.id, stored);
  }

  [[nodiscard]] Result<void> insert_fact(const store::FactRow& row) {
    const std::string key = core::fact_key(row.fact);
    if (!hides_facts_ || !disk_.facts_by_key.contains(key)) {
      POSTERN_RETURN_IF_ERROR(insert(disk_.facts_by_key, key, row.id));
    }
    index(disk_.facts_by_attempt, row.attempt, row.id);
    return insert(disk_.facts, row.id, row);
  }

  [[nodiscard]] Result<void> write_orders(const Writes& writes) {
    for (const store::OrderRow& row : writes.orders_new) {
      if (!sums_are_sound(row)) return refused("an order's sums");
      POSTERN_RETURN_IF_ERROR(insert(disk_.orders_by_key, row.key, row.id));
      POSTERN_RETURN_IF_ERROR(insert(disk_.orders, row.id, row));
    }
    for (const store::OrderRow& row : writes.orders_changed) {
      if (!sums_are_sound(row)) return refused("an order's sums");
      const auto found = disk_.orders.find(row.id);
      if (found == disk_.orders.end()) return refused("the order does not exist");
      keep(found->second);
      const store::OrderRow old = std::exchange(found->second, row);
      found->second.key = old.key;
      found->second.created_at = old.created_at;
    }
    return {};
  }

  [[nodiscard]] Result<void> write_attempts(const Writes& writes) {
    for (const store::AttemptRow& row : writes.attempts_new) {
      POSTERN_RETURN_IF_ERROR(insert(disk_.attempts_by_key, row.key, row.id));
      POSTERN_RETURN_IF_ERROR(insert(disk_.attempts, row.id, row));
      if (row.order != 0) index(disk_.attempts_by_order, row.order, row.id);
    }
    for (const store::AttemptRow& row : writes.attempts_assigned) {
      const auto found = disk_.attempts.find(row.id);
      if (found == disk_.attempts.end()) return refused("the attempt does not exist");
      if (found->second.order != 0) unindex(disk_.attempts_by_order, found->second.order, row.id);
      keep(found->second);
      found->second.order = row.order;
      index(disk_.attempts_by_order, row.order, row.id);
    }
    return {};
  }

  void unindex(MemoryDisk::Pairs& pairs, RowId owner, RowId row) {
    pairs.erase({owner, row});
    undo_.emplace_back([&pairs, owner, row] { pairs.emplace(owner, row); });
  }

  [[nodiscard]] Result<void> write_outbox(const Writes& writes) {
    const bool is_late = outbox_ == MemoryStoreOptions::Outbox::kNextTransaction;
    std::vector<store::DeliveryRow> rows = writes.deliveries;
    if (is_late) {
      undo_.emplace_back([this, late = outbox_late_] { outbox_late_ = late; });
      rows.swap(outbox_late_);
    }
    for (const store::DeliveryRow& row : rows) {
      POSTERN_RETURN_IF_ERROR(insert(disk_.deliveries, row.id, row));
      index(disk_.deliveries_by_order, row.order, row.id);
    }
    return {};
  }

  [[nodiscard]] Result<void> write_deliveries(const Writes& writes) {
    for (const store::DeliveryRow& row : writes.deliveries_changed) {
      store::DeliveryRow& known = disk_.deliveries.at(row.id);
      keep(known);
      known.state = row.state;
      known.due_at = row.due_at;
      known.tries = row.tries;
      known.lease = row.lease;
      known.reason = row.reason;
    }
    for (const store::Promotion& promotion : writes.deliveries_promoted) {
      store::DeliveryRow& known = disk_.deliveries.at(promotion.delivery);
      if (known.state != store::DeliveryState::kWaiting) continue;
      keep(known);
      known.state = store::DeliveryState::kReady;
      known.due_at = promotion.due_at;
    }
    for (const store::TryRow& row : writes.tries) {
      POSTERN_RETURN_IF_ERROR(insert(disk_.tries, row.id, row));
      index(disk_.tries_by_delivery, row.delivery, row.id);
    }
    return {};
  }

  [[nodiscard]] Result<void> raise_incident(const store::IncidentRow& row) {
    const auto found = disk_.incidents_by_subject.find({row.subject, row.kind});
    if (found == disk_.incidents_by_subject.end()) {
      POSTERN_RETURN_IF_ERROR(
          insert(disk_.incidents_by_subject, std::pair(row.subject, row.kind), row.id));
      return insert(disk_.incidents, row.id, row);
    }
    store::IncidentRow& known = disk_.incidents.at(found->second);
    keep(known);
    if (row.order != 0) known.order = row.order;
    if (row.callback != 0) known.callback = row.callback;
    known.detail = row.detail;
    known.count += row.count;
    known.last_at = row.last_at;
    if (known.state == store::IncidentState::kResolved) known.state = store::IncidentState::kOpen;
    return {};
  }

  MemoryDisk& disk_;
  const MemoryStoreOptions::Outbox outbox_;
  std::vector<store::DeliveryRow> outbox_late_;  // only where that fault is planted
  const bool hides_facts_;
  const std::shared_ptr<bool> crashed_;
  std::function<CommitFault()> faults_;
  CommitFault fault_ = CommitFault::kNone;
  std::array<RowId, store::kTables> last_ids_;
  std::vector<std::move_only_function<void()>> undo_;
  std::optional<Error> failure_;
};

MemoryStore::MemoryStore(MemoryDisk& disk, MemoryStoreOptions options,
                         std::move_only_function<void(Error)> on_failure)
    : disk_(disk),
      options_(options),
      on_failure_(std::move(on_failure)),
      engine_(std::make_unique<EngineImpl>(disk, options_, crashed_)) {}

MemoryStore::~MemoryStore() {
  while (pump()) {
  }
}

void MemoryStore::submit(std::unique_ptr<store::Command> command) {
  if (*crashed_) return;
  if (failed_ || queue_.size() >= options_.queue_max) return command->finish(Commit::kRefused);
  queue_.push_back(std::make_unique<Mortal>(std::move(command), crashed_));
}

Result<std::unique_ptr<store::Reader>> MemoryStore::reader() {
  return make_memory_reader(disk_);
}

bool MemoryStore::pump() {
  if (queue_.empty()) return false;
  const std::size_t size = std::min(queue_.size(), options_.batch_max);
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(size);
  const std::vector<std::unique_ptr<store::Command>> batch(std::make_move_iterator(queue_.begin()),
                                                           std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  store::run_batch(*engine_, *engine_, batch);
  if (*crashed_) {
    queue_.clear();
  } else if (engine_->failure()) {
    fail(*engine_->failure());
  }
  return true;
}

void MemoryStore::set_faults(std::function<CommitFault()> faults) {
  engine_->set_faults(std::move(faults));
}

void MemoryStore::crash() {
  *crashed_ = true;
  queue_.clear();
}

void MemoryStore::fail(const Error& error) {
  if (failed_) return;
  failed_ = true;
  on_failure_(error);
  const std::deque<std::unique_ptr<store::Command>> queued = std::exchange(queue_, {});
  for (const auto& command : queued) command->finish(Commit::kRefused);
}

}  // namespace postern::simulation
