// application/x-www-form-urlencoded: name=value pairs joined by '&'; in both '+' is a blank and %XX
// a byte. Signatures cover the decoded bytes, so they are kept as they are and decoded once only.
#include "channel/form.h"

#include <array>
#include <string>

namespace postern::channel {
namespace {

/// Value of a hex digit, or -1.
[[nodiscard]] constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// What a byte of a still encoded text is.
enum class Kind : unsigned char { kPlain, kBlank, kEscape, kForbidden };

constexpr std::array<Kind, 256> kKinds = [] {
  std::array<Kind, 256> kinds{};
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = byte > 0x20 && byte < 0x7F;
    // Some readers split at ';' too: a sender that means the character escapes it.
    kinds[static_cast<std::size_t>(byte)] =
        printable && byte != ';' ? Kind::kPlain : Kind::kForbidden;
  }
  kinds['+'] = Kind::kBlank;
  kinds['%'] = Kind::kEscape;
  return kinds;
}();

[[nodiscard]] Result<std::string> decode(std::string_view encoded) {
  std::string decoded(encoded.size(), '\0');
  std::size_t size = 0;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    char byte = encoded[i];
    switch (kKinds[static_cast<unsigned char>(byte)]) {
      case Kind::kPlain:
        break;
      case Kind::kBlank:
        byte = ' ';
        break;
      case Kind::kEscape: {
        if (encoded.size() - i < 3) return rejected("body_malformed", "a %-escape is cut off");
        const int high = hex_value(encoded[i + 1]);
        const int low = hex_value(encoded[i + 2]);
        if (high < 0 || low < 0) return rejected("body_malformed", "a %-escape is not hex");
        byte = static_cast<char>(high * 16 + low);
        i += 2;
        break;
      }
      case Kind::kForbidden:
        return rejected("body_malformed", "the form holds a byte that senders escape");
    }
    decoded[size++] = byte;
  }
  decoded.resize(size);
  return decoded;
}

}  // namespace

Result<Fields> parse_form(std::string_view body) {
  Fields fields;
  while (true) {
    const std::size_t end = body.find('&');
    const std::string_view pair = body.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return rejected("body_malformed", "a form is name=value pairs joined by single '&'");
    }
    POSTERN_ASSIGN_OR_RETURN(std::string name, decode(pair.substr(0, equals)));
    POSTERN_ASSIGN_OR_RETURN(std::string value, decode(pair.substr(equals + 1)));
    POSTERN_RETURN_IF_ERROR(fields.add(std::move(name), std::move(value)));
    if (end == std::string_view::npos) return fields;
    body.remove_prefix(end + 1);
  }
}

}  // namespace postern::channel
