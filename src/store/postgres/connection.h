#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "store/batch.h"
#include "store/postgres/parameters.h"
#include "store/sql/row_view.h"

struct pg_conn;
struct pg_result;

namespace postern::store::postgres {

/// Code of an error that says that the connection is gone.
inline constexpr std::string_view kUnreachable = "store_unreachable";

/// One of the rows that a statement gave. Lifetime: used while its Rows live.
class Row final : public sql::RowView {
 public:
  Row(const pg_result* result, int index) : result_(result), index_(index) {}
  [[nodiscard]] bool is_null(int column) const override;
  /// Of any width.
  [[nodiscard]] std::int64_t integer(int column) const override;
  [[nodiscard]] std::string_view text(int column) const override;
  [[nodiscard]] std::string_view blob(int column) const override { return text(column); }

 private:
  const pg_result* result_;
  int index_;
};

/// What one statement gave, in binary.
class Rows {
 public:
  explicit Rows(pg_result* result) : result_(result) {}
  [[nodiscard]] int size() const;
  [[nodiscard]] Row row(int index) const { return {result_.get(), index}; }
  /// How many rows an INSERT, UPDATE or DELETE changed.
  [[nodiscard]] std::int64_t changed() const;
  /// What was done, such as "COMMIT".
  [[nodiscard]] std::string_view tag() const;

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

struct ConnectOptions {
  std::string url;   ///< as libpq takes it: several hosts, TLS and so on
  Secret password;   ///< may be empty
  std::string name;  ///< shown by the server as application_name
  std::chrono::milliseconds connect_timeout{3000};
  /// How long a statement may take, and how long it may wait for a lock or for its client.
  std::chrono::milliseconds statement_timeout{10000};
  /// How long an answer of the server is waited for before the statement is cancelled, and the
  /// connection given up.
  std::chrono::milliseconds answer_timeout{15000};
};

/// A statement kept prepared on its connection.
struct Prepared {
  std::string name;
};

/// One connection to a PostgreSQL server that takes writes, in libpq's pipeline mode: statements
/// are sent one behind the other and their answers read together, so that a batch costs few trips.
///
/// Errors: kRejected, a row cannot be written as it is (class 22, 23 and 54); kRetryable kConflict,
/// kUnreachable and others, nothing is in doubt; kFault store_corrupt, the server found its data
/// damaged. After a lost connection every call answers kUnreachable.
///
/// @thread one; calls block until the server has answered, or `answer_timeout` is over
class Connection {
 public:
  /// @errors kRetryable kUnreachable; kFault store_option_refused where the URL cannot be read
  [[nodiscard]] static Result<Connection> open(const ConnectOptions& options);
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;
  ~Connection();

  /// Runs statements without parameters or rows, such as a step of the schema.
  [[nodiscard]] Result<void> run(const std::string& script);
  [[nodiscard]] Result<Rows> ask(const std::string& sql, const Parameters& parameters);
  /// The first column of the first row, as text.
  [[nodiscard]] Result<std::string> text(const std::string& sql);

  [[nodiscard]] Result<Prepared> prepare(const std::string& sql);
  [[nodiscard]] Result<Rows> ask(const Prepared& statement, const Parameters& parameters);

  /// Queues a statement; its rows stand at the same place in what `answers` gives.
  void send(const Prepared& statement, const Parameters& parameters);
  /// Sends what is queued and waits for all of it. After the first error the server passes over the
  /// rest, and that error is given.
  [[nodiscard]] Result<std::vector<Rows>> answers();

  /// Gives the connection up; whatever was under way is not known.
  void close();
  /// Whether the last thing known is that the server is there.
  [[nodiscard]] bool is_open() const;
  /// Whether the server said, since it was asked last, that something is not as durable as it was
  /// to be: a COMMIT that no standby has confirmed is answered so.
  [[nodiscard]] bool take_warning();

 private:
  struct State;
  explicit Connection(std::unique_ptr<State> state);
  [[nodiscard]] Result<void> set_up(const ConnectOptions& options);
  /// Sends what libpq holds, until all of it is on its way or nothing moves.
  [[nodiscard]] Result<void> wait_until_readable();
  void cancel();
  [[nodiscard]] Error lost(std::string_view why);

  std::unique_ptr<State> state_;
};

}  // namespace postern::store::postgres
