#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <memory_resource>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/delivery_set.h"
#include "store/rows.h"

namespace postern::store {

enum class Table : unsigned char {
  kAttempts,
  kOrders,
  kFacts,
  kCallbacks,
  kEvents,
  kDeliveries,
  kIncidents,
  kTries,
  kAudit
};
inline constexpr std::size_t kTables = 9;

/// Gives out row ids, before the rows are written. Numbers of a rolled-back batch are lost.
class RowIds {
 public:
  virtual ~RowIds() = default;
  [[nodiscard]] virtual RowId next(Table table) = 0;
};

/// Names a message that carries no fact.
struct MessageKey {
  AccountName account;
  std::string key;
  friend auto operator<=>(const MessageKey&, const MessageKey&) = default;
};

/// What a command must see, and hold still, before it can plan.
struct KeySet {
  std::vector<core::AttemptKey> attempts;
  std::vector<core::OrderKey> orders;
  std::vector<std::string> fact_keys;
  std::vector<MessageKey> messages;
  std::vector<ClaimKey> claims;
  std::vector<RowId> deliveries;
  std::vector<RowId> events;  ///< for what consumers have said of them
};

/// An event that is there, and what consumers have said of it.
struct KnownEvent {
  RowId id = 0;
  std::vector<AppliedRow> applied;
};

/// Enough of a known callback to judge a copy of it.
struct KnownCallback {
  RowId id = 0;
  std::string digest;
  std::size_t variants = 0;  ///< rows kept with `copy_of` = id
};

/// An order with what the planner asks of it.
struct LoadedOrder {
  OrderRow row;
  std::vector<RowId> attempts;
  std::set<EndpointName> endpoints_busy;  ///< with an unfinished delivery of this order
};

/// Rows to write, in the order in which they may be written.
struct Writes {
  std::vector<NewCallback> callbacks;
  std::vector<RowId> copies;  ///< callbacks whose counter goes up by one, once per entry
  std::vector<OrderRow> orders_new;
  std::vector<OrderRow>
      orders_changed;  ///< by id: sequence, expected, state and what follows from it
  std::vector<AttemptRow> attempts_new;
  std::vector<AttemptRow> attempts_assigned;  ///< by id: order
  std::vector<FactRow> facts;
  std::vector<EventRow> events;
  std::vector<DeliveryRow> deliveries;
  std::vector<DeliveryRow> deliveries_changed;  ///< by id: state, due time, tries, lease, reason
  std::vector<Promotion> deliveries_promoted;   ///< by id: from waiting to ready
  std::vector<TryRow> tries;
  std::vector<IncidentRow> incidents;  ///< insert, or count up the one of same kind and subject
  std::vector<std::pair<core::IncidentKind, std::string>> incidents_resolved;
  std::vector<AuditRow> audit;
  std::vector<AppliedRow> applied;

  [[nodiscard]] bool is_empty() const {
    return callbacks.empty() && copies.empty() && orders_new.empty() && orders_changed.empty() &&
           attempts_new.empty() && attempts_assigned.empty() && facts.empty() && events.empty() &&
           deliveries.empty() && deliveries_changed.empty() && deliveries_promoted.empty() &&
           tries.empty() && incidents.empty() && incidents_resolved.empty() && audit.empty() &&
           applied.empty();
  }
};

/// The part of the store that one batch sees, in memory: what was loaded, and above it what the
/// batch's commands have changed so far. Planners read and change it; the engine then writes
/// `take_writes()` in one database transaction.
///
/// @thread one
class WorkingSet {
 public:
  /// @param commands  how many will plan: room is made for what each of them usually brings
  explicit WorkingSet(RowIds& ids, std::size_t commands = 1);
  WorkingSet(const WorkingSet&) = delete;
  WorkingSet& operator=(const WorkingSet&) = delete;

  // For planners: reading. Pointers stay valid until the next change.
  [[nodiscard]] const AttemptRow* find_attempt(const core::AttemptKey& key) const;
  [[nodiscard]] const AttemptRow& attempt(RowId id) const;
  [[nodiscard]] const LoadedOrder* find_order(const core::OrderKey& key) const;
  [[nodiscard]] const LoadedOrder& order(RowId id) const;
  [[nodiscard]] const FactRow* find_fact(const std::string& key) const;
  /// All facts of an attempt, in the order recorded.
  [[nodiscard]] std::span<const FactRow> facts_of(RowId attempt) const;
  [[nodiscard]] const KnownCallback* find_message(const MessageKey& key) const;
  [[nodiscard]] const KnownCallback* find_callback(RowId id) const;
  [[nodiscard]] const KnownEvent* find_event(RowId id) const;

  // For planners: changing. Ids are given by the set; fields `id` of rows passed in are ignored.
  RowId add_callback(NewCallback callback);
  /// The same for a row that is nobody else's.
  RowId add_callback(CallbackRow row);
  /// Says what became of a callback added by the same command.
  void judge_callback(RowId callback, CallbackOutcome outcome);
  void count_copy(RowId callback);
  RowId add_order(OrderRow row);
  /// Writes back a changed row; its id and key stay.
  void update_order(const OrderRow& row);
  RowId add_attempt(const core::AttemptKey& key, RowId order);
  void assign_attempt(RowId attempt, RowId order);
  RowId add_fact(FactRow row);
  RowId add_event(EventRow row);
  /// Ready if the endpoint owes nothing of the order yet, else waiting behind it.
  void add_delivery(RowId event, RowId order, std::int64_t sequence, const EndpointName& endpoint,
                    TimePoint due_at);
  /// As DeliverySet::update.
  void update_delivery(const DeliveryRow& row, TimePoint now);
  RowId add_try(TryRow row);
  void raise_incident(IncidentRow row);
  void resolve_incident(core::IncidentKind kind, std::string subject);
  RowId add_audit(AuditRow row);
  /// Of a known event, by a consumer who has not said so yet.
  void add_applied(AppliedRow row);

  [[nodiscard]] const DeliverySet& deliveries() const { return deliveries_; }
  /// For engines.
  [[nodiscard]] DeliverySet& deliveries() { return deliveries_; }

  // For engines: loading.
  void put_attempt(AttemptRow row);
  void put_order(LoadedOrder order);
  void put_fact(FactRow row);
  void put_callback(KnownCallback callback);
  void put_message(const MessageKey& key, RowId callback);
  void put_event(KnownEvent event);
  [[nodiscard]] const AttemptRow* find_attempt(RowId id) const;
  [[nodiscard]] bool has_order(RowId id) const { return orders_.contains(id); }
  [[nodiscard]] bool has_callback(RowId id) const { return callbacks_.contains(id); }

  /// Once, at the end: moves the rows out.
  [[nodiscard]] Writes take_writes();

 private:
  // Keys are looked up several times a callback, so none is put together to be looked up.
  struct KeyHash {
    [[nodiscard]] std::size_t operator()(const core::AttemptKey& key) const;
    [[nodiscard]] std::size_t operator()(const core::OrderKey& key) const;
    [[nodiscard]] std::size_t operator()(const MessageKey& key) const;
  };

  RowIds& ids_;
  /// Of the nodes below, some ten a callback, which all go at once.
  std::pmr::monotonic_buffer_resource memory_;
  std::pmr::unordered_map<core::AttemptKey, RowId, KeyHash> attempts_by_key_{&memory_};
  std::pmr::unordered_map<RowId, AttemptRow> attempts_{&memory_};
  std::pmr::unordered_map<core::OrderKey, RowId, KeyHash> orders_by_key_{&memory_};
  std::pmr::unordered_map<RowId, LoadedOrder> orders_{&memory_};
  std::pmr::unordered_map<RowId, std::vector<FactRow>> facts_by_attempt_{&memory_};
  /// The fact's attempt, and its place among that one's facts.
  std::pmr::unordered_map<std::string, std::pair<RowId, std::size_t>> facts_by_key_{&memory_};
  std::pmr::unordered_map<RowId, KnownCallback> callbacks_{&memory_};
  std::pmr::unordered_map<MessageKey, RowId, KeyHash> messages_{&memory_};
  std::map<RowId, KnownEvent> events_;
  std::pmr::set<RowId> orders_new_{&memory_};
  std::pmr::set<RowId> orders_changed_{&memory_};
  std::pmr::set<RowId> attempts_new_{&memory_};
  std::pmr::set<RowId> attempts_assigned_{&memory_};
  DeliverySet deliveries_;
  Writes writes_;
};

}  // namespace postern::store
