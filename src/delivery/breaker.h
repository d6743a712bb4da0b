#pragma once

#include <chrono>
#include <cstddef>

#include "base/clock.h"

namespace postern::delivery {

/// Leaves an endpoint alone that fails again and again: after `kFailuresMax` failures in a row it
/// opens, and nothing is tried until a pause is over; then one try decides. Each time it fails the
/// pause doubles, up to `kPauseMax`. @thread one
class Breaker {
 public:
  static constexpr std::size_t kFailuresMax = 5;
  static constexpr std::chrono::milliseconds kPauseMin{5'000};
  static constexpr std::chrono::milliseconds kPauseMax{300'000};

  void succeeded();
  /// It refused a message: it is there, so an open breaker closes; else nothing is known.
  void answered();
  void failed(MonotonicTime now);

  /// How many tries may be under way at once, `limit` being the usual number.
  [[nodiscard]] std::size_t allowed(MonotonicTime now, std::size_t limit) const;
  [[nodiscard]] bool is_open() const { return failures_ >= kFailuresMax; }
  /// When the pause is over. Call it only while open.
  [[nodiscard]] MonotonicTime open_until() const { return open_until_; }

 private:
  std::size_t failures_ = 0;
  std::chrono::milliseconds pause_ = kPauseMin;
  MonotonicTime open_until_{};
};

}  // namespace postern::delivery
