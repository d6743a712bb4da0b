#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "admin/configuration.h"
#include "base/result.h"
#include "store/rows.h"

namespace postern::app {

/// The one thread that reloads: reading files and keys, and letting sinks go, takes its time, which
/// neither I/O threads nor the one that waits for signals have. Reloads never overlap.
/// @thread any
class ReloadWorker {
 public:
  using Done = std::move_only_function<void(Result<admin::ConfigurationChange>)>;
  /// Does it and answers, then or later. Runs on the worker's thread.
  using Run = std::move_only_function<void(const store::Actor&, Done)>;

  static constexpr std::size_t kQueuedMax = 16;

  explicit ReloadWorker(Run run) : run_(std::move(run)), thread_([this] { loop(); }) {}
  /// Waits for the one that is running; those that wait are refused.
  ~ReloadWorker();
  ReloadWorker(const ReloadWorker&) = delete;
  ReloadWorker& operator=(const ReloadWorker&) = delete;

  /// @errors kRetryable reload_busy, by `done`
  void ask(store::Actor by, Done done);

 private:
  struct Asked {
    store::Actor by;
    Done done;
  };
  void loop();

  Run run_;  // the thread's only

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::deque<Asked> queue_;
  bool stopping_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace postern::app
