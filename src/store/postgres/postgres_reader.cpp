// How the pull feed skips no event.
//
// Writers work side by side, so that an event may come into sight after one with a larger id. Every
// writing transaction takes, before its first id, a shared advisory lock whose key is kWriters plus
// the last value of the sequence row_ids, and keeps it until its end. Blocks of ids end with the
// value that was drawn: what has been drawn are exactly the ids up to the last value, and all ids
// of a transaction are above what its lock says.
//
// The reader asks, in this order: the last value, A; the smallest lock, B (none: A); the events up
// to the smaller of the two. Let x be such an event, and y a smaller id of an event that is not in
// sight for the last question. y < x <= A, so y had been drawn when A was read, and its writer had
// its lock by then. If it still had it when the locks were looked at, then B <= its lock < y < x,
// and x is not shown. If not, its transaction was over: PostgreSQL brings a commit into sight
// before it releases the locks (CommitTransaction: ProcArrayEndTransaction, later
// ResourceOwnerRelease), and the snapshot of the last question was taken later still. So y was
// rolled back, and never comes.
//
// This holds of one server: all three are put to one connection, since another server may stand
// behind the next. None shares a snapshot with another, since each is a transaction of its own.
#include "store/postgres/postgres_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>

#include "base/utf8.h"
#include "store/postgres/parameters.h"
#include "store/postgres/postgres_engine.h"
#include "store/sql/source.h"
#include "store/sql/sql_reader.h"

namespace postern::store::postgres {
namespace {

constexpr sql::Dialect kDialect = {
    .integer_parameter = "${}::bigint",
    .text_parameter = "${}::text",
    .contains = "strpos({}, {}) > 0",
    .callback_tables =
        "callbacks c LEFT JOIN copies k ON k.callback_id = c.id "
        "LEFT JOIN evidence x ON x.callback_id = c.id "
        "AND x.received_at_ms = c.received_at_ms",
    .raw = "x",
};

/// The key of a writer's lock is this plus an id: 2^62, so that no other lock is among them.
constexpr RowId kWriters = RowId{1} << 62;

constexpr std::string_view kLastIdGiven = "SELECT last_value FROM row_ids";

/// A key of 64 bits is shown in two halves; objsubid 1 says that it is one. Other locks of ours
/// have keys below zero.
constexpr std::string_view kSmallestLock =
    "SELECT min(l.key) FROM (SELECT (classid::bigint << 32) | objid::bigint AS key FROM pg_locks "
    "WHERE locktype = 'advisory' AND objsubid = 1 AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())) l";

/// Questions of readers have ranges of ids in them, and are planned for what they ask: a plan for
/// any range reads the ids of all there ever were. State and id of a delivery hang together, which
/// the server does not know; a bitmap makes it sort what stands in order.
constexpr const char* kPlanning =
    "SET plan_cache_mode = force_custom_plan; SET enable_bitmapscan = off";

/// Whether the server can hold `text`. It answers with an error where it is asked for another.
[[nodiscard]] bool can_stand_in_a_row(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = utf8_character_size(text);
    if (size == 0 || text.front() == '\0') return false;
    text.remove_prefix(size);
  }
  return true;
}

[[nodiscard]] bool can_stand_in_a_row(std::int64_t /*number*/) {
  return true;
}

class PostgresSource final : public sql::Source {
 public:
  explicit PostgresSource(ConnectOptions options) : options_(std::move(options)) {}
  /// @errors as Connection::open
  [[nodiscard]] Result<void> connect();

  const sql::Dialect& dialect() const override { return kDialect; }
  Result<void> ask(const sql::Query& query, const OnRow& on_row) override {
    return connected([&] { return put(query, on_row); });
  }
  Result<void> ask_settled(const std::function<sql::Query(std::optional<RowId>)>& query_until,
                           const OnRow& on_row) override;

 private:
  /// Calls `ask`, and once more on a new connection where the old one is lost. No row has been
  /// given by then, since all of them have come before the first is given.
  template <class Ask>
  [[nodiscard]] Result<void> connected(Ask ask);
  [[nodiscard]] Result<void> put(const sql::Query& query, const OnRow& on_row);
  /// The first column of the one row of the answer. NULL: nothing.
  [[nodiscard]] Result<std::optional<RowId>> number(const sql::Query& query);
  /// The largest id up to which all events are in sight that ever will be.
  [[nodiscard]] Result<RowId> settled();
  /// A statement kept for this text. There are few texts, so none is ever thrown away.
  [[nodiscard]] Result<const Prepared*> statement(const std::string& sql);

  const ConnectOptions options_;
  std::optional<Connection> connection_;
  std::unordered_map<std::string, Prepared> statements_;  // of this connection
};

Result<void> PostgresSource::connect() {
  statements_.clear();
  connection_.reset();
  POSTERN_ASSIGN_OR_RETURN(connection_, Connection::open(options_));
  // Half of a store would be listed as if it were all.
  Result<void> ready = check_complete(*connection_);
  if (ready) ready = connection_->run(kPlanning);
  if (!ready) connection_.reset();
  return ready;
}

template <class Ask>
Result<void> PostgresSource::connected(Ask ask) {
  if (connection_) {
    const Result<void> asked = ask();
    if (asked || connection_->is_open()) return asked;
  }
  POSTERN_RETURN_IF_ERROR(connect());
  return ask();
}

Result<const Prepared*> PostgresSource::statement(const std::string& sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return &found->second;
  POSTERN_ASSIGN_OR_RETURN(Prepared made, connection_->prepare(sql));
  return &statements_.emplace(sql, std::move(made)).first->second;
}

Result<void> PostgresSource::put(const sql::Query& query, const OnRow& on_row) {
  Parameters parameters;
  for (const sql::Value& value : query.values()) {
    const bool can_be = std::visit([](auto one) { return can_stand_in_a_row(one); }, value);
    // All our conditions must hold, and no row holds this text.
    if (!can_be) return {};
    std::visit([&](auto one) { parameters.add(one); }, value);
  }
  POSTERN_ASSIGN_OR_RETURN(const Prepared* const prepared, statement(query.sql()));
  POSTERN_ASSIGN_OR_RETURN(const Rows rows, connection_->ask(*prepared, parameters));
  for (int i = 0; i < rows.size(); ++i) POSTERN_RETURN_IF_ERROR(on_row(rows.row(i)));
  return {};
}

Result<std::optional<RowId>> PostgresSource::number(const sql::Query& query) {
  std::optional<RowId> number;
  POSTERN_RETURN_IF_ERROR(put(query, [&number](const sql::RowView& row) -> Result<void> {
    if (!row.is_null(0)) number = row.integer(0);
    return {};
  }));
  return number;
}

Result<RowId> PostgresSource::settled() {
  const sql::Query last_id(kDialect, std::string(kLastIdGiven));
  POSTERN_ASSIGN_OR_RETURN(const std::optional<RowId> given, number(last_id));
  sql::Query smallest_lock(kDialect, std::string(kSmallestLock));
  smallest_lock.where("l.key >=", kWriters);
  POSTERN_ASSIGN_OR_RETURN(const std::optional<RowId> lock, number(smallest_lock));
  if (!given) return fault("store_corrupt", "the sequence row_ids is empty");
  return lock ? std::min(*given, *lock - kWriters) : *given;
}

Result<void> PostgresSource::ask_settled(
    const std::function<sql::Query(std::optional<RowId>)>& query_until, const OnRow& on_row) {
  return connected([&]() -> Result<void> {
    POSTERN_ASSIGN_OR_RETURN(const RowId until, settled());
    return put(query_until(until), on_row);
  });
}

}  // namespace

Result<std::unique_ptr<Reader>> open_reader(const ConnectOptions& options,
                                            std::function<void(const Error&)> on_doubt) {
  auto source = std::make_unique<PostgresSource>(options);
  const Result<void> connected = source->connect();
  if (!connected) return retryable("store_unreadable", connected.error().detail);
  return sql::read_from(std::move(source), std::move(on_doubt));
}

}  // namespace postern::store::postgres
