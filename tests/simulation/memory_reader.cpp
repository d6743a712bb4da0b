#include "tests/simulation/memory_reader.h"

#include <algorithm>
#include <ranges>

namespace postern::simulation {
namespace {

using store::AttemptRow;
using store::CallbackRow;
using store::DeliveryRow;
using store::EventRow;
using store::FactRow;
using store::IncidentRow;
using store::OrderRow;
using store::RowId;

template <class Row>
[[nodiscard]] std::optional<Row> row_at(const std::map<RowId, Row>& table, RowId id) {
  const auto found = table.find(id);
  if (found == table.end()) return std::nullopt;
  return found->second;
}

/// The rows that belong to `owner`, by id.
template <class Row>
[[nodiscard]] std::vector<Row> rows_of(const std::map<RowId, Row>& table,
                                       const MemoryDisk::Pairs& index, RowId owner) {
  std::vector<Row> rows;
  for (auto at = index.lower_bound({owner, 0}); at != index.end() && at->first == owner; ++at) {
    rows.push_back(table.at(at->second));
  }
  return rows;
}

/// Newest first, below `before`, as many as fit.
template <class Row, class Wanted>
[[nodiscard]] std::vector<Row> newest(const std::map<RowId, Row>& table, RowId before,
                                      std::size_t limit, Wanted wanted) {
  std::vector<Row> rows;
  for (const auto& [id, row] : std::views::reverse(table)) {
    if (rows.size() >= std::min(limit, store::kRowsMax)) break;
    if (before != 0 && id >= before) continue;
    if (wanted(row)) rows.push_back(row);
  }
  return rows;
}

[[nodiscard]] CallbackRow without_bytes(CallbackRow row) {
  row.headers.clear();
  row.body.clear();
  return row;
}

class MemoryReader final : public store::Reader {
 public:
  explicit MemoryReader(const MemoryDisk& disk) : disk_(disk) {}

  Result<std::optional<OrderRow>> order(const core::OrderKey& key) override {
    const auto found = disk_.orders_by_key.find(key);
    if (found == disk_.orders_by_key.end()) return std::nullopt;
    return row_at(disk_.orders, found->second);
  }

  Result<std::optional<OrderRow>> order(RowId id) override { return row_at(disk_.orders, id); }

  Result<std::vector<OrderRow>> orders(const store::OrderFilter& filter) override {
    return newest(disk_.orders, filter.before, filter.limit, [&](const OrderRow& row) {
      if (filter.state && row.state != *filter.state) return false;
      if (filter.search.empty() || row.key.id.text() == filter.search) return true;
      const auto attempts = rows_of(disk_.attempts, disk_.attempts_by_order, row.id);
      return std::ranges::any_of(
          attempts, [&](const AttemptRow& attempt) { return attempt.key.number == filter.search; });
    });
  }

  Result<std::vector<AttemptRow>> attempts(RowId order) override {
    return rows_of(disk_.attempts, disk_.attempts_by_order, order);
  }

  Result<std::vector<FactRow>> facts(RowId order) override {
    std::vector<FactRow> facts;
    for (const AttemptRow& attempt : rows_of(disk_.attempts, disk_.attempts_by_order, order)) {
      const auto own = rows_of(disk_.facts, disk_.facts_by_attempt, attempt.id);
      facts.insert(facts.end(), own.begin(), own.end());
    }
    std::ranges::sort(facts, {}, &FactRow::id);
    return facts;
  }

  Result<std::vector<EventRow>> events(RowId order) override {
    std::vector<EventRow> events;
    for (auto at = disk_.events_by_sequence.lower_bound({order, 0});
         at != disk_.events_by_sequence.end() && at->first.first == order; ++at) {
      events.push_back(disk_.events.at(at->second));
    }
    return events;
  }

  Result<std::vector<DeliveryRow>> deliveries(RowId order) override {
    return rows_of(disk_.deliveries, disk_.deliveries_by_order, order);
  }

  Result<std::optional<DeliveryRow>> delivery(RowId id) override {
    return row_at(disk_.deliveries, id);
  }

  Result<std::vector<DeliveryRow>> deliveries(const store::DeliveryFilter& filter) override {
    return newest(disk_.deliveries, filter.before, filter.limit,
                  [&](const DeliveryRow& row) { return matches(row, filter); });
  }

  Result<std::vector<DeliveryRow>> deliveries_after(const store::DeliveryFilter& filter) override {
    std::vector<DeliveryRow> rows;
    for (const auto& [id, row] : disk_.deliveries) {
      if (rows.size() >= std::min(filter.limit, store::kRowsMax)) break;
      if (matches(row, filter)) rows.push_back(row);
    }
    return rows;
  }

  Result<store::EndpointLoad> load_of(const EndpointName& endpoint) override {
    store::EndpointLoad load;
    for (const auto& [id, row] : disk_.deliveries) {
      if (row.endpoint != endpoint) continue;
      const bool is_ready = row.state == store::DeliveryState::kReady;
      const bool is_waiting = row.state == store::DeliveryState::kWaiting;
      load.ready += is_ready ? 1 : 0;
      load.waiting += is_waiting ? 1 : 0;
      load.dead += row.state == store::DeliveryState::kDead ? 1 : 0;
      load.cancelled += row.state == store::DeliveryState::kCancelled ? 1 : 0;
      if ((is_ready || is_waiting) && !load.oldest) {
        load.oldest = disk_.events.at(row.event).created_at;
      }
    }
    return load;
  }

  Result<store::DeliveryCount> count(const store::DeliveryFilter& filter) override {
    store::DeliveryCount count;
    std::set<RowId> orders;
    for (const auto& [id, row] : disk_.deliveries) {
      if (!matches(row, filter)) continue;
      const TimePoint at = disk_.events.at(row.event).created_at;
      ++count.deliveries;
      count.last = id;
      count.oldest = std::min(count.oldest.value_or(at), at);
      count.newest = std::max(count.newest.value_or(at), at);
      orders.insert(row.order);
    }
    count.orders = static_cast<std::int64_t>(orders.size());
    return count;
  }

  Result<std::vector<store::TryRow>> tries(RowId delivery) override {
    return rows_of(disk_.tries, disk_.tries_by_delivery, delivery);
  }

  Result<std::optional<EventRow>> event(RowId id) override { return row_at(disk_.events, id); }

  Result<std::vector<EventRow>> events_after(RowId after, std::size_t limit) override {
    std::vector<EventRow> events;
    for (auto at = disk_.events.upper_bound(after);
         at != disk_.events.end() && events.size() < std::min(limit, store::kRowsMax); ++at) {
      events.push_back(at->second);
    }
    return events;
  }

  Result<std::vector<store::AppliedRow>> applied(RowId order) override {
    std::vector<store::AppliedRow> rows;
    for (const auto& [key, row] : disk_.applied) {
      if (disk_.events.at(row.event).order == order) rows.push_back(row);
    }
    return rows;
  }

  Result<std::vector<store::AuditRow>> audit_after(RowId after, std::size_t limit) override {
    std::vector<store::AuditRow> rows;
    for (auto at = disk_.audit.upper_bound(after);
         at != disk_.audit.end() && rows.size() < std::min(limit, store::kRowsMax); ++at) {
      rows.push_back(at->second);
    }
    return rows;
  }

  Result<std::optional<CallbackRow>> callback(RowId id) override {
    return row_at(disk_.callbacks, id);
  }

  Result<std::vector<CallbackRow>> callbacks(const store::CallbackFilter& filter) override {
    auto rows = newest(disk_.callbacks, filter.before, filter.limit, [&](const CallbackRow& row) {
      return (!filter.account || row.account == *filter.account) &&
             (!filter.outcome || row.outcome == *filter.outcome);
    });
    for (CallbackRow& row : rows) row = without_bytes(std::move(row));
    return rows;
  }

  Result<std::vector<CallbackRow>> callbacks_of(RowId order) override {
    std::set<RowId> evidence;
    const auto known = facts(order);
    for (const FactRow& fact : *known) {
      if (fact.callback == 0) continue;
      evidence.insert(fact.callback);
      for (const CallbackRow& variant :
           rows_of(disk_.callbacks, disk_.callbacks_by_first, fact.callback)) {
        evidence.insert(variant.id);
      }
    }
    std::vector<CallbackRow> rows;
    for (const RowId id : evidence) {
      if (auto row = row_at(disk_.callbacks, id)) rows.push_back(without_bytes(*std::move(row)));
    }
    return rows;
  }

  Result<std::vector<IncidentRow>> incidents(const store::IncidentFilter& filter) override {
    return newest(disk_.incidents, filter.before, filter.limit, [&](const IncidentRow& row) {
      return !filter.state || row.state == *filter.state;
    });
  }

  Result<std::vector<IncidentRow>> incidents_of(RowId order) override {
    std::vector<IncidentRow> rows;
    for (const auto& [id, row] : disk_.incidents) {
      if (order != 0 && row.order == order) rows.push_back(row);
    }
    return rows;
  }

  Result<store::Totals> totals() override {
    const auto count = [](const auto& table) { return static_cast<std::int64_t>(table.size()); };
    store::Totals totals{.orders = count(disk_.orders),
                         .attempts = count(disk_.attempts),
                         .facts = count(disk_.facts),
                         .callbacks = count(disk_.callbacks),
                         .events = count(disk_.events),
                         .deliveries = count(disk_.deliveries),
                         .incidents = count(disk_.incidents),
                         .tries = count(disk_.tries)};
    for (const auto& [id, row] : disk_.callbacks) totals.copies += row.copies;
    return totals;
  }

 private:
  [[nodiscard]] bool matches(const DeliveryRow& row, const store::DeliveryFilter& filter) const {
    const EventRow& event = disk_.events.at(row.event);
    return (!filter.state || row.state == *filter.state) &&
           (!filter.endpoint || row.endpoint == *filter.endpoint) &&
           (!filter.order || row.order == *filter.order) &&
           (filter.before == 0 || row.id < filter.before) && row.id > filter.after &&
           (filter.until == 0 || row.id <= filter.until) &&
           (!filter.event || event.type == *filter.event) &&
           (!filter.from || event.created_at >= *filter.from) &&
           (!filter.to || event.created_at < *filter.to) &&
           (!filter.account || event.body.contains(store::account_member(*filter.account)));
  }

  const MemoryDisk& disk_;
};

}  // namespace

std::unique_ptr<store::Reader> make_memory_reader(const MemoryDisk& disk) {
  return std::make_unique<MemoryReader>(disk);
}

}  // namespace postern::simulation
