#pragma once

#include <chrono>

#include "base/random.h"

namespace postern::delivery {

/// How long to leave a broker alone after a failure: 0.5 s, doubled by each failure up to 30 s, and
/// up to half as much again at random, so that many nodes do not come back at the same moment.
/// Lifetime: the random source outlives it. @thread one at a time
class ReconnectBackoff {
 public:
  static constexpr std::chrono::milliseconds kDelayMin{500};
  static constexpr std::chrono::milliseconds kDelayMax{30'000};

  explicit ReconnectBackoff(Random& random) : random_(random) {}

  /// The delay from now to the next try, from `kDelayMin` to `kDelayMax`; the one after is longer.
  [[nodiscard]] std::chrono::milliseconds next();
  /// It works again: the next failure is the first.
  void reset() { delay_ = kDelayMin; }

 private:
  Random& random_;
  std::chrono::milliseconds delay_ = kDelayMin;
};

}  // namespace postern::delivery
