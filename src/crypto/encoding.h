#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::crypto {

[[nodiscard]] std::string hex_encode(std::string_view bytes);        ///< lower case
[[nodiscard]] std::string hex_encode_upper(std::string_view bytes);  ///< upper case
/// Either case, even length, nothing else. @errors hex_malformed
[[nodiscard]] Result<std::string> hex_decode(std::string_view text);

[[nodiscard]] std::string base64_encode(std::string_view bytes);
/// RFC 4648 section 4, strict: padded, no white space, unused bits zero; every text decodes to
/// bytes that encode to the same text. The empty text is empty bytes. @errors base64_malformed
[[nodiscard]] Result<std::string> base64_decode(std::string_view text);

}  // namespace postern::crypto
