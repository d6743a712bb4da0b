#pragma once

#include "base/clock.h"
#include "base/random.h"

namespace postern {

/// The host's clocks: the one place in the product that names them.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override;
  [[nodiscard]] MonotonicTime monotonic() const override;
};

/// The kernel's generator. Aborts where it fails: weak randomness must not be guessed around.
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::byte> out) override;
};

}  // namespace postern
