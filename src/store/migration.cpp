#include "store/migration.h"

#include <fmt/format.h>

#include <cstdint>

namespace postern::store {

std::string checksum(std::string_view script) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const char c : script) {
    sum ^= static_cast<unsigned char>(c);
    sum *= 0x100000001b3;
  }
  return fmt::format("{:016x}", sum);
}

}  // namespace postern::store
