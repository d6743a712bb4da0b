#include "base/system.h"

#include <sys/random.h>

#include <algorithm>
#include <chrono>

#include "base/check.h"

namespace postern {

TimePoint SystemClock::now() const {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

MonotonicTime SystemClock::monotonic() const {
  return std::chrono::steady_clock::now().time_since_epoch();
}

void SystemRandom::fill(std::span<std::byte> out) {
  while (!out.empty()) {
    const std::size_t chunk = std::min<std::size_t>(out.size(), 256);
    const ssize_t got = getrandom(out.data(), chunk, 0);
    POSTERN_CHECK(got > 0);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace postern
