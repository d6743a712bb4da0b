// Every question that is asked of a store, once for all engines.
#include "store/sql/sql_reader.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "store/sql/columns.h"

namespace postern::store::sql {
namespace {

[[nodiscard]] std::int64_t milliseconds_of(TimePoint time) {
  return time.time_since_epoch().count();
}

constexpr std::string_view kJoinEvents = " JOIN events e ON e.id = d.event_id";

/// What finds the deliveries that a filter asks for, where an engine that does not know that nearly
/// all are delivered would take something else. A "+" before a column keeps it from that.
enum class Search : unsigned char {
  kPlanned,  ///< as the engine plans it
  kByState,  ///< the whole partial index of the state, and not the ids of all there ever were
  kById,     ///< the ids of a range
};

[[nodiscard]] Search search_of(const DeliveryFilter& filter) {
  if (!filter.state || *filter.state == DeliveryState::kDelivered || filter.order) {
    return Search::kPlanned;
  }
  // A step of a bulk retry. Its index has them by the time they are due, and they stay in it: each
  // step would read all of them.
  const bool is_range = filter.after != 0 && filter.until != 0;
  if (*filter.state == DeliveryState::kReady && is_range) return Search::kById;
  return filter.endpoint ? Search::kPlanned : Search::kByState;
}

[[nodiscard]] std::string_view id_column(Search search) {
  return search == Search::kByState ? "+d.id" : "d.id";
}

/// What `filter` asks of deliveries d and, where it asks about those, of their events e.
/// @param account_text  see account_member; outlives the query
void add_conditions(Query& query, const DeliveryFilter& filter, std::string_view account_text) {
  const Search search = search_of(filter);
  const std::string_view id = id_column(search);
  if (filter.before != 0) query.where(fmt::format("{} <", id), filter.before);
  if (filter.after != 0) query.where(fmt::format("{} >", id), filter.after);
  if (filter.until != 0) query.where(fmt::format("{} <=", id), filter.until);
  if (filter.order) query.where("d.order_id =", *filter.order);
  if (filter.endpoint) query.where("d.endpoint =", std::string_view(filter.endpoint->text()));
  if (filter.state && search == Search::kById) {
    query.where("+d.state =", to_code(*filter.state));
  } else if (filter.state) {
    const std::int64_t code = to_code(*filter.state);
    query.where("d.state =", code);
    // What the partial indexes hold, said so that they can be used.
    if (code <= 1) query.where(fmt::format("d.state = {}", code));
    if (code >= 3) query.where("d.state >= 3");
  }
  if (filter.event) query.where("e.type =", to_code(*filter.event));
  if (filter.from) query.where("e.created_at_ms >=", milliseconds_of(*filter.from));
  if (filter.to) query.where("e.created_at_ms <", milliseconds_of(*filter.to));
  if (filter.account) query.where_contains("e.body", account_text);
}

class SqlReader final : public Reader {
 public:
  SqlReader(std::unique_ptr<Source> source, std::function<void(const Error&)> on_doubt)
      : source_(std::move(source)), on_doubt_(std::move(on_doubt)) {}

  Result<std::optional<OrderRow>> order(const core::OrderKey& key) override;
  Result<std::optional<OrderRow>> order(RowId id) override;
  Result<std::vector<OrderRow>> orders(const OrderFilter& filter) override;
  Result<std::vector<AttemptRow>> attempts(RowId order) override;
  Result<std::vector<FactRow>> facts(RowId order) override;
  Result<std::vector<EventRow>> events(RowId order) override;
  Result<std::vector<DeliveryRow>> deliveries(RowId order) override;
  Result<std::optional<DeliveryRow>> delivery(RowId id) override;
  Result<std::vector<DeliveryRow>> deliveries(const DeliveryFilter& filter) override;
  Result<std::vector<DeliveryRow>> deliveries_after(const DeliveryFilter& filter) override;
  Result<EndpointLoad> load_of(const EndpointName& endpoint) override;
  Result<DeliveryCount> count(const DeliveryFilter& filter) override;
  Result<std::vector<TryRow>> tries(RowId delivery) override;
  Result<std::optional<EventRow>> event(RowId id) override;
  Result<std::vector<EventRow>> events_after(RowId after, std::size_t limit) override;
  Result<std::vector<AppliedRow>> applied(RowId order) override;
  Result<std::vector<AuditRow>> audit_after(RowId after, std::size_t limit) override;
  Result<std::optional<CallbackRow>> callback(RowId id) override;
  Result<std::vector<CallbackRow>> callbacks(const CallbackFilter& filter) override;
  Result<std::vector<CallbackRow>> callbacks_of(RowId order) override;
  Result<std::vector<IncidentRow>> incidents(const IncidentFilter& filter) override;
  Result<std::vector<IncidentRow>> incidents_of(RowId order) override;
  Result<Totals> totals() override;

 private:
  [[nodiscard]] Query question(std::string sql) const {
    return Query(source_->dialect(), std::move(sql));
  }
  [[nodiscard]] Query select(std::string_view columns, std::string_view tables) const {
    return question(fmt::format("SELECT {} FROM {}", columns, tables));
  }
  /// Without headers and body.
  [[nodiscard]] Query select_callbacks() const;

  /// Asks, and reads each row by `read`.
  template <class Row, class Read>
  [[nodiscard]] Result<std::vector<Row>> rows(const Query& query, Read read);
  template <class Row, class Read>
  [[nodiscard]] Result<std::optional<Row>> first(const Query& query, Read read);
  /// The rows of `table` behind `after`, up to where none is missing any more.
  template <class Row, class Read>
  [[nodiscard]] Result<std::vector<Row>> settled_after(RowId after, std::size_t limit,
                                                       std::string_view columns,
                                                       std::string_view table, std::string_view id,
                                                       Read read);
  [[nodiscard]] Result<std::vector<DeliveryRow>> deliveries_by(const DeliveryFilter& filter,
                                                               std::string_view direction);
  [[nodiscard]] std::unexpected<Error> unreadable(const Error& error);

  std::unique_ptr<Source> source_;
  std::function<void(const Error&)> on_doubt_;
};

template <class Row, class Read>
[[nodiscard]] Source::OnRow into(std::vector<Row>& rows, Read read) {
  return [&rows, read](const RowView& row) -> Result<void> {
    Columns columns(row);
    rows.push_back(read(columns));
    return columns.check();
  };
}

std::unexpected<Error> SqlReader::unreadable(const Error& error) {
  if (error.error_class == ErrorClass::kFault) on_doubt_(error);
  return retryable("store_unreadable", error.detail);
}

template <class Row, class Read>
Result<std::vector<Row>> SqlReader::rows(const Query& query, Read read) {
  std::vector<Row> rows;
  const Result<void> asked = source_->ask(query, into(rows, read));
  if (!asked) return unreadable(asked.error());
  return rows;
}

template <class Row, class Read>
Result<std::optional<Row>> SqlReader::first(const Query& query, Read read) {
  POSTERN_ASSIGN_OR_RETURN(std::vector<Row> found, rows<Row>(query, read));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<std::optional<OrderRow>> SqlReader::order(const core::OrderKey& key) {
  Query query = select(kOrderColumns, "orders o");
  query.where("o.merchant_order_id =", std::string_view(key.id.text()));
  query.where("o.merchant =", std::string_view(key.merchant.text()));
  return first<OrderRow>(query, read_order);
}

Result<std::optional<OrderRow>> SqlReader::order(RowId id) {
  Query query = select(kOrderColumns, "orders o");
  query.where("o.id =", id);
  return first<OrderRow>(query, read_order);
}

Result<std::vector<OrderRow>> SqlReader::orders(const OrderFilter& filter) {
  Query query = select(kOrderColumns, "orders o");
  if (filter.before != 0) query.where("o.id <", filter.before);
  if (filter.state) {
    const std::int64_t code = to_code(*filter.state);
    query.where("o.state =", code);
    // What the partial index holds, said so that it can be used.
    if (code >= 2) query.where("o.state >= 2");
  }
  if (!filter.search.empty()) {
    query.where(
        fmt::format("o.id IN (SELECT s.id FROM orders s WHERE s.merchant_order_id = {0} "
                    "UNION SELECT a.order_id FROM attempts a WHERE a.number = {0})",
                    query.bind(std::string_view(filter.search))));
  }
  query.order_by("o.id DESC");
  query.limit(filter.limit);
  return rows<OrderRow>(query, read_order);
}

Result<std::vector<AttemptRow>> SqlReader::attempts(RowId order) {
  Query query = select(kAttemptColumns, "attempts a");
  query.where("a.order_id =", order);
  query.order_by("a.id");
  return rows<AttemptRow>(query, read_attempt);
}

Result<std::vector<FactRow>> SqlReader::facts(RowId order) {
  Query query = select(fmt::format("{}, {}", kAttemptColumns, kFactColumns),
                       "attempts a JOIN facts f ON f.attempt_id = a.id");
  query.where("a.order_id =", order);
  query.order_by("f.id");
  return rows<FactRow>(query, [](Columns& columns) {
    const AttemptRow attempt = read_attempt(columns);
    return read_fact(columns, attempt.key);
  });
}

Result<std::vector<EventRow>> SqlReader::events(RowId order) {
  Query query = select(kEventColumns, "events e");
  query.where("e.order_id =", order);
  query.order_by("e.sequence");
  return rows<EventRow>(query, read_event);
}

Result<std::vector<DeliveryRow>> SqlReader::deliveries(RowId order) {
  Query query = select(kDeliveryColumns, "deliveries d");
  query.where("d.order_id =", order);
  query.order_by("d.id");
  return rows<DeliveryRow>(query, read_delivery);
}

Result<std::optional<DeliveryRow>> SqlReader::delivery(RowId id) {
  Query query = select(kDeliveryColumns, "deliveries d");
  query.where("d.id =", id);
  return first<DeliveryRow>(query, read_delivery);
}

Result<std::vector<DeliveryRow>> SqlReader::deliveries(const DeliveryFilter& filter) {
  return deliveries_by(filter, "DESC");
}

Result<std::vector<DeliveryRow>> SqlReader::deliveries_after(const DeliveryFilter& filter) {
  return deliveries_by(filter, "ASC");
}

Result<std::vector<DeliveryRow>> SqlReader::deliveries_by(const DeliveryFilter& filter,
                                                          std::string_view direction) {
  const std::string account_text = filter.account ? account_member(*filter.account) : "";
  const bool asks_events = filter.event || filter.account || filter.from || filter.to;
  Query query =
      select(kDeliveryColumns, fmt::format("deliveries d{}", asks_events ? kJoinEvents : ""));
  add_conditions(query, filter, account_text);
  query.order_by(fmt::format("{} {}", id_column(search_of(filter)), direction));
  query.limit(filter.limit);
  return rows<DeliveryRow>(query, read_delivery);
}

/// Every part is answered by a partial index alone, but for the one row of the oldest.
Result<EndpointLoad> SqlReader::load_of(const EndpointName& endpoint) {
  Query query = question("");
  query.append(
      fmt::format("WITH r (n, first) AS (SELECT count(*), min(id) FROM deliveries "
                  "WHERE endpoint = {0} AND state = 0), "
                  "w (n, first) AS (SELECT count(*), min(id) FROM deliveries "
                  "WHERE endpoint = {0} AND state = 1), "
                  "g (state, n) AS (SELECT state, count(*) FROM deliveries "
                  "WHERE endpoint = {0} AND state >= 3 GROUP BY state) "
                  "SELECT r.n, w.n, coalesce((SELECT n FROM g WHERE state = 3), 0), "
                  "coalesce((SELECT n FROM g WHERE state = 4), 0), "
                  "(SELECT e.created_at_ms FROM deliveries d JOIN events e ON e.id = d.event_id "
                  "WHERE d.id = CASE WHEN r.first <= coalesce(w.first, r.first) THEN r.first "
                  "ELSE coalesce(w.first, r.first) END) FROM r, w",
                  query.bind(std::string_view(endpoint.text()))));
  const auto read = [](Columns& columns) {
    EndpointLoad load{.ready = columns.integer(),
                      .waiting = columns.integer(),
                      .dead = columns.integer(),
                      .cancelled = columns.integer(),
                      .oldest = std::nullopt};
    if (!columns.next_is_null()) load.oldest = columns.time();
    return load;
  };
  POSTERN_ASSIGN_OR_RETURN(const std::optional<EndpointLoad> load,
                           first<EndpointLoad>(query, read));
  return load.value_or(EndpointLoad{});
}

Result<DeliveryCount> SqlReader::count(const DeliveryFilter& filter) {
  const std::string account_text = filter.account ? account_member(*filter.account) : "";
  Query query = select(
      "count(*), count(DISTINCT d.order_id), max(d.id), min(e.created_at_ms), max(e.created_at_ms)",
      fmt::format("deliveries d{}", kJoinEvents));
  add_conditions(query, filter, account_text);
  const auto read = [](Columns& columns) {
    DeliveryCount count{
        .deliveries = columns.integer(), .orders = columns.integer(), .last = columns.reference()};
    if (count.deliveries == 0) return count;
    count.oldest = columns.time();
    count.newest = columns.time();
    return count;
  };
  POSTERN_ASSIGN_OR_RETURN(const std::optional<DeliveryCount> counted,
                           first<DeliveryCount>(query, read));
  return counted.value_or(DeliveryCount{});
}

Result<std::vector<TryRow>> SqlReader::tries(RowId delivery) {
  Query query = select(kTryColumns, "tries t");
  query.where("t.delivery_id =", delivery);
  query.order_by("t.id");
  return rows<TryRow>(query, read_try);
}

Result<std::optional<EventRow>> SqlReader::event(RowId id) {
  Query query = select(kEventColumns, "events e");
  query.where("e.id =", id);
  return first<EventRow>(query, read_event);
}

template <class Row, class Read>
Result<std::vector<Row>> SqlReader::settled_after(RowId after, std::size_t limit,
                                                  std::string_view columns, std::string_view table,
                                                  std::string_view id, Read read) {
  const auto query_until = [&](std::optional<RowId> until) {
    Query query = select(columns, table);
    query.where(fmt::format("{} >", id), after);
    if (until) query.where(fmt::format("{} <=", id), *until);
    query.order_by(id);
    query.limit(limit);
    return query;
  };
  std::vector<Row> rows;
  const Result<void> asked = source_->ask_settled(query_until, into(rows, read));
  if (!asked) return unreadable(asked.error());
  return rows;
}

Result<std::vector<EventRow>> SqlReader::events_after(RowId after, std::size_t limit) {
  return settled_after<EventRow>(after, limit, kEventColumns, "events e", "e.id", read_event);
}

Result<std::vector<AppliedRow>> SqlReader::applied(RowId order) {
  Query query = select(kAppliedColumns, "events e JOIN applied p ON p.event_id = e.id");
  query.where("e.order_id =", order);
  query.order_by("p.event_id, p.consumer");
  return rows<AppliedRow>(query, read_applied);
}

Result<std::vector<AuditRow>> SqlReader::audit_after(RowId after, std::size_t limit) {
  return settled_after<AuditRow>(after, limit, kAuditColumns, "audit u", "u.id", read_audit);
}

Query SqlReader::select_callbacks() const {
  const Dialect& dialect = source_->dialect();
  return select(fmt::format("{}, {}.target", kCallbackColumns, dialect.raw),
                dialect.callback_tables);
}

Result<std::optional<CallbackRow>> SqlReader::callback(RowId id) {
  const Dialect& dialect = source_->dialect();
  Query query =
      select(fmt::format("{0}, {1}.target, {1}.headers, {1}.body", kCallbackColumns, dialect.raw),
             dialect.callback_tables);
  query.where("c.id =", id);
  return first<CallbackRow>(query, [](Columns& columns) {
    CallbackRow row = read_callback(columns);
    row.headers = columns.blob();
    row.body = columns.blob();
    return row;
  });
}

Result<std::vector<CallbackRow>> SqlReader::callbacks(const CallbackFilter& filter) {
  Query query = select_callbacks();
  if (filter.before != 0) query.where("c.id <", filter.before);
  if (filter.outcome) {
    const std::int64_t code = to_code(*filter.outcome);
    query.where("c.outcome =", code);
    if (code >= 2) query.where("c.outcome >= 2");
  }
  if (filter.account) query.where("c.account =", std::string_view(filter.account->text()));
  query.order_by("c.id DESC");
  query.limit(filter.limit);
  return rows<CallbackRow>(query, read_callback);
}

Result<std::vector<CallbackRow>> SqlReader::callbacks_of(RowId order) {
  Query query = select_callbacks();
  query.where(
      fmt::format("c.id IN (WITH firsts (id) AS (SELECT DISTINCT f.callback_id FROM attempts a "
                  "JOIN facts f ON f.attempt_id = a.id "
                  "WHERE a.order_id = {} AND f.callback_id IS NOT NULL) "
                  "SELECT id FROM firsts UNION SELECT v.id FROM firsts w "
                  "JOIN callbacks v ON v.copy_of = w.id)",
                  query.bind(order)));
  query.order_by("c.id");
  return rows<CallbackRow>(query, read_callback);
}

Result<std::vector<IncidentRow>> SqlReader::incidents(const IncidentFilter& filter) {
  Query query = select(kIncidentColumns, "incidents i");
  if (filter.before != 0) query.where("i.id <", filter.before);
  if (filter.state) {
    const std::int64_t code = to_code(*filter.state);
    query.where("i.state =", code);
    if (code < 2) query.where("i.state < 2");
  }
  query.order_by("i.id DESC");
  query.limit(filter.limit);
  return rows<IncidentRow>(query, read_incident);
}

Result<std::vector<IncidentRow>> SqlReader::incidents_of(RowId order) {
  Query query = select(kIncidentColumns, "incidents i");
  query.where("i.order_id =", order);
  query.order_by("i.id");
  return rows<IncidentRow>(query, read_incident);
}

Result<Totals> SqlReader::totals() {
  const Query query = question(
      "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM attempts), "
      "(SELECT count(*) FROM facts), (SELECT count(*) FROM callbacks), "
      "(SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM copies), "
      "(SELECT count(*) FROM events), (SELECT count(*) FROM deliveries), "
      "(SELECT count(*) FROM incidents), (SELECT count(*) FROM tries)");
  POSTERN_ASSIGN_OR_RETURN(const std::optional<Totals> counted,
                           first<Totals>(query, [](Columns& columns) {
                             return Totals{.orders = columns.integer(),
                                           .attempts = columns.integer(),
                                           .facts = columns.integer(),
                                           .callbacks = columns.integer(),
                                           .copies = columns.integer(),
                                           .events = columns.integer(),
                                           .deliveries = columns.integer(),
                                           .incidents = columns.integer(),
                                           .tries = columns.integer()};
                           }));
  return counted.value_or(Totals{});
}

}  // namespace

std::unique_ptr<Reader> read_from(std::unique_ptr<Source> source,
                                  std::function<void(const Error&)> on_doubt) {
  return std::make_unique<SqlReader>(std::move(source), std::move(on_doubt));
}

}  // namespace postern::store::sql
