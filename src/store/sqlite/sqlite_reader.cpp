#include "store/sqlite/sqlite_reader.h"

#include <sqlite3.h>

#include <string>
#include <unordered_map>
#include <utility>
#include <variant>

#include "store/sql/columns.h"
#include "store/sql/source.h"
#include "store/sql/sql_reader.h"
#include "store/sqlite/sqlite.h"

namespace postern::store::sqlite {
namespace {

constexpr sql::Dialect kDialect = {
    .integer_parameter = "?{}",
    .text_parameter = "?{}",
    .contains = "instr({}, {}) > 0",
    .callback_tables = "callbacks c LEFT JOIN copies k ON k.callback_id = c.id",
    .raw = "c",
};

class SqliteSource final : public sql::Source {
 public:
  explicit SqliteSource(Database database) : database_(std::move(database)) {}

  const sql::Dialect& dialect() const override { return kDialect; }
  Result<void> ask(const sql::Query& query, const OnRow& on_row) override;
  /// One connection writes and takes its ids in the order of its commits, so that none is skipped.
  Result<void> ask_settled(const std::function<sql::Query(std::optional<RowId>)>& query_until,
                           const OnRow& on_row) override {
    return ask(query_until(std::nullopt), on_row);
  }

 private:
  /// A statement kept for this text. There are few texts, so none is ever thrown away.
  [[nodiscard]] Result<Statement*> statement(const std::string& sql);

  Database database_;
  std::unordered_map<std::string, Statement> statements_;
};

Result<Statement*> SqliteSource::statement(const std::string& sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return &found->second;
  POSTERN_ASSIGN_OR_RETURN(Statement made, database_.prepare(sql));
  return &statements_.emplace(sql, std::move(made)).first->second;
}

Result<void> SqliteSource::ask(const sql::Query& query, const OnRow& on_row) {
  POSTERN_ASSIGN_OR_RETURN(Statement* const running, statement(query.sql()));
  const Reading until_done(*running);
  int index = 0;
  for (const sql::Value& value : query.values()) {
    std::visit([&](const auto& one) { running->bind_at(++index, one); }, value);
  }
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, running->step());
    if (!more) return {};
    const Result<void> read = on_row(*running);
    if (read) continue;
    if (read.error().code != sql::kRowOfLaterVersion) return read;
    return fault("store_corrupt", read.error().detail);  // see SqliteEngine::note
  }
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
  return sql::read_from(std::make_unique<SqliteSource>(*std::move(database)), std::move(on_doubt));
}

}  // namespace postern::store::sqlite
