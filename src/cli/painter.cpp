#include "cli/painter.h"

#include <fmt/color.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace postern::cli {
namespace {

[[nodiscard]] fmt::text_style style_of(Paint paint) {
  switch (paint) {
    case Paint::kPlain:
      return {};
    case Paint::kTitle:
      return fmt::emphasis::bold | fmt::fg(fmt::terminal_color::cyan);
    case Paint::kStrong:
      return fmt::emphasis::bold;
    case Paint::kGood:
      return fmt::fg(fmt::terminal_color::green);
    case Paint::kBad:
      return fmt::fg(fmt::terminal_color::red);
  }
  return {};
}

}  // namespace

Painter Painter::of_stdout() {
  const char* no_colour = std::getenv("NO_COLOR");
  const bool wanted = no_colour == nullptr || *no_colour == '\0';
  return Painter(wanted && ::isatty(STDOUT_FILENO) == 1 ? Colours::kOn : Colours::kOff);
}

std::string Painter::paint(Paint paint, std::string_view text) const {
  if (colours_ == Colours::kOff || paint == Paint::kPlain) return std::string(text);
  return fmt::format(style_of(paint), "{}", text);
}

}  // namespace postern::cli
