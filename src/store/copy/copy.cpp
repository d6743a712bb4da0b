// Where to go on after an interruption is read from the tables themselves: a lot of rows is one
// statement, so that its rows are there all or none, and the largest key says how far it went.
//
// Lots are committed without waiting for the disk. Should the server crash, it loses the last of
// them, from some point on, and the next run finds an earlier largest key. What is final is the
// taking away of the mark, which waits for all before it to be on stable storage.
#include "store/copy/copy.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <span>
#include <utility>

#include "base/failpoint.h"
#include "crypto/digest.h"
#include "store/copy/tables.h"
#include "store/postgres/connection.h"
#include "store/postgres/evidence_partitions.h"
#include "store/postgres/migrations.h"
#include "store/postgres/postgres_engine.h"
#include "store/sqlite/file_lock.h"
#include "store/sqlite/migrations.h"
#include "store/sqlite/sqlite.h"
#include "store/sqlite/sqlite_engine.h"

namespace postern::store::copy {
namespace {

using postgres::Array;
using postgres::Connection;
using postgres::Parameters;
using postgres::Type;

constexpr std::size_t kLotBytesMax = 4UL << 20;
constexpr std::size_t kDigestBlock = 64UL << 10;
constexpr int kMonthsAhead = 2;
constexpr std::int64_t kIdBlock = 64;  ///< see postgres/schema.cpp
/// A server that is busy flushing, or ending what a killed run had under way.
constexpr std::chrono::seconds kStatementLimit{120};
constexpr std::chrono::seconds kAnswerLimit{150};
// "Post"; of the two-number kind, held by the connection. Waiting for it also waits for the last
// statement of a run that was killed.
constexpr const char* kLock = "SELECT pg_advisory_lock(1349481332, 3)";

[[nodiscard]] Type type_of(Column::Kind kind) {
  switch (kind) {
    case Column::Kind::kInteger:
      return Type::kBigint;
    case Column::Kind::kText:
      return Type::kText;
    case Column::Kind::kBytes:
      return Type::kBytea;
  }
  return Type::kBytea;
}

[[nodiscard]] std::string_view type_name(Column::Kind kind) {
  constexpr std::array<std::string_view, 3> kNames = {"bigint", "text", "bytea"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// Chained over blocks that only the content decides, since one run of rows may not fit memory.
class Digest {
 public:
  void add(std::string_view bytes) {
    block_ += bytes;
    if (block_.size() >= kDigestBlock) turn();
  }
  [[nodiscard]] std::string take() {
    turn();
    return std::move(block_);
  }

 private:
  void turn() { block_ = crypto::digest(crypto::DigestAlgorithm::kSha256, block_); }
  std::string block_;
};

/// The rows of one table of the source, in the order of their keys.
class SourceRows {
 public:
  [[nodiscard]] static Result<SourceRows> from(sqlite::Database& database, const Table& table,
                                               std::int64_t first) {
    const bool two = table.key == Table::Key::kFirstTwo;
    const std::string_view key = table.columns.front().name;
    SourceRows rows;
    POSTERN_ASSIGN_OR_RETURN(
        rows.statement_,
        database.prepare(fmt::format("SELECT {} FROM {} WHERE {} >= ? ORDER BY {}{}{}",
                                     column_list(table), table.source, key, key, two ? ", " : "",
                                     two ? table.columns[1].name : "")));
    rows.statement_.bind(first);
    return rows;
  }
  /// Nothing: there are no more. Valid until the next call.
  [[nodiscard]] Result<const sql::RowView*> next() {
    POSTERN_ASSIGN_OR_RETURN(const bool more, statement_.step());
    return more ? &statement_ : nullptr;
  }

 private:
  sqlite::Statement statement_;
};

/// The same of the target, read page by page.
class TargetRows {
 public:
  [[nodiscard]] static Result<TargetRows> from(Connection& connection, const Table& table) {
    TargetRows rows(connection, table);
    const std::string_view key = table.columns.front().name;
    // Texts in the order of their bytes, as in the source.
    const std::string sql =
        table.key == Table::Key::kFirst
            ? fmt::format("SELECT {0} FROM {1} WHERE {2} > $1::bigint ORDER BY {2} LIMIT {3}",
                          column_list(table), table.name, key, table.rows_max)
            : fmt::format(
                  "SELECT {0} FROM {1} WHERE {2} >= $1::bigint AND ({2} > $1::bigint OR "
                  "{3} COLLATE \"C\" > $2::text) ORDER BY {2}, {3} COLLATE \"C\" LIMIT {4}",
                  column_list(table), table.name, key, table.columns[1].name, table.rows_max);
    POSTERN_ASSIGN_OR_RETURN(rows.page_of_, connection.prepare(sql));
    return rows;
  }
  /// Nothing: there are no more. Valid until the next call.
  [[nodiscard]] Result<const sql::RowView*> next() {
    if (!page_ || (index_ == page_->size() && index_ > 0)) POSTERN_RETURN_IF_ERROR(turn());
    if (index_ == page_->size()) return nullptr;
    row_ = page_->row(index_++);
    return &*row_;
  }

 private:
  TargetRows(Connection& connection, const Table& table)
      : connection_(&connection), table_(&table) {}

  [[nodiscard]] Result<void> turn() {
    const bool two = table_->key == Table::Key::kFirstTwo;
    Parameters after;
    after.add(row_ ? row_->integer(0) : 0);
    if (two) after.add(row_ ? row_->text(1) : std::string_view());
    row_.reset();
    POSTERN_ASSIGN_OR_RETURN(page_, connection_->ask(page_of_, after));
    index_ = 0;
    return {};
  }

  Connection* connection_;
  const Table* table_;
  postgres::Prepared page_of_;
  std::optional<postgres::Rows> page_;
  int index_ = 0;
  std::optional<postgres::Row> row_;  ///< the one given last
};

/// Rows on their way to one table.
class Lot {
 public:
  explicit Lot(const Table& table) : table_(table) { clear(); }

  void add(const sql::RowView& row) {
    if (rows_ == 0) first_ = row.integer(0);
    last_ = row.integer(0);
    ++rows_;
    for (std::size_t i = 0; i < columns_.size(); ++i) add(static_cast<int>(i), row);
  }
  [[nodiscard]] bool is_full() const { return rows_ >= table_.rows_max || bytes_ >= kLotBytesMax; }
  [[nodiscard]] int rows() const { return rows_; }
  [[nodiscard]] std::string ids() const { return fmt::format("{} to {}", first_, last_); }
  /// The lot is empty afterwards.
  [[nodiscard]] Parameters take() {
    Parameters parameters;
    for (Array& column : columns_) parameters.add(std::move(column));
    clear();
    return parameters;
  }

 private:
  void add(int at, const sql::RowView& row) {
    Array& column = columns_[static_cast<std::size_t>(at)];
    if (row.is_null(at)) {
      column.add_null();
      return;
    }
    if (table_.columns[static_cast<std::size_t>(at)].kind == Column::Kind::kInteger) {
      column.add(row.integer(at));
      return;
    }
    const std::string_view value = row.blob(at);
    column.add(value);
    bytes_ += value.size();
  }

  void clear() {
    columns_.clear();
    for (const Column& column : table_.columns) columns_.emplace_back(type_of(column.kind));
    rows_ = 0;
    bytes_ = 0;
  }

  const Table& table_;
  std::vector<Array> columns_;
  int rows_ = 0;
  std::size_t bytes_ = 0;
  std::int64_t first_ = 0;
  std::int64_t last_ = 0;
};

class Copier {
 public:
  Copier(const Order& order, sqlite::Database source, Connection target, const Clock& clock,
         const OnProgress& on_progress)
      : order_(order),
        source_(std::move(source)),
        target_(std::move(target)),
        clock_(clock),
        on_progress_(on_progress) {}

  [[nodiscard]] Result<Report> run();

 private:
  /// Whether there is anything to do.
  [[nodiscard]] Result<bool> claim();
  [[nodiscard]] Result<void> count();
  [[nodiscard]] Result<void> copy(const Table& table);
  /// Writes a lot, if there is any row.
  [[nodiscard]] Result<void> flush(const Table& table, const postgres::Prepared& insert, Lot& lot);
  [[nodiscard]] Result<void> make_partition(TimePoint received_at);
  [[nodiscard]] Result<void> set_sequence();
  [[nodiscard]] Result<void> verify(const Table& table);
  [[nodiscard]] Result<void> finish();
  void tell(Progress::Stage stage, const Table& table) {
    on_progress_({.stage = stage, .table = table.name, .rows = rows_, .rows_total = rows_total_});
  }

  const Order& order_;
  sqlite::Database source_;
  Connection target_;
  const Clock& clock_;
  const OnProgress& on_progress_;
  Report report_;
  std::int64_t rows_ = 0;
  std::int64_t rows_total_ = 0;
  std::set<std::chrono::year_month> months_;  ///< whose partitions are there
};

Result<Report> Copier::run() {
  POSTERN_ASSIGN_OR_RETURN(report_.tag, source_.text("SELECT value FROM meta WHERE name = 'tag'"));
  POSTERN_ASSIGN_OR_RETURN(const bool incomplete, claim());
  if (!incomplete) {
    report_.outcome = Report::Outcome::kAlreadyComplete;
    return std::move(report_);
  }
  POSTERN_RETURN_IF_ERROR(count());
  POSTERN_RETURN_IF_ERROR(postgres::make_evidence_partitions(target_, clock_.now(), kMonthsAhead));
  for (const Table& table : tables()) POSTERN_RETURN_IF_ERROR(copy(table));
  POSTERN_RETURN_IF_ERROR(set_sequence());
  rows_ = 0;
  for (const Table& table : tables()) {
    POSTERN_RETURN_IF_ERROR(verify(table));
    if (!report_.difference) continue;
    report_.outcome = Report::Outcome::kDifferent;
    return std::move(report_);
  }
  POSTERN_RETURN_IF_ERROR(finish());
  return std::move(report_);
}

/// One statement: a database has the tag of this store only if it has had the mark as well.
Result<bool> Copier::claim() {
  POSTERN_ASSIGN_OR_RETURN(
      const postgres::Rows claimed,
      target_.ask(fmt::format("WITH made AS (INSERT INTO meta (name, value) VALUES ('tag', "
                              "$1::text) ON CONFLICT DO NOTHING RETURNING 1) INSERT INTO meta "
                              "(name, value) SELECT '{}', $2::text FROM made",
                              postgres::kCopyingMark),
                  Parameters()
                      .add(std::string_view(report_.tag))
                      .add(std::string_view(format_rfc3339(clock_.now())))));
  POSTERN_ASSIGN_OR_RETURN(const std::string tag,
                           target_.text("SELECT value FROM meta WHERE name = 'tag'"));
  if (tag != report_.tag) {
    return fault("store_foreign",
                 fmt::format("the database holds another store ({}; the file is {}): make an empty "
                             "database, and start no daemon on it before the copy",
                             tag, report_.tag));
  }
  const Result<void> complete = postgres::check_complete(target_);
  if (complete) return false;
  if (complete.error().code != postgres::kBeingCopied) return std::unexpected(complete.error());
  return true;
}

Result<void> Copier::count() {
  for (const Table& table : tables()) {
    // What a subquery stands for is counted without reading it.
    const std::string_view rows = table.name == kEvidence ? "callbacks" : table.source;
    POSTERN_ASSIGN_OR_RETURN(const std::int64_t some,
                             source_.integer(fmt::format("SELECT count(*) FROM {}", rows)));
    rows_total_ += some;
  }
  return {};
}

Result<void> Copier::copy(const Table& table) {
  const bool two = table.key == Table::Key::kFirstTwo;
  const std::string_view key = table.columns.front().name;
  POSTERN_ASSIGN_OR_RETURN(
      const postgres::Rows last,
      target_.ask(fmt::format("SELECT coalesce(max({}), 0) FROM {}", key, table.name), {}));
  // Of rows that share a key some may be missing; those that are there are passed over.
  const std::int64_t first = last.row(0).integer(0) + (two ? 0 : 1);
  POSTERN_ASSIGN_OR_RETURN(const std::int64_t there,
                           source_.integer(fmt::format("SELECT count(*) FROM {} WHERE {} < {}",
                                                       table.source, key, first)));
  rows_ += there;

  std::string arrays;
  for (const Column& column : table.columns) {
    arrays += fmt::format("{}${}::{}[]", arrays.empty() ? "" : ", ",
                          &column - table.columns.data() + 1, type_name(column.kind));
  }
  POSTERN_ASSIGN_OR_RETURN(const postgres::Prepared insert,
                           target_.prepare(fmt::format(
                               "INSERT INTO {} ({}) SELECT * FROM unnest({}){}", table.name,
                               column_list(table), arrays, two ? " ON CONFLICT DO NOTHING" : "")));
  POSTERN_ASSIGN_OR_RETURN(SourceRows rows, SourceRows::from(source_, table, first));
  Lot lot(table);
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const sql::RowView* const row, rows.next());
    if (row == nullptr) break;
    if (table.name == kEvidence) {
      POSTERN_RETURN_IF_ERROR(
          make_partition(TimePoint(std::chrono::milliseconds(row->integer(1)))));
    }
    lot.add(*row);
    if (lot.is_full()) POSTERN_RETURN_IF_ERROR(flush(table, insert, lot));
  }
  return flush(table, insert, lot);
}

Result<void> Copier::flush(const Table& table, const postgres::Prepared& insert, Lot& lot) {
  const int count = lot.rows();
  if (count > 0) {
    const std::string ids = lot.ids();
    const Result<postgres::Rows> written = target_.ask(insert, lot.take());
    if (!written) {
      Error error = written.error();
      error.detail = fmt::format("{}, rows {}: {}", table.name, ids, error.detail);
      return std::unexpected(std::move(error));
    }
    rows_ += count;
    report_.rows_copied += written->changed();
    failpoint("copied");
  }
  tell(Progress::Stage::kCopying, table);
  return {};
}

Result<void> Copier::make_partition(TimePoint received_at) {
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(received_at)};
  if (!months_.insert(day.year() / day.month()).second) return {};
  return postgres::make_evidence_partitions(target_, received_at, 0);
}

/// What is drawn next is above all ids of the file.
Result<void> Copier::set_sequence() {
  std::int64_t largest = 0;
  for (const Table& table : tables()) {
    if (table.columns.front().name != "id") continue;
    POSTERN_ASSIGN_OR_RETURN(
        const std::int64_t last,
        source_.integer(fmt::format("SELECT coalesce(max(id), 0) FROM {}", table.source)));
    largest = std::max(largest, last);
  }
  const std::int64_t block = (largest + kIdBlock - 1) / kIdBlock * kIdBlock;
  POSTERN_ASSIGN_OR_RETURN(
      const postgres::Rows set,
      target_.ask("SELECT setval('row_ids', greatest(last_value, $1::bigint)) FROM row_ids",
                  Parameters().add(block)));
  return {};
}

Result<void> Copier::verify(const Table& table) {
  POSTERN_ASSIGN_OR_RETURN(SourceRows sources, SourceRows::from(source_, table, 0));
  POSTERN_ASSIGN_OR_RETURN(TargetRows targets, TargetRows::from(target_, table));
  TableVerified verified{.name = table.name};
  Digest digest;
  std::string expected;
  std::string found;
  const auto differ = [&](std::int64_t id, std::string_view what) -> Result<void> {
    report_.difference = Difference{.table = table.name, .id = id, .what = what};
    return {};
  };
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const sql::RowView* const source, sources.next());
    POSTERN_ASSIGN_OR_RETURN(const sql::RowView* const target, targets.next());
    if (source == nullptr && target == nullptr) break;
    const bool is_missing =
        target == nullptr || (source != nullptr && source->integer(0) < target->integer(0));
    if (is_missing) return differ(source->integer(0), "missing in the database");
    if (source == nullptr || target->integer(0) < source->integer(0)) {
      return differ(target->integer(0), "not in the file");
    }
    expected.clear();
    found.clear();
    encode(table, *source, expected);
    encode(table, *target, found);
    if (expected != found) return differ(source->integer(0), "not the same");
    digest.add(expected);
    ++rows_;
    if (++verified.rows % table.rows_max == 0) tell(Progress::Stage::kVerifying, table);
  }
  tell(Progress::Stage::kVerifying, table);
  verified.sha256 = digest.take();
  report_.tables.push_back(std::move(verified));
  return {};
}

/// By a connection of its own, the only one that writes.
[[nodiscard]] Result<void> close_source(const Order& order) {
  POSTERN_ASSIGN_OR_RETURN(sqlite::Database database,
                           sqlite::Database::open(order.file, sqlite::Access::kReadWrite, ""));
  sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  POSTERN_RETURN_IF_ERROR(
      database.run("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = FULL;"));
  POSTERN_ASSIGN_OR_RETURN(
      sqlite::Statement mark,
      database.prepare("INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE "
                       "SET value = excluded.value"));
  const std::string to = postgres::describe_url(order.url);
  mark.bind(sqlite::kMovedMark, std::string_view(to));
  return mark.run();
}

/// The file first: at no time are there two stores that a daemon would serve.
Result<void> Copier::finish() {
  failpoint("copy_verified");
  POSTERN_RETURN_IF_ERROR(close_source(order_));
  failpoint("copy_closed");
  POSTERN_RETURN_IF_ERROR(target_.run("RESET synchronous_commit"));
  (void)target_.take_warning();
  POSTERN_RETURN_IF_ERROR(
      target_.run(fmt::format("DELETE FROM meta WHERE name = '{}'", postgres::kCopyingMark)));
  if (!target_.take_warning()) return {};
  return retryable("store_not_confirmed",
                   "the copy is complete, but no standby has confirmed it: look at the standby "
                   "before a daemon is started");
}

/// @errors as copy_store
[[nodiscard]] Result<sqlite::Database> open_source(const std::string& file) {
  POSTERN_ASSIGN_OR_RETURN(sqlite::Database database,
                           sqlite::Database::open(file, sqlite::Access::kReadOnly, ""));
  sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  POSTERN_RETURN_IF_ERROR(database.run(
      "PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;"));
  POSTERN_RETURN_IF_ERROR(sqlite::check_owner(database));
  POSTERN_ASSIGN_OR_RETURN(const MigrationPlan plan,
                           sqlite::plan_migrations(database, sqlite::migrations()));
  if (plan.expand.empty()) return database;
  return fault("store_older",
               "the file has been written by an earlier version: start this version on it once, "
               "stop it, and copy then");
}

[[nodiscard]] Result<Connection> open_target(const Order& order, const Clock& clock) {
  POSTERN_RETURN_IF_ERROR(postgres::check_url(order.url));
  POSTERN_ASSIGN_OR_RETURN(Connection connection,
                           Connection::open({.url = order.url,
                                             .password = order.password,
                                             .name = "postern copy",
                                             .statement_timeout = kStatementLimit,
                                             .answer_timeout = kAnswerLimit}));
  POSTERN_RETURN_IF_ERROR(connection.run("SET synchronous_commit = off"));
  POSTERN_RETURN_IF_ERROR(connection.run(kLock));
  POSTERN_RETURN_IF_ERROR(postgres::migrate(connection, postgres::migrations(),
                                            postgres::Apply::kExpanding, clock.now()));
  return connection;
}

}  // namespace

Result<Report> copy_store(const Order& order, const Clock& clock, const OnProgress& on_progress) {
  // Looked for first: taking the lock makes a file beside it.
  std::error_code unreadable;
  if (!std::filesystem::is_regular_file(order.file, unreadable)) {
    return fault("store_cannot_open", fmt::format("there is no file {}", order.file));
  }
  POSTERN_RETURN_IF_ERROR(sqlite::check_only_ours(order.file));
  POSTERN_ASSIGN_OR_RETURN(const sqlite::FileLock lock,
                           sqlite::FileLock::take(order.file + ".lock"));
  POSTERN_ASSIGN_OR_RETURN(sqlite::Database source, open_source(order.file));
  POSTERN_ASSIGN_OR_RETURN(Connection target, open_target(order, clock));
  return Copier(order, std::move(source), std::move(target), clock, on_progress).run();
}

}  // namespace postern::store::copy
