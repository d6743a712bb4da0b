#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/secret.h"
#include "store/store.h"

namespace postern::store::postgres {

struct PostgresOptions {
  std::string url;  ///< postgresql://user@host1,host2/database?sslmode=verify-full
  Secret password;  ///< may be empty
  std::size_t batch_max = 256;
  std::size_t queue_max = 16384;
  /// How long closing goes on writing what is queued; the rest is refused.
  std::chrono::milliseconds stop_timeout{5000};
  std::chrono::milliseconds connect_timeout{3000};
  std::chrono::milliseconds statement_timeout{10000};
  /// How long an answer of the server is waited for before the connection is given up.
  std::chrono::milliseconds answer_timeout{15000};
  /// A server whose synchronous_commit is below "on" is refused, but for the level named here:
  /// "local", "remote_write" or "off", each of which loses acked callbacks in its own way.
  std::string accept_synchronous_commit;
  /// How long raw evidence is kept, in days; zero: for ever.
  int keep_evidence_days = 0;
};

/// @errors kFault store_option_refused: libpq cannot read the URL, or it holds a password
[[nodiscard]] Result<void> check_url(const std::string& url);
/// Hosts and database, for people.
[[nodiscard]] std::string describe_url(const std::string& url);

/// Opens a store on a PostgreSQL database of its own, creating its tables where there are none. Any
/// number of nodes may have it open.
///
/// A lost connection does not fail the store: what was being written is refused, or unknown where
/// COMMIT had been sent, and the next batch connects again. While there is no connection the store
/// is not healthy and refuses what comes, once it has tried to connect again. Damage that the
/// server reports fails it for good.
///
/// @param on_failure  called once, from the thread that met the doubt; must not close the store
/// @errors kFault store_option_refused (the URL, or a level of durability), store_newer,
///         store_migration_changed; kRetryable store_unreachable
/// Lifetime: clock, log and metrics outlive the store; `random` is used while opening only.
[[nodiscard]] Result<std::unique_ptr<Store>> open_postgres(
    PostgresOptions options, const Clock& clock, Random& random, Log& log, Metrics& metrics,
    std::move_only_function<void(Error)> on_failure);

}  // namespace postern::store::postgres
