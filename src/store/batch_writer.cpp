#include "store/batch_writer.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace postern::store {
namespace {

struct SizeBand {
  std::size_t largest;
  std::string_view label;
};
constexpr std::array<SizeBand, 5> kSizeBands = {
    {{1, "1"}, {8, "2-8"}, {32, "9-32"}, {128, "33-128"}, {SIZE_MAX, "129-"}}};

}  // namespace

BatchWriter::BatchWriter(Engine& engine, RowIds& ids, BatchLimits limits, const Clock& clock,
                         Log& log, Metrics& metrics, OnFailure on_failure)
    : engine_(engine),
      ids_(ids),
      limits_(limits),
      clock_(clock),
      log_(log),
      on_failure_(std::move(on_failure)),
      queue_gauge_(metrics.gauge("postern_store_queue", "Commands waiting for the store.")),
      commands_(metrics.counter("postern_store_commands_total", "Commands written in batches.")),
      refused_(metrics.counter("postern_store_refused_total",
                               "Commands refused at once: the queue was full, or the store failed "
                               "or was stopping.")) {
  for (std::size_t i = 0; i < kSizeBands.size(); ++i) {
    batches_by_size_[i] = &metrics.counter("postern_store_batches_total",
                                           "Batches written, by the number of their commands.",
                                           {{"commands", kSizeBands[i].label}});
  }
  thread_ = std::thread([this] { run(); });
}

BatchWriter::~BatchWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_deadline_ = clock_.monotonic() + limits_.stop_timeout;
  }
  arrived_.notify_one();
  thread_.join();
}

void BatchWriter::submit(std::unique_ptr<Command> command) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    // `failed_` is read under the lock: the writer empties the queue after it was set.
    if (!stopping_ && !failed_ && queue_.size() < limits_.queue_max) {
      queue_.push_back(std::move(command));
      queue_gauge_.set(static_cast<double>(queue_.size()));
      wake = wake_at_ > 0 && queue_.size() >= wake_at_;
      if (wake) wake_at_ = 0;
    }
  }
  if (wake) arrived_.notify_one();
  if (command != nullptr) {
    refused_.add();
    command->finish(Commit::kRefused);
  }
}

void BatchWriter::fail(const Error& error) {
  if (failed_.exchange(true)) return;
  log_.error("store_failed", {{"code", error.code}, {"detail", error.detail}});
  on_failure_(error);
  // The lock makes sure that the writer either sees the flag or is already waiting.
  {
    const std::lock_guard lock(mutex_);
  }
  arrived_.notify_one();
}

void BatchWriter::run() {
  while (true) {
    const std::optional<Batch> batch = take();
    if (!batch) break;
    if (!batch->empty()) {
      count_batch(batch->size());
      run_batch(engine_, ids_, *batch);
    }
    engine_.tidy();
    if (engine_.failure()) fail(*engine_.failure());
  }
  refuse_queued();
}

std::optional<BatchWriter::Batch> BatchWriter::take() {
  const std::chrono::milliseconds tidy_every = engine_.tidy_every();
  std::unique_lock lock(mutex_);
  while (queue_.empty() && !stopping_ && !failed_) {
    last_size_ = 0;
    wake_at_ = 1;
    if (tidy_every == std::chrono::milliseconds(0)) {
      arrived_.wait(lock);
    } else if (arrived_.wait_for(lock, tidy_every) == std::cv_status::timeout && queue_.empty()) {
      wake_at_ = 0;
      return Batch();
    }
    wake_at_ = 0;
  }
  if (last_size_ >= limits_.crowd) gather(lock);
  if (failed_) return std::nullopt;
  if (stopping_ && (queue_.empty() || clock_.monotonic() >= stop_deadline_)) return std::nullopt;
  const std::size_t size = std::min(queue_.size(), limits_.batch_max);
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(size);
  Batch batch(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  queue_gauge_.set(static_cast<double>(queue_.size()));
  last_size_ = size;
  return batch;
}

void BatchWriter::gather(std::unique_lock<std::mutex>& lock) {
  const auto is_over = [this] { return wake_at_ == 0 || stopping_ || failed_; };
  std::size_t seen = 0;
  for (int i = 0; i < limits_.lulls && seen < queue_.size(); ++i) {
    seen = queue_.size();
    if (seen >= limits_.gather) return;
    wake_at_ = limits_.gather;
    const bool over = arrived_.wait_for(lock, limits_.lull, is_over);
    wake_at_ = 0;
    if (over) return;
  }
}

void BatchWriter::refuse_queued() {
  std::deque<std::unique_ptr<Command>> queued;
  {
    const std::lock_guard lock(mutex_);
    queued.swap(queue_);
  }
  queue_gauge_.set(0);
  for (const auto& command : queued) {
    refused_.add();
    command->finish(Commit::kRefused);
  }
}

void BatchWriter::count_batch(std::size_t size) {
  commands_.add(static_cast<double>(size));
  const auto band =
      std::ranges::find_if(kSizeBands, [&](const SizeBand& b) { return size <= b.largest; });
  batches_by_size_[static_cast<std::size_t>(band - kSizeBands.begin())]->add();
}

}  // namespace postern::store
