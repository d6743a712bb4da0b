#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "app/config_section.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "base/secret.h"
#include "store/store.h"

namespace postern::app {

/// Where Postern keeps what it knows: in a file of its own, or in a PostgreSQL database that
/// several nodes share.
struct StoreConfig {
  enum class Kind : unsigned char { kSqlite, kPostgres };
  Kind kind = Kind::kSqlite;
  std::filesystem::path file;  ///< of SQLite
  std::uint64_t min_free = 0;  ///< of SQLite: bytes; below, callbacks are put off; zero: never
  std::string url;             ///< of PostgreSQL, without a password
  Secret password;             ///< of PostgreSQL; may be empty
  std::string accept_synchronous_commit;  ///< see store::postgres::PostgresOptions
  int keep_evidence_days = 0;             ///< as above

  std::size_t batch_max = 256;  ///< commands in one transaction

  /// For people: the file, or host and database.
  [[nodiscard]] std::string description() const;
};

/// Reads [store]. @param folder  where relative paths start
/// @errors as load_config
[[nodiscard]] Result<StoreConfig> read_store(Section section, const std::filesystem::path& folder);

/// Opens the store that is configured. As open_sqlite and open_postgres.
[[nodiscard]] Result<std::unique_ptr<store::Store>> open_store(
    const StoreConfig& config, const Clock& clock, Random& random, Log& log, Metrics& metrics,
    std::move_only_function<void(Error)> on_failure);

}  // namespace postern::app
