#pragma once

#include <string>
#include <string_view>

namespace postern::cli {

enum class Paint : unsigned char { kPlain, kTitle, kStrong, kGood, kBad };

/// Whether and how to colour what is printed.
class Painter {
 public:
  enum class Colours : unsigned char { kOff, kOn };
  explicit Painter(Colours colours) : colours_(colours) {}

  /// Colours where standard output is a terminal and NO_COLOR is not set.
  [[nodiscard]] static Painter of_stdout();

  /// `text` with escape sequences around it, or as it is.
  [[nodiscard]] std::string paint(Paint paint, std::string_view text) const;

 private:
  Colours colours_;
};

}  // namespace postern::cli
