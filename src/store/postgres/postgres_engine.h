#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limiter.h"
#include "base/metrics.h"
#include "base/random.h"
#include "store/batch.h"
#include "store/postgres/connection.h"
#include "store/postgres/database_clock.h"
#include "store/postgres/loader.h"
#include "store/postgres/postgres_store.h"
#include "store/postgres/row_writer.h"

namespace postern::store::postgres {

/// How the server keeps what it has answered.
struct Guarantee {
  std::string synchronous_commit;
  std::string standbys;  ///< synchronous_standby_names
  std::string fsync;
  std::string full_page_writes;
  /// One sentence for the operator.
  [[nodiscard]] std::string text() const;
  friend bool operator==(const Guarantee&, const Guarantee&) = default;
};

/// Name of the row of `meta` that says that the database is not complete yet: postern copy is
/// filling it, or was interrupted. While it stands there nobody writes or reads but the copy.
inline constexpr std::string_view kCopyingMark = "copying";

/// Code of an error that says so.
inline constexpr std::string_view kBeingCopied = "store_being_copied";

/// @errors kRetryable kBeingCopied; as Connection
[[nodiscard]] Result<void> check_complete(Connection& connection);

/// @errors kFault store_option_refused: acked callbacks could be lost, and nobody has said by name
///         that this is meant
[[nodiscard]] Result<void> check_guarantee(const Guarantee& guarantee,
                                           const std::string& accept_synchronous_commit);

[[nodiscard]] ConnectOptions connect_options(const PostgresOptions& options, std::string name);

/// Writes batches over one connection, which it opens again after it was lost. @thread one
class PostgresEngine final : public Engine, public RowIds {
 public:
  /// Connects, checks the server and brings the schema up to date. A database that is being copied
  /// to is waited for: until it is complete there is no connection.
  /// Lifetime: clock, log and metrics outlive the engine. @errors as open_postgres
  [[nodiscard]] static Result<std::unique_ptr<PostgresEngine>> open(PostgresOptions options,
                                                                    const Clock& clock,
                                                                    Random& random, Log& log,
                                                                    Metrics& metrics);

  ~PostgresEngine() override;

  Result<void> begin() override;
  Result<void> load(const KeySet& keys, WorkingSet& working) override;
  Result<void> write(const Writes& writes) override;
  Commit commit() override;
  void rollback() override;
  void tidy() override;
  std::chrono::milliseconds tidy_every() const override;
  const std::optional<Error>& failure() const override { return failure_; }

  RowId next(Table table) override;

  [[nodiscard]] const std::string& tag() const { return tag_; }
  /// Whether there is a connection, as far as is known. @thread any
  [[nodiscard]] bool is_connected() const { return is_connected_; }
  [[nodiscard]] const DatabaseClock& clock() const { return database_clock_; }

 private:
  struct Session;

  PostgresEngine(PostgresOptions options, const Clock& clock, Log& log, Metrics& metrics);
  [[nodiscard]] Result<void> set_up(Random& random);
  [[nodiscard]] Result<void> connect();
  /// Once in a while, or after it was lost.
  void reconnect();
  [[nodiscard]] Result<void> check_server();
  [[nodiscard]] Result<void> note_server();
  [[nodiscard]] Result<void> look_at_clock();
  void keep_partitions();
  /// Takes note of a lost connection or of damage.
  [[nodiscard]] Result<void> note(Result<void> result);
  void lose(const Error& error);

  const PostgresOptions options_;
  const Clock& clock_;
  Log& log_;
  Histogram& commit_seconds_;
  Gauge& connected_gauge_;
  Counter& reconnects_;
  DatabaseClock database_clock_;
  std::string tag_;
  std::unique_ptr<Session> session_;  ///< nothing while there is no connection
  std::atomic<bool> is_connected_ = false;
  MonotonicTime connect_next_{};  ///< not before
  MonotonicTime look_next_{};     ///< at clock and partitions
  LogLimiter refusals_{5, std::chrono::milliseconds(10'000)};
  std::optional<Error> failure_;

  // Row ids of the transaction at hand.
  std::vector<RowId> blocks_;  ///< the last numbers of blocks
  std::size_t block_ = 0;
  RowId last_id_ = 0;
  bool is_out_of_ids_ = false;
  bool is_answer_ = false;  ///< somebody waits for what its commands found
};

}  // namespace postern::store::postgres
