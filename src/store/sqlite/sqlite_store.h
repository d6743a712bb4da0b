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
#include "store/store.h"

namespace postern::store::sqlite {

/// How a commit reaches the disk.
enum class Synchronous : unsigned char {
  kFull,    ///< flushed before it is answered
  kNormal,  ///< loses answered commits at power loss: refused, except by builds with planted faults
};

struct SqliteOptions {
  std::string path;  ///< of the file; "-wal", "-shm" and ".lock" stand beside it
  std::size_t batch_max = 256;
  std::size_t queue_max = 16384;
  /// How long closing goes on writing what is queued; the rest is refused.
  std::chrono::milliseconds stop_timeout{5000};
  std::int64_t cache_kib = 8192;
  /// The log is copied into the file after this many pages.
  std::int64_t checkpoint_pages = 1000;
  /// Keys of the newest facts are looked up in memory, where one takes 16 bytes, and a start reads
  /// up to four times as many facts again.
  std::size_t unfiled_keys_max = 65536;
  /// For tests: a registered file system in place of the host's. Then there is no lock file.
  std::string vfs;
  Synchronous synchronous = Synchronous::kFull;
};

/// Opens the embedded store, creating it where there is none.
///
/// One thread writes; its connection is the only one that writes or copies the log into the file.
/// One process may have the file open, held by a lock on "<path>.lock". The first error that puts
/// the storage in doubt, in writing or reading, fails the store for good. Closing writes what is
/// queued, for `stop_timeout` at most; every command is finished before the destructor returns.
///
/// @param on_failure  called once, from the thread that met the doubt; must not close the store
/// @errors kFault store_locked, store_cannot_open, store_foreign, store_newer, store_moved,
///         store_migration_changed, store_option_refused, store_corrupt, store_io_failed, ...
/// Lifetime: clock, log and metrics outlive the store; `random` is used while opening only.
[[nodiscard]] Result<std::unique_ptr<Store>> open_sqlite(
    SqliteOptions options, const Clock& clock, Random& random, Log& log, Metrics& metrics,
    std::move_only_function<void(Error)> on_failure);

}  // namespace postern::store::sqlite
