#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace postern {

/// The size of the well-formed character that `text` begins with, 1 to 4 bytes; 0 where it begins
/// with none. `text` is not empty. @source RFC 3629, section 4
[[nodiscard]] std::size_t utf8_character_size(std::string_view text);

/// `text` with every byte that belongs to no character replaced by U+FFFD: for showing bytes of
/// strangers, never for comparing them.
[[nodiscard]] std::string to_utf8(std::string_view text);

}  // namespace postern
