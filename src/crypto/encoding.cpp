// Hexadecimal text, and base64 as in RFC 4648 section 4.
//
// The decoder is our own because OpenSSL's EVP_DecodeBlock trims white space and lets unused bits
// be anything: many texts for one value, where a signature field must have exactly one.

#include "crypto/encoding.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "crypto/openssl_ptr.h"

namespace postern::crypto {
namespace {

constexpr std::uint8_t kNoDigit = 0xff;
using DigitTable = std::array<std::uint8_t, 256>;

[[nodiscard]] constexpr DigitTable table_of(std::string_view digits) {
  DigitTable table{};
  table.fill(kNoDigit);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    table[static_cast<unsigned char>(digits[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}

constexpr std::string_view kHexLower = "0123456789abcdef";
constexpr std::string_view kHexUpper = "0123456789ABCDEF";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr DigitTable kBase64Values = table_of(kBase64);

[[nodiscard]] constexpr DigitTable make_hex_values() {
  DigitTable table = table_of(kHexLower);
  for (std::size_t i = 10; i < kHexUpper.size(); ++i) {
    table[static_cast<unsigned char>(kHexUpper[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}

constexpr DigitTable kHexValues = make_hex_values();

[[nodiscard]] std::uint32_t value_in(const DigitTable& table, char c) {
  return table[static_cast<unsigned char>(c)];
}

[[nodiscard]] std::string encode_hex_with(std::string_view digits, std::string_view bytes) {
  std::string text(bytes.size() * 2, '\0');
  std::size_t at = 0;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text[at++] = digits[byte >> 4];
    text[at++] = digits[byte & 0x0f];
  }
  return text;
}

[[nodiscard]] std::unexpected<Error> base64_malformed() {
  return rejected("base64_malformed");
}

[[nodiscard]] char low_byte(std::uint32_t value) {
  return static_cast<char>(value & 0xff);
}

}  // namespace

std::string hex_encode(std::string_view bytes) {
  return encode_hex_with(kHexLower, bytes);
}

std::string hex_encode_upper(std::string_view bytes) {
  return encode_hex_with(kHexUpper, bytes);
}

Result<std::string> hex_decode(std::string_view text) {
  if (text.size() % 2 != 0) return rejected("hex_malformed");
  std::string bytes(text.size() / 2, '\0');
  std::uint32_t seen = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::uint32_t high = value_in(kHexValues, text[2 * i]);
    const std::uint32_t low = value_in(kHexValues, text[2 * i + 1]);
    seen |= high | low;
    bytes[i] = low_byte(high << 4 | low);
  }
  if (seen > 0x0f) return rejected("hex_malformed");
  return bytes;
}

std::string base64_encode(std::string_view bytes) {
  // The library counts in int and ends each piece with a zero byte; pieces of whole groups join
  // without padding between them.
  constexpr std::size_t kPieceBytes = std::size_t{3} << 20;
  std::string text((bytes.size() + 2) / 3 * 4, '\0');
  std::size_t at = 0;
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kPieceBytes);
    const int written = EVP_EncodeBlock(as_writable_bytes(text) + at, as_bytes(piece),
                                        static_cast<int>(piece.size()));
    at += static_cast<std::size_t>(written);
    bytes.remove_prefix(piece.size());
  }
  return text;
}

Result<std::string> base64_decode(std::string_view text) {
  if (text.empty()) return std::string();
  if (text.size() % 4 != 0) return base64_malformed();
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const std::size_t groups = text.size() / 4 - (padding > 0 ? 1 : 0);
  std::string bytes(text.size() / 4 * 3 - padding, '\0');

  // Whole groups first, without a branch per digit: a foreign digit is 0xff and leaves its top
  // bits in `seen`.
  std::uint32_t seen = 0;
  std::size_t out = 0;
  const char* in = text.data();
  for (std::size_t i = 0; i < groups; ++i, in += 4, out += 3) {
    const std::uint32_t a = value_in(kBase64Values, in[0]);
    const std::uint32_t b = value_in(kBase64Values, in[1]);
    const std::uint32_t c = value_in(kBase64Values, in[2]);
    const std::uint32_t d = value_in(kBase64Values, in[3]);
    seen |= a | b | c | d;
    bytes[out] = low_byte(a << 2 | b >> 4);
    bytes[out + 1] = low_byte(b << 4 | c >> 2);
    bytes[out + 2] = low_byte(c << 6 | d);
  }
  if (padding > 0) {
    const std::uint32_t a = value_in(kBase64Values, in[0]);
    const std::uint32_t b = value_in(kBase64Values, in[1]);
    const std::uint32_t c = padding == 1 ? value_in(kBase64Values, in[2]) : 0;
    seen |= a | b | c;
    // The bits of the last digit that reach no byte must be zero, or two texts mean one value.
    const std::uint32_t unused = padding == 1 ? c & 0x03 : b & 0x0f;
    if (unused != 0) return base64_malformed();
    bytes[out] = low_byte(a << 2 | b >> 4);
    if (padding == 1) bytes[out + 1] = low_byte(b << 4 | c >> 2);
  }
  if (seen > 0x3f) return base64_malformed();
  return bytes;
}

}  // namespace postern::crypto
