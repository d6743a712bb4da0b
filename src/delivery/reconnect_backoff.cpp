#include "delivery/reconnect_backoff.h"

#include <algorithm>
#include <cstdint>

namespace postern::delivery {

std::chrono::milliseconds ReconnectBackoff::next() {
  const std::chrono::milliseconds base = delay_;
  delay_ = std::min(delay_ * 2, kDelayMax);
  const auto spread = static_cast<std::uint64_t>(base.count() / 2 + 1);
  const auto extra = static_cast<std::chrono::milliseconds::rep>(random_.next() % spread);
  return std::min(base + std::chrono::milliseconds(extra), kDelayMax);
}

}  // namespace postern::delivery
