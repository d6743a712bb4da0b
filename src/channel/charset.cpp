// Character sets. Alipay names the set of a message in the message itself ("charset"): UTF-8 or,
// for old integrations, GBK or GB2312. Both are subsets of GB18030, which iconv decodes.
#include "channel/charset.h"

#include <iconv.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "base/utf8.h"
#include "channel/text.h"

namespace postern::channel {
namespace {

/// Takes eight bytes at a time: the texts are too short for the compiler to find it worth while.
[[nodiscard]] bool is_ascii(std::string_view text) {
  std::uint64_t all = 0;
  while (text.size() >= sizeof(all)) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data(), sizeof(eight));
    all |= eight;
    text.remove_prefix(sizeof(eight));
  }
  for (const char c : text) all |= static_cast<unsigned char>(c);
  return (all & 0x8080808080808080) == 0;
}

/// One conversion; an iconv descriptor may serve one thread at a time.
class Converter {
 public:
  Converter(const char* from, const char* to) : descriptor_(iconv_open(to, from)) {
    // glibc ships these sets; without them no GBK message could be read, so say so at once.
    POSTERN_CHECK(descriptor_ != failed());
  }
  ~Converter() { iconv_close(descriptor_); }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;

  /// Nothing where `text` is malformed. Hands each converted piece to `take`.
  template <class Take>
  [[nodiscard]] bool convert(std::string_view text, Take take) {
    iconv(descriptor_, nullptr, nullptr, nullptr, nullptr);
    // iconv does not write to its input; the parameter lacks a const for historical reasons.
    char* in = const_cast<char*>(text.data());
    std::size_t in_left = text.size();
    while (in_left > 0) {
      std::array<char, 4096> piece;
      char* out = piece.data();
      std::size_t out_left = piece.size();
      const std::size_t result = iconv(descriptor_, &in, &in_left, &out, &out_left);
      const std::size_t written = piece.size() - out_left;
      take(std::string_view(piece.data(), written));
      // A result above zero counts inexact conversions, which would be replacements.
      if (result == static_cast<std::size_t>(-1)) {
        if (errno != E2BIG || written == 0) return false;
      } else if (result != 0) {
        return false;
      }
    }
    return true;
  }

 private:
  [[nodiscard]] static iconv_t failed() { return reinterpret_cast<iconv_t>(-1); }
  iconv_t descriptor_;
};

}  // namespace

Result<Charset> parse_charset(std::string_view name) {
  if (equal_without_case(name, "utf-8") || equal_without_case(name, "utf8")) return Charset::kUtf8;
  if (equal_without_case(name, "gbk") || equal_without_case(name, "gb2312") ||
      equal_without_case(name, "gb18030")) {
    return Charset::kGb18030;
  }
  return rejected("charset_unknown");
}

Result<std::string> to_utf8(Charset charset, std::string text) {
  if (is_ascii(text)) return text;
  if (charset == Charset::kUtf8) {
    if (!is_utf8(text)) return rejected("text_malformed");
    return text;
  }
  thread_local Converter gb18030("GB18030", "UTF-8");
  std::string converted;
  converted.reserve(text.size() * 3 / 2);
  const bool ok = gb18030.convert(text, [&](std::string_view piece) { converted.append(piece); });
  if (!ok) return rejected("text_malformed");
  return converted;
}

Result<std::string> from_utf8(Charset charset, std::string text) {
  if (charset == Charset::kUtf8 || is_ascii(text)) return to_utf8(Charset::kUtf8, std::move(text));
  thread_local Converter gb18030("UTF-8", "GB18030");
  std::string converted;
  const bool ok = gb18030.convert(text, [&](std::string_view piece) { converted.append(piece); });
  if (!ok) return rejected("text_malformed");
  return converted;
}

bool is_utf8(std::string_view text) {
  if (is_ascii(text)) return true;
  while (!text.empty()) {
    const std::size_t size = utf8_character_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace postern::channel
