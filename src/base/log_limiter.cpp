#include "base/log_limiter.h"

#include <utility>

namespace postern {

std::optional<std::uint64_t> LogLimiter::admit(MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  if (!began_ || now - *began_ >= window_) {
    began_ = now;
    lines_ = 0;
  }
  if (lines_ == lines_max_) {
    ++kept_back_;
    return std::nullopt;
  }
  ++lines_;
  return std::exchange(kept_back_, 0);
}

}  // namespace postern
