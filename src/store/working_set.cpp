#include "store/working_set.h"

#include <algorithm>

#include "base/check.h"
#include "base/failpoint.h"

namespace postern::store {
namespace {

[[nodiscard]] std::size_t hash_of(std::string_view first, std::string_view second) {
  constexpr std::hash<std::string_view> hash;
  return hash(first) * 31 + hash(second);
}

template <class Map, class Key>
[[nodiscard]] auto* find_in(Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

/// About what the nodes of one callback take.
constexpr std::size_t kNodeBytesUsual = 2048;

}  // namespace

WorkingSet::WorkingSet(RowIds& ids, std::size_t commands)
    : ids_(ids), memory_(commands * kNodeBytesUsual) {
  attempts_by_key_.reserve(commands);
  attempts_.reserve(commands);
  orders_by_key_.reserve(commands);
  orders_.reserve(commands);
  facts_by_attempt_.reserve(commands);
  facts_by_key_.reserve(commands);
  callbacks_.reserve(commands);
  writes_.callbacks.reserve(commands);
  writes_.facts.reserve(commands);
  writes_.events.reserve(commands);
}

std::size_t WorkingSet::KeyHash::operator()(const core::AttemptKey& key) const {
  return hash_of(key.account.text(),
                 key.number);  // Sub-merchants share numbers too rarely to count.
}

std::size_t WorkingSet::KeyHash::operator()(const core::OrderKey& key) const {
  return hash_of(key.merchant.text(), key.id.text());
}

std::size_t WorkingSet::KeyHash::operator()(const MessageKey& key) const {
  return hash_of(key.account.text(), key.key);
}

const AttemptRow* WorkingSet::find_attempt(const core::AttemptKey& key) const {
  const RowId* id = find_in(attempts_by_key_, key);
  return id == nullptr ? nullptr : find_in(attempts_, *id);
}

const AttemptRow* WorkingSet::find_attempt(RowId id) const {
  return find_in(attempts_, id);
}

const AttemptRow& WorkingSet::attempt(RowId id) const {
  const AttemptRow* row = find_attempt(id);
  POSTERN_CHECK(row != nullptr);
  return *row;
}

const LoadedOrder* WorkingSet::find_order(const core::OrderKey& key) const {
  const RowId* id = find_in(orders_by_key_, key);
  return id == nullptr ? nullptr : find_in(orders_, *id);
}

const LoadedOrder& WorkingSet::order(RowId id) const {
  const LoadedOrder* order = find_in(orders_, id);
  POSTERN_CHECK(order != nullptr);
  return *order;
}

const FactRow* WorkingSet::find_fact(const std::string& key) const {
  const auto* place = find_in(facts_by_key_, key);
  return place == nullptr ? nullptr : &facts_by_attempt_.at(place->first)[place->second];
}

std::span<const FactRow> WorkingSet::facts_of(RowId attempt) const {
  const std::vector<FactRow>* facts = find_in(facts_by_attempt_, attempt);
  return facts == nullptr ? std::span<const FactRow>() : std::span<const FactRow>(*facts);
}

const KnownCallback* WorkingSet::find_message(const MessageKey& key) const {
  const RowId* id = find_in(messages_, key);
  return id == nullptr ? nullptr : find_callback(*id);
}

const KnownCallback* WorkingSet::find_callback(RowId id) const {
  return find_in(callbacks_, id);
}

const KnownEvent* WorkingSet::find_event(RowId id) const {
  return find_in(events_, id);
}

RowId WorkingSet::add_callback(NewCallback callback) {
  callback.id = ids_.next(Table::kCallbacks);
  const CallbackRow& evidence = *callback.evidence;
  callbacks_[callback.id] = KnownCallback{.id = callback.id, .digest = evidence.digest};
  if (callback.copy_of != 0) {
    if (KnownCallback* first = find_in(callbacks_, callback.copy_of)) ++first->variants;
  }
  if (!callback.message_key.empty()) {
    messages_[MessageKey{evidence.account, callback.message_key}] = callback.id;
  }
  writes_.callbacks.push_back(std::move(callback));
  return writes_.callbacks.back().id;
}

RowId WorkingSet::add_callback(CallbackRow row) {
  NewCallback callback{.evidence = nullptr,
                       .outcome = row.outcome,
                       .copy_of = row.copy_of,
                       .message_key = row.message_key};
  callback.evidence = std::make_shared<const CallbackRow>(std::move(row));
  return add_callback(std::move(callback));
}

void WorkingSet::judge_callback(RowId callback, CallbackOutcome outcome) {
  POSTERN_CHECK(!writes_.callbacks.empty() && writes_.callbacks.back().id == callback);
  writes_.callbacks.back().outcome = outcome;
}

void WorkingSet::count_copy(RowId callback) {
  writes_.copies.push_back(callback);
}

RowId WorkingSet::add_order(OrderRow row) {
  row.id = ids_.next(Table::kOrders);
  const RowId id = row.id;
  orders_new_.insert(id);
  put_order(LoadedOrder{.row = std::move(row), .attempts = {}, .endpoints_busy = {}});
  return id;
}

void WorkingSet::update_order(const OrderRow& row) {
  orders_.at(row.id).row = row;
  if (!orders_new_.contains(row.id)) orders_changed_.insert(row.id);
}

RowId WorkingSet::add_attempt(const core::AttemptKey& key, RowId order) {
  AttemptRow row{.id = ids_.next(Table::kAttempts), .key = key, .order = order};
  const RowId id = row.id;
  attempts_new_.insert(id);
  put_attempt(std::move(row));
  if (order != 0) orders_.at(order).attempts.push_back(id);
  return id;
}

void WorkingSet::assign_attempt(RowId attempt, RowId order) {
  attempts_.at(attempt).order = order;
  orders_.at(order).attempts.push_back(attempt);
  if (!attempts_new_.contains(attempt)) attempts_assigned_.insert(attempt);
}

RowId WorkingSet::add_fact(FactRow row) {
  row.id = ids_.next(Table::kFacts);
  writes_.facts.push_back(row);
  const RowId id = row.id;
  put_fact(std::move(row));
  return id;
}

RowId WorkingSet::add_event(EventRow row) {
  row.id = ids_.next(Table::kEvents);
  writes_.events.push_back(std::move(row));
  return writes_.events.back().id;
}

void WorkingSet::add_delivery(RowId event, RowId order, std::int64_t sequence,
                              const EndpointName& endpoint, TimePoint due_at) {
  const bool head =
      orders_.at(order).endpoints_busy.insert(endpoint).second || planted_fault("no_order_fence");
  deliveries_.note_new(DeliveryRow{.id = ids_.next(Table::kDeliveries),
                                   .event = event,
                                   .order = order,
                                   .sequence = sequence,
                                   .endpoint = endpoint,
                                   .state = head ? DeliveryState::kReady : DeliveryState::kWaiting,
                                   .due_at = due_at});
}

void WorkingSet::update_delivery(const DeliveryRow& row, TimePoint now) {
  const auto left = deliveries_.update(row, now);
  const auto order = orders_.find(row.order);
  if (order == orders_.end()) return;
  if (left == DeliverySet::ChainLeft::kOwes) {
    order->second.endpoints_busy.insert(row.endpoint);
  } else {
    order->second.endpoints_busy.erase(row.endpoint);
  }
}

RowId WorkingSet::add_try(TryRow row) {
  row.id = ids_.next(Table::kTries);
  writes_.tries.push_back(std::move(row));
  return writes_.tries.back().id;
}

void WorkingSet::raise_incident(IncidentRow row) {
  row.id = ids_.next(Table::kIncidents);
  // Resolutions are written last; one that an earlier command of the batch asked for is over.
  std::erase(writes_.incidents_resolved, std::pair(row.kind, row.subject));
  writes_.incidents.push_back(std::move(row));
}

void WorkingSet::resolve_incident(core::IncidentKind kind, std::string subject) {
  writes_.incidents_resolved.emplace_back(kind, std::move(subject));
}

RowId WorkingSet::add_audit(AuditRow row) {
  row.id = ids_.next(Table::kAudit);
  writes_.audit.push_back(std::move(row));
  return writes_.audit.back().id;
}

void WorkingSet::add_applied(AppliedRow row) {
  events_.at(row.event).applied.push_back(row);
  writes_.applied.push_back(std::move(row));
}

void WorkingSet::put_attempt(AttemptRow row) {
  attempts_by_key_[row.key] = row.id;
  attempts_.insert_or_assign(row.id, std::move(row));
}

void WorkingSet::put_order(LoadedOrder order) {
  orders_by_key_[order.row.key] = order.row.id;
  const RowId id = order.row.id;
  orders_.insert_or_assign(id, std::move(order));
}

void WorkingSet::put_fact(FactRow row) {
  const auto [place, fresh] = facts_by_key_.try_emplace(core::fact_key(row.fact), row.attempt, 0);
  if (!fresh) return;  // Loaded twice: once with its order and once by its key.
  std::vector<FactRow>& facts = facts_by_attempt_[row.attempt];
  // One loaded by its key alone may be met before the attempt's earlier ones.
  const auto behind = std::ranges::upper_bound(facts, row.id, {}, &FactRow::id);
  std::size_t index = static_cast<std::size_t>(behind - facts.begin());
  place->second.second = index;
  facts.insert(behind, std::move(row));
  while (++index < facts.size()) {
    facts_by_key_.at(core::fact_key(facts[index].fact)).second = index;
  }
}

void WorkingSet::put_callback(KnownCallback callback) {
  callbacks_.insert_or_assign(callback.id, std::move(callback));
}

void WorkingSet::put_message(const MessageKey& key, RowId callback) {
  messages_[key] = callback;
}

void WorkingSet::put_event(KnownEvent event) {
  events_.emplace(event.id, std::move(event));
}

Writes WorkingSet::take_writes() {
  const auto move_out = [](const std::pmr::set<RowId>& ids, auto row_of, auto& rows) {
    rows.reserve(ids.size());
    for (const RowId id : ids) rows.push_back(std::move(row_of(id)));
  };
  const auto order = [this](RowId id) -> OrderRow& { return orders_.at(id).row; };
  const auto attempt = [this](RowId id) -> AttemptRow& { return attempts_.at(id); };
  move_out(orders_new_, order, writes_.orders_new);
  move_out(orders_changed_, order, writes_.orders_changed);
  move_out(attempts_new_, attempt, writes_.attempts_new);
  move_out(attempts_assigned_, attempt, writes_.attempts_assigned);
  deliveries_.move_out(writes_.deliveries, writes_.deliveries_changed, writes_.deliveries_promoted);
  return std::move(writes_);
}

}  // namespace postern::store
