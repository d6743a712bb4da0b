// Property: an accepted form, written again, reads as the same fields in the same order.
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "channel/form.h"
#include "fuzz/require.h"

namespace {

[[nodiscard]] std::string escape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    result += fmt::format("%{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto fields = postern::channel::parse_form({reinterpret_cast<const char*>(data), size});
  if (!fields) return 0;
  std::string body;
  for (const auto& [name, value] : fields->pairs()) {
    if (!body.empty()) body += '&';
    body += escape(name) + '=' + escape(value);
    POSTERN_REQUIRE(fields->find(name) == value);
  }
  const auto again = postern::channel::parse_form(body);
  POSTERN_REQUIRE(again.has_value());
  POSTERN_REQUIRE(again->pairs() == fields->pairs());
  return 0;
}
