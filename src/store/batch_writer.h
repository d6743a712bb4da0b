#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/batch.h"

namespace postern::store {

struct BatchLimits {
  std::size_t batch_max = 256;
  std::size_t queue_max = 16384;
  /// A batch of so many commands is a crowd, until the queue is found empty: more are on their way,
  /// and the next batch is gathered. It waits for `gather` commands, while they keep coming: once
  /// none came for a `lull`, or `lulls` of them are over, it takes what is there.
  std::size_t crowd = 32;
  std::size_t gather = 192;
  std::chrono::milliseconds lull{2};
  int lulls = 3;
  std::chrono::milliseconds stop_timeout{5000};
};

/// The queue in front of an engine, and the thread that empties it: when it is free it takes all
/// that is queued, up to `batch_max`. Only in a crowd does it wait for more: a commit writes the
/// last page of every table again, however few commands it holds.
///
/// Stopping writes what is queued until `stop_timeout` is over and refuses the rest; a batch that
/// hangs in the disk is waited for, since its answer is not known. After a failure every command
/// is refused.
class BatchWriter {
 public:
  using OnFailure = std::move_only_function<void(Error)>;

  /// Lifetime: everything referred to outlives the writer; the engine is used by its thread alone.
  BatchWriter(Engine& engine, RowIds& ids, BatchLimits limits, const Clock& clock, Log& log,
              Metrics& metrics, OnFailure on_failure);
  BatchWriter(const BatchWriter&) = delete;
  BatchWriter& operator=(const BatchWriter&) = delete;
  ~BatchWriter();

  /// As Store::submit. @thread any
  void submit(std::unique_ptr<Command> command);
  /// Fails the store for good, as a doubt about the storage found elsewhere. @thread any
  void fail(const Error& error);
  [[nodiscard]] bool healthy() const { return !failed_; }

 private:
  using Batch = std::vector<std::unique_ptr<Command>>;

  void run();
  /// Waits for commands and moves them out. An empty batch: none came, and the engine has to be
  /// tidied; nothing: stopped.
  [[nodiscard]] std::optional<Batch> take();
  void gather(std::unique_lock<std::mutex>& lock);
  void refuse_queued();
  void count_batch(std::size_t size);

  // Constant after construction.
  Engine& engine_;
  RowIds& ids_;
  const BatchLimits limits_;
  const Clock& clock_;
  Log& log_;
  OnFailure on_failure_;
  Gauge& queue_gauge_;
  Counter& commands_;
  Counter& refused_;
  std::array<Counter*, 5> batches_by_size_{};

  std::atomic<bool> failed_ = false;

  std::mutex mutex_;
  std::condition_variable arrived_;
  // Guarded by mutex_.
  std::deque<std::unique_ptr<Command>> queue_;
  std::size_t wake_at_ = 0;  ///< so many queued commands wake the writer; 0: it is awake
  bool stopping_ = false;
  MonotonicTime stop_deadline_{};

  // Of the writer's thread.
  std::size_t last_size_ = 0;

  std::thread thread_;
};

}  // namespace postern::store
