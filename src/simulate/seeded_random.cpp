#include "simulate/seeded_random.h"

namespace postern::simulate {

std::uint64_t SeededRandom::next_word() {
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;
  std::uint64_t word = state_.fetch_add(kGolden) + kGolden;
  word = (word ^ (word >> 30U)) * 0xBF58476D1CE4E5B9;
  word = (word ^ (word >> 27U)) * 0x94D049BB133111EB;
  return word ^ (word >> 31U);
}

void SeededRandom::fill(std::span<std::byte> out) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i % sizeof word == 0) word = next_word();
    out[i] = static_cast<std::byte>(word & 0xFFU);
    word >>= 8U;
  }
}

}  // namespace postern::simulate
