#include "app/reload_worker.h"

#include <exception>
#include <utility>

namespace postern::app {
namespace {

[[nodiscard]] std::unexpected<Error> busy() {
  return retryable("reload_busy", "too many reloads wait, or the daemon stops");
}

}  // namespace

ReloadWorker::~ReloadWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
  for (Asked& asked : queue_) asked.done(busy());
}

void ReloadWorker::ask(store::Actor by, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && queue_.size() < kQueuedMax) {
      queue_.push_back({std::move(by), std::move(done)});
      changed_.notify_one();
      return;
    }
  }
  done(busy());
}

void ReloadWorker::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    Asked asked = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    try {
      run_(asked.by, std::move(asked.done));
    } catch (const std::exception& /*the root of this thread: who asked is answered with 500*/) {
    }
    lock.lock();
  }
}

}  // namespace postern::app
