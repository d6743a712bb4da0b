#include "store/sqlite/sqlite.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <mutex>

namespace postern::store::sqlite {
namespace {

/// Once per process, before the library starts: its memory statistics cost a lock per allocation.
void configure_library() {
  static std::once_flag once;
  std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

[[nodiscard]] ErrorClass class_of(int code) {
  if (code == SQLITE_IOERR_NOMEM) return ErrorClass::kRetryable;
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return ErrorClass::kRejected;
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
      return ErrorClass::kRetryable;
    default:
      return ErrorClass::kFault;
  }
}

[[nodiscard]] std::string_view code_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return "store_row_refused";
    case SQLITE_FULL:
      return "store_disk_full";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "store_busy";
    case SQLITE_NOMEM:
      return "store_out_of_memory";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "store_corrupt";
    default:
      return "store_io_failed";
  }
}

}  // namespace

Error error_of(sqlite3* db, int code, std::string_view doing) {
  const char* message = db == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db);
  return Error{class_of(code), code_of(code),
               fmt::format("SQLite answered {} ({}) to: {}", code, message, doing)};
}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Statement::~Statement() {
  sqlite3_finalize(handle_);
}

// A bad index or a bind while running is a mistake of ours, which the step that follows reports.
void Statement::bind_at(int index, std::int64_t value) {
  sqlite3_bind_int64(handle_, index, value);
}

void Statement::bind_at(int index, std::string_view text) {
  // A null pointer would bind NULL where an empty text is meant.
  sqlite3_bind_text64(handle_, index, text.data() == nullptr ? "" : text.data(), text.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
}

void Statement::bind_at(int index, Blob blob) {
  sqlite3_bind_blob64(handle_, index, blob.bytes.data() == nullptr ? "" : blob.bytes.data(),
                      blob.bytes.size(), SQLITE_STATIC);
}

void Statement::bind_at(int index, std::nullopt_t /*none*/) {
  sqlite3_bind_null(handle_, index);
}

void Statement::bind_at(int index, Reference reference) {
  if (reference.id == 0) return bind_at(index, std::nullopt);
  bind_at(index, reference.id);
}

void Statement::bind_at(int index, OptionalText text) {
  if (text.text.empty()) return bind_at(index, std::nullopt);
  bind_at(index, text.text);
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3* db = sqlite3_db_handle(handle_);
  const char* sql = sqlite3_sql(handle_);
  return std::unexpected(error_of(db, code, sql == nullptr ? "" : sql));
}

Result<void> Statement::run() {
  const Reading until_done(*this);
  POSTERN_RETURN_IF_ERROR(step());
  return {};
}

void Statement::reset() {
  sqlite3_reset(handle_);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

std::string_view Statement::text(int column) const {
  const auto* begin = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (begin == nullptr) return {};
  return {begin, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

std::string_view Statement::blob(int column) const {
  const auto* begin = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  if (begin == nullptr) return {};
  return {begin, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

Result<Database> Database::open(const std::string& path, Access access, const std::string& vfs) {
  configure_library();
  const int mode = access == Access::kReadOnly ? SQLITE_OPEN_READONLY
                                               : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                      vfs.empty() ? nullptr : vfs.c_str());
  Database database(handle);
  if (code != SQLITE_OK) return std::unexpected(error_of(handle, code, "open " + path));
  return database;
}

Database& Database::operator=(Database&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Database::~Database() {
  sqlite3_close_v2(handle_);
}

Result<void> Database::run(const char* script) {
  const int code = sqlite3_exec(handle_, script, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error_of(handle_, code, script));
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error_of(handle_, code, sql));
  return Statement(statement);
}

Result<std::int64_t> Database::integer(std::string_view sql) {
  POSTERN_ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  POSTERN_ASSIGN_OR_RETURN(const bool found, statement.step());
  if (!found) return fault("store_corrupt", fmt::format("no answer to: {}", sql));
  return statement.integer(0);
}

Result<std::string> Database::text(std::string_view sql) {
  POSTERN_ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  POSTERN_ASSIGN_OR_RETURN(const bool found, statement.step());
  if (!found) return fault("store_corrupt", fmt::format("no answer to: {}", sql));
  return std::string(statement.text(0));
}

int Database::changes() const {
  return sqlite3_changes(handle_);
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(handle_) == 0;
}

}  // namespace postern::store::sqlite
