#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/random.h"

namespace postern::simulate {

/// The same seed gives the same bytes, so that a run can be repeated: for invented numbers only,
/// never for keys. @thread any
/// @source SplitMix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::byte> out) override;

 private:
  [[nodiscard]] std::uint64_t next_word();
  std::atomic<std::uint64_t> state_;
};

}  // namespace postern::simulate
