// Property: an accepted document, written again with every value escaped, reads as the same fields;
// and nothing that an XML reader would act upon was accepted.
#include <cstdint>
#include <string>
#include <string_view>

#include "channel/xml.h"
#include "fuzz/require.h"

namespace {

[[nodiscard]] std::string escape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto fields = postern::channel::parse_flat_xml(text, "xml");
  if (!fields) return 0;
  POSTERN_REQUIRE(text.substr(0, text.find("<xml")).find("<!") == std::string_view::npos);
  POSTERN_REQUIRE(text.find('\0') == std::string_view::npos);
  std::string document = "<xml>";
  for (const auto& [name, value] : fields->pairs()) {
    const std::string tag(name);
    document += "<" + tag + ">" + escape(value) + "</" + tag + ">";
  }
  const auto again = postern::channel::parse_flat_xml(document + "</xml>", "xml");
  POSTERN_REQUIRE(again.has_value());
  POSTERN_REQUIRE(again->pairs() == fields->pairs());
  return 0;
}
