#include "store/sqlite/sqlite_reader.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <variant>
#include <vector>

#include "store/sql/columns.h"

namespace postern::store::sqlite {
namespace {

[[nodiscard]] std::int64_t limit_of(std::size_t wanted) {
  return static_cast<std::int64_t>(std::min(wanted, kRowsMax));
}

/// A question with its parameters, put together from the parts of a filter.
struct Query {
  std::string sql;
  std::vector<std::variant<std::int64_t, std::string_view>> values;

  /// Adds a parameter; gives its name.
  [[nodiscard]] std::string bind(std::variant<std::int64_t, std::string_view> value) {
    values.push_back(value);
    return fmt::format("?{}", values.size());
  }
  void where(std::string_view condition) {
    sql.append(sql.contains(" WHERE ") ? " AND " : " WHERE ").append(condition);
  }
  /// Adds `column` compared with a parameter, such as "o.id <".
  void where(std::string_view column, std::variant<std::int64_t, std::string_view> value) {
    where(fmt::format("{} {}", column, bind(value)));
  }
  void order_and_limit(std::string_view order, std::size_t limit) {
    sql += fmt::format(" ORDER BY {} LIMIT {}", order, bind(limit_of(limit)));
  }
};

[[nodiscard]] std::int64_t milliseconds_of(TimePoint time) {
  return time.time_since_epoch().count();
}

constexpr std::string_view kJoinEvents = " JOIN events e ON e.id = d.event_id";

/// What finds the deliveries that a filter asks for, where SQLite, which does not know that nearly
/// all are delivered, would take something else. A "+" before a column keeps it from that.
enum class Search : unsigned char {
  kPlanned,  ///< as SQLite plans it
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
  if (filter.endpoint) {
    query.where(search == Search::kById ? "+d.endpoint =" : "d.endpoint =",
                std::string_view(filter.endpoint->text()));
  }
  if (filter.state) {
    const std::int64_t code = sql::to_code(*filter.state);
    query.where("d.state =", code);
    // What the partial indexes hold, said so that they can be used.
    if (code <= 1) query.where(fmt::format("d.state = {}", code));
    if (code >= 3) query.where("d.state >= 3");
  }
  if (filter.event) query.where("e.type =", sql::to_code(*filter.event));
  if (filter.from) query.where("e.created_at_ms >=", milliseconds_of(*filter.from));
  if (filter.to) query.where("e.created_at_ms <", milliseconds_of(*filter.to));
  if (filter.account) query.where(fmt::format("instr(e.body, {}) > 0", query.bind(account_text)));
}

class SqliteReader final : public Reader {
 public:
  SqliteReader(Database database, std::function<void(const Error&)> on_doubt)
      : database_(std::move(database)), on_doubt_(std::move(on_doubt)) {}

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
  /// A statement kept for this text. There are few texts, so none is ever thrown away.
  [[nodiscard]] Result<Statement*> statement(const std::string& sql);

  /// Runs a statement that is bound by `bind`, and reads each row by `read`. One statement is one
  /// look at the store.
  template <class Row, class Bind, class Read>
  [[nodiscard]] Result<std::vector<Row>> rows(const std::string& sql, Bind bind, Read read);
  template <class Row, class Read>
  [[nodiscard]] Result<std::vector<Row>> rows_by_id(const std::string& sql, RowId id, Read read);
  template <class Row, class Read>
  [[nodiscard]] Result<std::vector<Row>> rows_of(const Query& query, Read read);
  [[nodiscard]] Result<std::vector<DeliveryRow>> deliveries_by(const DeliveryFilter& filter,
                                                               std::string_view direction);
  [[nodiscard]] std::unexpected<Error> unreadable(const Error& error);

  Database database_;
  std::function<void(const Error&)> on_doubt_;
  std::unordered_map<std::string, Statement> statements_;
};

template <class Row>
[[nodiscard]] Result<std::optional<Row>> first_of(Result<std::vector<Row>> rows) {
  if (!rows) return std::unexpected(std::move(rows).error());
  if (rows->empty()) return std::nullopt;
  return std::move(rows->front());
}

std::unexpected<Error> SqliteReader::unreadable(const Error& error) {
  if (error.error_class == ErrorClass::kFault) on_doubt_(error);
  return retryable("store_unreadable", error.detail);
}

Result<Statement*> SqliteReader::statement(const std::string& sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return &found->second;
  POSTERN_ASSIGN_OR_RETURN(Statement made, database_.prepare(sql));
  return &statements_.emplace(sql, std::move(made)).first->second;
}

template <class Row, class Bind, class Read>
Result<std::vector<Row>> SqliteReader::rows(const std::string& sql, Bind bind, Read read) {
  const Result<Statement*> prepared = statement(sql);
  if (!prepared) return unreadable(prepared.error());
  Statement& running = **prepared;
  const Reading until_done(running);
  bind(running);
  std::vector<Row> rows;
  while (true) {
    const Result<bool> more = running.step();
    if (!more) return unreadable(more.error());
    if (!*more) return rows;
    sql::Columns columns(running);
    rows.push_back(read(columns));
    const Result<void> sound = columns.check();
    if (!sound) return unreadable(sound.error());
  }
}

template <class Row, class Read>
Result<std::vector<Row>> SqliteReader::rows_by_id(const std::string& sql, RowId id, Read read) {
  return rows<Row>(sql, [id](Statement& running) { running.bind(id); }, read);
}

template <class Row, class Read>
Result<std::vector<Row>> SqliteReader::rows_of(const Query& query, Read read) {
  const auto bind = [&query](Statement& running) {
    int index = 0;
    for (const auto& value : query.values) {
      std::visit([&](const auto& one) { running.bind_at(++index, one); }, value);
    }
  };
  return rows<Row>(query.sql, bind, read);
}

Result<std::optional<OrderRow>> SqliteReader::order(const core::OrderKey& key) {
  static const std::string sql =
      fmt::format("SELECT {} FROM orders o WHERE o.merchant_order_id = ? AND o.merchant = ?",
                  sql::kOrderColumns);
  const auto bind = [&key](Statement& running) {
    running.bind(key.id.text(), key.merchant.text());
  };
  return first_of(rows<OrderRow>(sql, bind, sql::read_order));
}

Result<std::optional<OrderRow>> SqliteReader::order(RowId id) {
  static const std::string sql =
      fmt::format("SELECT {} FROM orders o WHERE o.id = ?", sql::kOrderColumns);
  return first_of(rows_by_id<OrderRow>(sql, id, sql::read_order));
}

Result<std::vector<OrderRow>> SqliteReader::orders(const OrderFilter& filter) {
  Query query{.sql = fmt::format("SELECT {} FROM orders o", sql::kOrderColumns), .values = {}};
  if (filter.before != 0) query.where("o.id <", filter.before);
  if (filter.state) {
    const std::int64_t code = sql::to_code(*filter.state);
    query.where("o.state =", code);
    // What the partial index holds, said so that it can be used.
    if (code >= 2) query.where("o.state >= 2");
  }
  if (!filter.search.empty()) {
    query.where(
        fmt::format("(o.merchant_order_id = {0} OR o.id IN "
                    "(SELECT a.order_id FROM attempts a WHERE a.number = {0}))",
                    query.bind(std::string_view(filter.search))));
  }
  query.order_and_limit("o.id DESC", filter.limit);
  return rows_of<OrderRow>(query, sql::read_order);
}

Result<std::vector<AttemptRow>> SqliteReader::attempts(RowId order) {
  static const std::string sql = fmt::format(
      "SELECT {} FROM attempts a WHERE a.order_id = ? ORDER BY a.id", sql::kAttemptColumns);
  return rows_by_id<AttemptRow>(sql, order, sql::read_attempt);
}

Result<std::vector<FactRow>> SqliteReader::facts(RowId order) {
  static const std::string sql = fmt::format(
      "SELECT {}, {} FROM attempts a JOIN facts f ON f.attempt_id = a.id WHERE a.order_id = ? "
      "ORDER BY f.id",
      sql::kAttemptColumns, sql::kFactColumns);
  return rows_by_id<FactRow>(sql, order, [](sql::Columns& columns) {
    const AttemptRow attempt = sql::read_attempt(columns);
    return sql::read_fact(columns, attempt.key);
  });
}

Result<std::vector<EventRow>> SqliteReader::events(RowId order) {
  static const std::string sql = fmt::format(
      "SELECT {} FROM events e WHERE e.order_id = ? ORDER BY e.sequence", sql::kEventColumns);
  return rows_by_id<EventRow>(sql, order, sql::read_event);
}

Result<std::vector<DeliveryRow>> SqliteReader::deliveries(RowId order) {
  static const std::string sql = fmt::format(
      "SELECT {} FROM deliveries d WHERE d.order_id = ? ORDER BY d.id", sql::kDeliveryColumns);
  return rows_by_id<DeliveryRow>(sql, order, sql::read_delivery);
}

Result<std::optional<DeliveryRow>> SqliteReader::delivery(RowId id) {
  static const std::string sql =
      fmt::format("SELECT {} FROM deliveries d WHERE d.id = ?", sql::kDeliveryColumns);
  return first_of(rows_by_id<DeliveryRow>(sql, id, sql::read_delivery));
}

Result<std::vector<DeliveryRow>> SqliteReader::deliveries(const DeliveryFilter& filter) {
  return deliveries_by(filter, "DESC");
}

Result<std::vector<DeliveryRow>> SqliteReader::deliveries_after(const DeliveryFilter& filter) {
  return deliveries_by(filter, "ASC");
}

Result<std::vector<DeliveryRow>> SqliteReader::deliveries_by(const DeliveryFilter& filter,
                                                             std::string_view direction) {
  const std::string account_text = filter.account ? account_member(*filter.account) : "";
  const bool asks_events = filter.event || filter.account || filter.from || filter.to;
  Query query{.sql = fmt::format("SELECT {} FROM deliveries d{}", sql::kDeliveryColumns,
                                 asks_events ? kJoinEvents : ""),
              .values = {}};
  add_conditions(query, filter, account_text);
  query.order_and_limit(fmt::format("{} {}", id_column(search_of(filter)), direction),
                        filter.limit);
  return rows_of<DeliveryRow>(query, sql::read_delivery);
}

/// Every part is answered by a partial index alone, but for the one row of the oldest.
Result<EndpointLoad> SqliteReader::load_of(const EndpointName& endpoint) {
  static const std::string sql =
      "WITH r (n, first) AS (SELECT count(*), min(id) FROM deliveries "
      "WHERE endpoint = ?1 AND state = 0), "
      "w (n, first) AS (SELECT count(*), min(id) FROM deliveries "
      "WHERE endpoint = ?1 AND state = 1), "
      "g (state, n) AS (SELECT state, count(*) FROM deliveries "
      "WHERE endpoint = ?1 AND state >= 3 GROUP BY state) "
      "SELECT r.n, w.n, ifnull((SELECT n FROM g WHERE state = 3), 0), "
      "ifnull((SELECT n FROM g WHERE state = 4), 0), "
      "(SELECT e.created_at_ms FROM deliveries d JOIN events e ON e.id = d.event_id "
      "WHERE d.id = min(ifnull(r.first, w.first), ifnull(w.first, r.first))) FROM r, w";
  const auto bind = [&endpoint](Statement& running) {
    running.bind(std::string_view(endpoint.text()));
  };
  const auto read = [](sql::Columns& columns) {
    EndpointLoad load{.ready = columns.integer(),
                      .waiting = columns.integer(),
                      .dead = columns.integer(),
                      .cancelled = columns.integer(),
                      .oldest = std::nullopt};
    if (!columns.next_is_null()) load.oldest = columns.time();
    return load;
  };
  POSTERN_ASSIGN_OR_RETURN(const std::vector<EndpointLoad> loads,
                           rows<EndpointLoad>(sql, bind, read));
  return loads.front();
}

Result<DeliveryCount> SqliteReader::count(const DeliveryFilter& filter) {
  const std::string account_text = filter.account ? account_member(*filter.account) : "";
  Query query{.sql = fmt::format("SELECT count(*), count(DISTINCT d.order_id), max(d.id), "
                                 "min(e.created_at_ms), max(e.created_at_ms) FROM deliveries d{}",
                                 kJoinEvents),
              .values = {}};
  add_conditions(query, filter, account_text);
  const auto read = [](sql::Columns& columns) {
    DeliveryCount count{
        .deliveries = columns.integer(), .orders = columns.integer(), .last = columns.reference()};
    if (count.deliveries == 0) return count;
    count.oldest = columns.time();
    count.newest = columns.time();
    return count;
  };
  POSTERN_ASSIGN_OR_RETURN(const std::vector<DeliveryCount> counted,
                           rows_of<DeliveryCount>(query, read));
  return counted.front();
}

Result<std::vector<TryRow>> SqliteReader::tries(RowId delivery) {
  static const std::string sql =
      fmt::format("SELECT {} FROM tries t WHERE t.delivery_id = ? ORDER BY t.id", sql::kTryColumns);
  return rows_by_id<TryRow>(sql, delivery, sql::read_try);
}

Result<std::optional<EventRow>> SqliteReader::event(RowId id) {
  static const std::string sql =
      fmt::format("SELECT {} FROM events e WHERE e.id = ?", sql::kEventColumns);
  return first_of(rows_by_id<EventRow>(sql, id, sql::read_event));
}

Result<std::vector<EventRow>> SqliteReader::events_after(RowId after, std::size_t limit) {
  Query query{.sql = fmt::format("SELECT {} FROM events e", sql::kEventColumns), .values = {}};
  query.where("e.id >", after);
  query.order_and_limit("e.id", limit);
  return rows_of<EventRow>(query, sql::read_event);
}

Result<std::vector<AppliedRow>> SqliteReader::applied(RowId order) {
  static const std::string sql = fmt::format(
      "SELECT {} FROM events e JOIN applied p ON p.event_id = e.id WHERE e.order_id = ? "
      "ORDER BY p.event_id, p.consumer",
      sql::kAppliedColumns);
  return rows_by_id<AppliedRow>(sql, order, sql::read_applied);
}

Result<std::vector<AuditRow>> SqliteReader::audit_after(RowId after, std::size_t limit) {
  Query query{.sql = fmt::format("SELECT {} FROM audit u", sql::kAuditColumns), .values = {}};
  query.where("u.id >", after);
  query.order_and_limit("u.id", limit);
  return rows_of<AuditRow>(query, sql::read_audit);
}

Result<std::optional<CallbackRow>> SqliteReader::callback(RowId id) {
  static const std::string sql = fmt::format("SELECT {}, c.headers, c.body FROM {} WHERE c.id = ?",
                                             sql::kCallbackColumns, sql::kCallbackTables);
  return first_of(rows_by_id<CallbackRow>(sql, id, [](sql::Columns& columns) {
    CallbackRow row = sql::read_callback(columns);
    row.headers = columns.blob();
    row.body = columns.blob();
    return row;
  }));
}

Result<std::vector<CallbackRow>> SqliteReader::callbacks(const CallbackFilter& filter) {
  Query query{.sql = fmt::format("SELECT {} FROM {}", sql::kCallbackColumns, sql::kCallbackTables),
              .values = {}};
  if (filter.before != 0) query.where("c.id <", filter.before);
  if (filter.outcome) {
    const std::int64_t code = sql::to_code(*filter.outcome);
    query.where("c.outcome =", code);
    if (code >= 2) query.where("c.outcome >= 2");
  }
  if (filter.account) query.where("c.account =", std::string_view(filter.account->text()));
  query.order_and_limit("c.id DESC", filter.limit);
  return rows_of<CallbackRow>(query, sql::read_callback);
}

Result<std::vector<CallbackRow>> SqliteReader::callbacks_of(RowId order) {
  static const std::string sql = fmt::format(
      "WITH evidence (id) AS (SELECT DISTINCT f.callback_id FROM attempts a "
      "JOIN facts f ON f.attempt_id = a.id "
      "WHERE a.order_id = ?1 AND f.callback_id IS NOT NULL) "
      "SELECT {} FROM {} WHERE c.id IN (SELECT id FROM evidence UNION SELECT v.id FROM evidence w "
      "JOIN callbacks v ON v.copy_of = w.id) ORDER BY c.id",
      sql::kCallbackColumns, sql::kCallbackTables);
  return rows_by_id<CallbackRow>(sql, order, sql::read_callback);
}

Result<std::vector<IncidentRow>> SqliteReader::incidents(const IncidentFilter& filter) {
  Query query{.sql = fmt::format("SELECT {} FROM incidents i", sql::kIncidentColumns),
              .values = {}};
  if (filter.before != 0) query.where("i.id <", filter.before);
  if (filter.state) {
    const std::int64_t code = sql::to_code(*filter.state);
    query.where("i.state =", code);
    if (code < 2) query.where("i.state < 2");
  }
  query.order_and_limit("i.id DESC", filter.limit);
  return rows_of<IncidentRow>(query, sql::read_incident);
}

Result<std::vector<IncidentRow>> SqliteReader::incidents_of(RowId order) {
  static const std::string sql = fmt::format(
      "SELECT {} FROM incidents i WHERE i.order_id = ? ORDER BY i.id", sql::kIncidentColumns);
  return rows_by_id<IncidentRow>(sql, order, sql::read_incident);
}

Result<Totals> SqliteReader::totals() {
  static const std::string sql =
      "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM attempts), "
      "(SELECT count(*) FROM facts), (SELECT count(*) FROM callbacks), "
      "(SELECT ifnull(sum(count), 0) FROM copies), (SELECT count(*) FROM events), "
      "(SELECT count(*) FROM deliveries), (SELECT count(*) FROM incidents), "
      "(SELECT count(*) FROM tries)";
  POSTERN_ASSIGN_OR_RETURN(const std::vector<Totals> counted,
                           rows<Totals>(
                               sql, [](Statement&) {},
                               [](sql::Columns& columns) {
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
  return counted.front();
}

}  // namespace

Result<std::unique_ptr<Reader>> open_reader(const SqliteOptions& options,
                                            std::function<void(const Error&)> on_doubt) {
  Result<Database> database = Database::open(options.path, Access::kReadOnly, options.vfs);
  if (!database) return retryable("store_unreadable", database.error().detail);
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  const Result<void> set = database->run(
      "PRAGMA busy_timeout = 5000; PRAGMA wal_autocheckpoint = 0; "
      "PRAGMA query_only = ON; PRAGMA cache_size = -2048; "
      "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;");
  if (!set) return retryable("store_unreadable", set.error().detail);
  return std::make_unique<SqliteReader>(*std::move(database), std::move(on_doubt));
}

}  // namespace postern::store::sqlite
