#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "store/batch.h"
#include "store/sqlite/audit_tables.h"
#include "store/sqlite/delivery_tables.h"
#include "store/sqlite/fact_keys.h"
#include "store/sqlite/loader.h"
#include "store/sqlite/row_writer.h"
#include "store/sqlite/sqlite.h"
#include "store/sqlite/sqlite_store.h"

namespace postern::store::sqlite {

/// Name of the row of `meta` that says where postern copy has moved the store. The file is not
/// opened any more: it would take for new what the other store has acked since.
inline constexpr std::string_view kMovedMark = "moved_to";

/// The one connection that writes. It also gives out the row ids: counters that start above the
/// largest id of each table. (So whatever prunes a table has to leave its newest row.)
///
/// @thread one at a time
class SqliteEngine final : public Engine, public RowIds {
 public:
  /// Opens or creates the file and brings its schema up to date.
  /// @errors as open_sqlite, except store_locked
  [[nodiscard]] static Result<std::unique_ptr<SqliteEngine>> open(const SqliteOptions& options,
                                                                  const Clock& clock,
                                                                  Random& random, Log& log,
                                                                  Metrics& metrics);
  SqliteEngine(const SqliteEngine&) = delete;
  SqliteEngine& operator=(const SqliteEngine&) = delete;
  ~SqliteEngine() override;

  [[nodiscard]] Result<void> begin() override;
  [[nodiscard]] Result<void> load(const KeySet& keys, WorkingSet& working) override;
  [[nodiscard]] Result<void> write(const Writes& writes) override;
  [[nodiscard]] Commit commit() override;
  void rollback() override;
  /// Copies the log into the file where it has grown long enough.
  void tidy() override;
  [[nodiscard]] const std::optional<Error>& failure() const override { return failure_; }

  [[nodiscard]] RowId next(Table table) override;

  [[nodiscard]] const std::string& tag() const { return tag_; }
  /// For tests that look at the file itself.
  [[nodiscard]] Database& database() { return database_; }

 private:
  SqliteEngine(Database database, const SqliteOptions& options, const Clock& clock, Log& log,
               Metrics& metrics);
  [[nodiscard]] Result<void> set_up(const SqliteOptions& options, Random& random);
  [[nodiscard]] Result<void> set_pragmas(const SqliteOptions& options);
  /// @errors kFault store_moved
  [[nodiscard]] Result<void> check_not_moved();
  [[nodiscard]] Result<void> load_tag(Random& random);
  [[nodiscard]] Result<void> load_ids();
  [[nodiscard]] Result<void> check_in_place();
  /// Remembers an error that puts the storage in doubt, and passes it on.
  [[nodiscard]] Result<void> note(Result<void> result);

  // Constant after opening.
  const Clock& clock_;
  Log& log_;
  Histogram& commit_seconds_;
  Gauge& wal_pages_gauge_;
  std::int64_t checkpoint_pages_;
  std::string tag_;

  // The writer's.
  Database database_;
  Statement begin_;
  Statement commit_;
  Statement rollback_;
  std::optional<FactKeys> fact_keys_;
  std::optional<Loader> loader_;
  std::optional<RowWriter> writer_;
  std::optional<DeliveryTables> deliveries_;
  std::optional<AuditTables> audit_;
  std::array<RowId, kTables> last_ids_{};
  std::int64_t wal_pages_ = 0;               // in the log, as of the last commit
  std::int64_t wal_pages_checkpointed_ = 0;  // of them, when the log was last copied
  std::optional<Error> failure_;
};

}  // namespace postern::store::sqlite
