#pragma once

#include <algorithm>
#include <string_view>

namespace postern::channel {

/// Whether two texts are equal but for the case of ASCII letters.
[[nodiscard]] inline bool equal_without_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace postern::channel
