#include "admin/read_worker.h"

#include <exception>
#include <utility>

#include "admin/reply.h"

namespace postern::admin {
namespace {

[[nodiscard]] HttpResponse busy() {
  return error_reply(Error{ErrorClass::kRetryable, "busy", "too many requests read the store"});
}

}  // namespace

ReadWorker::ReadWorker(store::Store& store, Metrics& metrics, std::size_t queued_max)
    : store_(store),
      queued_max_(queued_max),
      refused_(metrics.counter("postern_admin_reads_refused_total",
                               "Requests refused because too many were waiting for the store.")),
      thread_([this] { loop(); }) {}

ReadWorker::~ReadWorker() {
  stop();
}

void ReadWorker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
  // Nobody adds to the queue any more.
  for (Task& task : std::exchange(queue_, {})) task.respond(busy());
}

void ReadWorker::run(Job job, Responder respond) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && queue_.size() < queued_max_) {
      queue_.push_back({std::move(job), std::move(respond)});
      changed_.notify_one();
      return;
    }
  }
  refused_.add();
  respond(busy());
}

void ReadWorker::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) break;
    Task task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    task.respond(answer(task.job));
    lock.lock();
  }
  reader_.reset();
}

HttpResponse ReadWorker::answer(Job& job) {
  try {
    if (!reader_) {
      Result<std::unique_ptr<store::Reader>> opened = store_.reader();
      if (!opened) return error_reply(opened.error());
      reader_ = std::move(*opened);
    }
    Result<HttpResponse> answer = job(*reader_);
    if (answer) return std::move(*answer);
    // A reader that failed once is not asked again; the next job opens another.
    if (answer.error().error_class != ErrorClass::kRejected) reader_.reset();
    return error_reply(answer.error());
  } catch (const std::exception& /*the root of this thread*/) {
    return error_reply(Error{ErrorClass::kFault, "internal_error", {}});
  }
}

}  // namespace postern::admin
