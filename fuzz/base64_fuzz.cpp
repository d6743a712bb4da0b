// Property: strict base64 is one to one: what decodes, encodes to the same text; every byte string
// survives the way there and back.
#include <cstdint>
#include <string_view>

#include "crypto/encoding.h"
#include "fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bytes = postern::crypto::base64_decode(text)) {
    POSTERN_REQUIRE(postern::crypto::base64_encode(*bytes) == text);
  }
  const auto back = postern::crypto::base64_decode(postern::crypto::base64_encode(text));
  POSTERN_REQUIRE(back.has_value());
  POSTERN_REQUIRE(*back == text);
  return 0;
}
