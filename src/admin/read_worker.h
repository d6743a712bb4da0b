#pragma once

#include <boost/json/value.hpp>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/message.h"
#include "base/metrics.h"
#include "base/result.h"
#include "store/store.h"

namespace postern::admin {

/// The one thread that reads the store for the admin listener: reading blocks, and neither the I/O
/// threads nor the store's writer may wait for it. Its queue is bounded; above that requests are
/// answered with 503.
///
/// Lifetime: stops before the store goes; the metrics outlive it. @thread any
class ReadWorker {
 public:
  /// Makes the body of a 200, or fails with an error for `error_reply`.
  using Job = std::move_only_function<Result<HttpResponse>(store::Reader&)>;

  static constexpr std::size_t kQueuedMax = 256;

  ReadWorker(store::Store& store, Metrics& metrics, std::size_t queued_max = kQueuedMax);
  ~ReadWorker();
  ReadWorker(const ReadWorker&) = delete;
  ReadWorker& operator=(const ReadWorker&) = delete;

  void run(Job job, Responder respond);
  /// Closes the reader; from now on, and for what is queued, the answer is 503. The destructor does
  /// it too.
  void stop();

 private:
  struct Task {
    Job job;
    Responder respond;
  };

  void loop();
  [[nodiscard]] HttpResponse answer(Job& job);

  store::Store& store_;
  const std::size_t queued_max_;
  Counter& refused_;
  std::unique_ptr<store::Reader> reader_;  // the thread's only

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> queue_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace postern::admin
