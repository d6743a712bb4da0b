#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace postern {

/// The only source of randomness. @thread any
class Random {
 public:
  virtual ~Random() = default;
  /// Fills `out` with bytes fit for keys and tokens (the simulator's are seeded instead).
  virtual void fill(std::span<std::byte> out) = 0;

  [[nodiscard]] std::uint64_t next() {
    std::uint64_t value = 0;
    fill(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
};

}  // namespace postern
