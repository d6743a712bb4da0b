#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::channel {

/// Character sets in which platforms write.
enum class Charset : unsigned char {
  kUtf8,
  kGb18030,  ///< also stands for its subsets GBK and GB2312
};

/// `name` as platforms write it ("utf-8", "GBK", "gb2312"), without regard to case.
/// @errors charset_unknown
[[nodiscard]] Result<Charset> parse_charset(std::string_view name);

/// Reads `text` as `charset` and writes it as UTF-8. Never drops or replaces anything: surrogates,
/// overlong forms, bytes of another set and cut-off characters are errors.
/// @errors text_malformed
/// @thread any; conversion descriptors are kept per thread
[[nodiscard]] Result<std::string> to_utf8(Charset charset, std::string text);

/// Writes UTF-8 text as `charset`; the opposite of `to_utf8`. @errors text_malformed
[[nodiscard]] Result<std::string> from_utf8(Charset charset, std::string text);

/// Whether `text` is well-formed UTF-8 throughout.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace postern::channel
