#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace postern::cli {

/// Shows how far some long work has come: on a terminal one line that is written anew, else a line
/// whenever a further tenth is done. @thread one
class ProgressBar {
 public:
  enum class Style : unsigned char { kLines, kBar };
  /// Lifetime: `out` and `clock` outlive this.
  ProgressBar(std::ostream& out, const Clock& clock, Style style)
      : out_(out), clock_(clock), style_(style) {}
  ~ProgressBar() { end(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// A bar where standard error is a terminal.
  [[nodiscard]] static Style style_of_stderr();

  /// @param work  what is done ("copying"); another one starts rate and remaining time anew
  /// @param part  where it is ("events")
  void show(std::string_view work, std::string_view part, std::int64_t done, std::int64_t total);
  /// Leaves the line.
  void end();

 private:
  std::ostream& out_;
  const Clock& clock_;
  const Style style_;
  std::string work_;
  std::int64_t done_first_ = 0;  ///< of this work, done before it was first shown
  MonotonicTime began_{};
  MonotonicTime shown_{};
  std::int64_t tenths_ = -1;  ///< shown last
  bool is_open_ = false;      ///< the line
};

}  // namespace postern::cli
