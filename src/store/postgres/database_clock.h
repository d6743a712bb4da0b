#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace postern::store::postgres {

/// The clock of the database, which all nodes share, so that a lease ends at the same moment for
/// each of them. It is this machine's clock and what the two differed by when last compared; that
/// holds half a trip to the server, and whatever the clocks drifted since. @thread any
class DatabaseClock final : public Clock {
 public:
  /// Lifetime: `local` outlives this.
  explicit DatabaseClock(const Clock& local) : local_(local) {}

  [[nodiscard]] TimePoint now() const override {
    return local_.now() + std::chrono::milliseconds(ahead_ms_.load(std::memory_order_relaxed));
  }
  [[nodiscard]] MonotonicTime monotonic() const override { return local_.monotonic(); }

  /// @param shown  what the database said between `asked` and now
  void compare(TimePoint asked, TimePoint shown) {
    const TimePoint between = asked + (local_.now() - asked) / 2;
    ahead_ms_.store((shown - between).count(), std::memory_order_relaxed);
  }
  [[nodiscard]] std::chrono::milliseconds ahead() const {
    return std::chrono::milliseconds(ahead_ms_.load(std::memory_order_relaxed));
  }

 private:
  const Clock& local_;
  std::atomic<std::int64_t> ahead_ms_{0};
};

}  // namespace postern::store::postgres
