#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

#include "base/clock.h"

namespace postern {

/// Keeps a line that strangers can cause from filling the disk: so many in each window are written,
/// the rest is counted and told with the first one of the next window. @thread any
class LogLimiter {
 public:
  LogLimiter(std::uint64_t lines_max, std::chrono::milliseconds window)
      : lines_max_(lines_max), window_(window) {}

  /// How many lines were kept back since the last one that was written; nothing: keep this one
  /// back too.
  [[nodiscard]] std::optional<std::uint64_t> admit(MonotonicTime now);

 private:
  const std::uint64_t lines_max_;
  const std::chrono::milliseconds window_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::optional<MonotonicTime> began_;
  std::uint64_t lines_ = 0;
  std::uint64_t kept_back_ = 0;
};

}  // namespace postern
