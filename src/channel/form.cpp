// application/x-www-form-urlencoded: name=value pairs joined by '&'; in both '+' is a blank and %XX
// a byte. Signatures cover the decoded bytes, so they are kept as they are and decoded once only.
#include "channel/form.h"

namespace postern::channel {
namespace {

/// A payment of Alipay's has about 25 fields.
constexpr std::size_t kFieldsUsual = 32;

/// Value of a hex digit, or -1.
[[nodiscard]] constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Whether the encoded text holds a byte that senders escape: blanks, control characters, bytes
/// above 0x7E, and ';', at which some readers split. Looks at every byte without stopping early, so
/// that the compiler can take many at once.
[[nodiscard]] bool has_forbidden_byte(std::string_view encoded) {
  bool found = false;
  for (const char c : encoded) {
    const auto byte = static_cast<unsigned char>(c);
    found |= byte <= 0x20 || byte >= 0x7F || byte == ';';
  }
  return found;
}

/// Decodes to `out`, which has room for as many bytes as `encoded`, and returns the end of what it
/// wrote; null where an escape is invalid.
[[nodiscard]] char* decode(std::string_view encoded, char* out) {
  const char* in = encoded.data();
  const char* const end = in + encoded.size();
  while (in != end) {
    const char c = *in++;
    if (c == '+') {
      *out++ = ' ';
    } else if (c != '%') {
      *out++ = c;
    } else {
      if (end - in < 2) return nullptr;
      const int high = hex_value(in[0]);
      const int low = hex_value(in[1]);
      if (high < 0 || low < 0) return nullptr;
      *out++ = static_cast<char>(high * 16 + low);
      in += 2;
    }
  }
  return out;
}

}  // namespace

Result<Fields> parse_form(std::string_view body) {
  if (has_forbidden_byte(body)) {
    return rejected("body_malformed", "the form holds a byte that senders escape");
  }
  Fields fields;
  fields.reserve(kFieldsUsual);
  char* out = fields.hold(body.size());  // Decoding never makes a text longer.
  while (true) {
    const std::size_t end = body.find('&');
    const std::string_view pair = body.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return rejected("body_malformed", "a form is name=value pairs joined by single '&'");
    }
    char* const name = out;
    char* const value = decode(pair.substr(0, equals), name);
    out = value == nullptr ? nullptr : decode(pair.substr(equals + 1), value);
    if (out == nullptr) return rejected("body_malformed", "a %-escape is invalid");
    POSTERN_RETURN_IF_ERROR(fields.add_held({name, value}, {value, out}));
    if (end == std::string_view::npos) return fields;
    body.remove_prefix(end + 1);
  }
}

}  // namespace postern::channel
