#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "store/rows.h"
#include "store/sql/row_view.h"

struct sqlite3;
struct sqlite3_stmt;

namespace postern::store::sqlite {

/// Bytes to bind or read as a blob.
struct Blob {
  std::string_view bytes;
};

/// A text that is stored as NULL where it is empty.
struct OptionalText {
  std::string_view text;
};

/// A row id that may be zero for "none", which is stored as NULL.
struct Reference {
  RowId id;
};

/// Makes an error out of what SQLite answered last on `db`.
///
/// kRejected: a row cannot be written as it is (constraint, type, size). kRetryable: the disk is
/// full, the file is locked or memory is short; nothing is in doubt. kFault: everything else, so
/// that an answer nobody thought of counts as a doubt about the storage.
[[nodiscard]] Error error_of(sqlite3* db, int code, std::string_view doing);

/// A statement kept prepared. Texts and blobs are bound without a copy: they must stay as they are
/// until the statement has been run, or reset. As a RowView it is the row at hand.
/// @thread that of its database
class Statement final : public sql::RowView {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}
  Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept;
  ~Statement() override;

  /// Binds the parameters from the first on.
  template <class... Values>
  void bind(const Values&... values) {
    bind_from(1, values...);
  }
  template <class... Values>
  void bind_from(int index, const Values&... values) {
    (bind_at(index++, values), ...);
  }
  void bind_at(int index, std::int64_t value);
  void bind_at(int index, std::string_view text);
  void bind_at(int index, Blob blob);
  void bind_at(int index, std::nullopt_t none);
  void bind_at(int index, Reference reference);
  void bind_at(int index, OptionalText text);
  void bind_at(int index, TimePoint time) { bind_at(index, time.time_since_epoch().count()); }

  /// Whether there is a further row. @errors as error_of
  [[nodiscard]] Result<bool> step();
  /// Runs a statement that gives no rows, and resets it. @errors as error_of
  [[nodiscard]] Result<void> run();
  void reset();

  // Views stay valid until the next step or reset.
  [[nodiscard]] bool is_null(int column) const override;
  [[nodiscard]] std::int64_t integer(int column) const override;
  [[nodiscard]] std::string_view text(int column) const override;
  [[nodiscard]] std::string_view blob(int column) const override;

 private:
  sqlite3_stmt* handle_ = nullptr;
};

/// Resets a statement when the reading of its rows is over.
class Reading {
 public:
  explicit Reading(Statement& statement) : statement_(statement) {}
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() { statement_.reset(); }

 private:
  Statement& statement_;
};

enum class Access : unsigned char { kReadOnly, kReadWrite };

/// One connection. Statements made from it must go before it does. @thread one
class Database {
 public:
  /// @param vfs  name of a registered file system; empty: the host's
  /// @errors as error_of
  [[nodiscard]] static Result<Database> open(const std::string& path, Access access,
                                             const std::string& vfs);
  Database(Database&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Database& operator=(Database&& other) noexcept;
  ~Database();

  /// Runs a script whose rows, if any, do not matter. @errors as error_of
  [[nodiscard]] Result<void> run(const char* script);
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  /// The first column of the first row. @errors as error_of; kFault where there is no row
  [[nodiscard]] Result<std::int64_t> integer(std::string_view sql);
  [[nodiscard]] Result<std::string> text(std::string_view sql);

  /// Rows that the last INSERT, UPDATE or DELETE changed.
  [[nodiscard]] int changes() const;
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] sqlite3* handle() const { return handle_; }

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  sqlite3* handle_ = nullptr;
};

}  // namespace postern::store::sqlite
