#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace postern::store::postgres {

/// The clock of the database, which all nodes share, so that a lease ends at the same moment for
/// each of them. It goes on by this machine's monotonic clock, which nobody sets, from what the
/// database said last; that holds half a trip to the server, and what the two drifted since.
/// @thread any
class DatabaseClock final : public Clock {
 public:
  /// Until it is compared it shows what `local` does. Lifetime: `local` outlives this.
  explicit DatabaseClock(const Clock& local) : local_(local) {
    since_start_ms_ = local.now().time_since_epoch().count() - elapsed_ms();
  }

  [[nodiscard]] TimePoint now() const override {
    return TimePoint(
        std::chrono::milliseconds(since_start_ms_.load(std::memory_order_relaxed) + elapsed_ms()));
  }
  [[nodiscard]] MonotonicTime monotonic() const override { return local_.monotonic(); }

  /// Whether a comparison is of use: one whose trip took long says too little.
  enum class Compared : unsigned char { kYes, kTookLong };
  /// @param shown  what the database said between `asked` and now
  Compared compare(MonotonicTime asked, TimePoint shown) {
    const auto trip =
        std::chrono::duration_cast<std::chrono::milliseconds>(local_.monotonic() - asked);
    if (trip > kTripMax) return Compared::kTookLong;
    const TimePoint now = shown + trip / 2;
    since_start_ms_.store(now.time_since_epoch().count() - elapsed_ms(), std::memory_order_relaxed);
    return Compared::kYes;
  }

 private:
  static constexpr std::chrono::milliseconds kTripMax{500};

  [[nodiscard]] std::int64_t elapsed_ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(local_.monotonic()).count();
  }

  const Clock& local_;
  std::atomic<std::int64_t> since_start_ms_{0};  ///< of the monotonic clock
};

}  // namespace postern::store::postgres
