#include "base/thread_timers.h"

#include <algorithm>

namespace postern {

ThreadTimers::ThreadTimers(const Clock& clock) : clock_(clock), thread_([this] { work(); }) {}

ThreadTimers::~ThreadTimers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void ThreadTimers::after(std::chrono::milliseconds delay, std::move_only_function<void()> run) {
  const MonotonicTime when = clock_.monotonic() + std::max(delay, std::chrono::milliseconds(0));
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    const auto place = waiting_.emplace(std::pair(when, next_++), std::move(run)).first;
    is_first = place == waiting_.begin();
  }
  if (is_first) changed_.notify_one();
}

void ThreadTimers::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (waiting_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const MonotonicTime left = waiting_.begin()->first.first - clock_.monotonic();
    if (left > MonotonicTime::zero()) {
      changed_.wait_for(lock, left);
      continue;
    }
    auto run = std::move(waiting_.extract(waiting_.begin()).mapped());
    lock.unlock();
    run();
    run = nullptr;
    lock.lock();
  }
}

}  // namespace postern
