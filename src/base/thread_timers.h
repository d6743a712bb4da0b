#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/clock.h"

namespace postern {

/// Timers on a thread of their own. What is still to be run when they go is dropped; the destructor
/// waits for one that is running. @thread any, but not destroyed by a callback
class ThreadTimers final : public Timers {
 public:
  /// Lifetime: the clock outlives them.
  explicit ThreadTimers(const Clock& clock);
  ~ThreadTimers() override;
  ThreadTimers(const ThreadTimers&) = delete;
  ThreadTimers& operator=(const ThreadTimers&) = delete;

  void after(std::chrono::milliseconds delay, std::move_only_function<void()> run) override;

 private:
  void work();

  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_. The number keeps those of the same time in the order they were asked for.
  std::map<std::pair<MonotonicTime, std::uint64_t>, std::move_only_function<void()>> waiting_;
  std::uint64_t next_ = 0;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace postern
