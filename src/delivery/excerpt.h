#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace postern::delivery {

/// Longest `Answer::excerpt`.
inline constexpr std::size_t kExcerptBytesMax = 256;

/// The beginning of `text` as an `Answer::excerpt`: well-formed UTF-8, control characters as
/// spaces, cut between characters. Leaving out secrets is the caller's business. @thread any; pure
[[nodiscard]] std::string make_excerpt(std::string_view text);

}  // namespace postern::delivery
