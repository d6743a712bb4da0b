#include "cli/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace postern::cli {
namespace {

constexpr std::int64_t kWidth = 24;
constexpr std::chrono::milliseconds kShowEvery{100};

}  // namespace

ProgressBar::Style ProgressBar::style_of_stderr() {
  return ::isatty(STDERR_FILENO) == 1 ? Style::kBar : Style::kLines;
}

void ProgressBar::show(std::string_view work, std::string_view part, std::int64_t done,
                       std::int64_t total) {
  const MonotonicTime now = clock_.monotonic();
  if (work != work_) {
    end();
    work_ = work;
    done_first_ = done;
    began_ = now;
    tenths_ = -1;
  }
  const std::int64_t tenths = total == 0 ? 10 : done * 10 / total;
  const bool is_new = tenths != tenths_;
  if (!is_new && (style_ == Style::kLines || now - shown_ < kShowEvery)) return;
  tenths_ = tenths;
  shown_ = now;
  const double seconds = std::chrono::duration<double>(now - began_).count();
  const double rate = seconds > 0 ? static_cast<double>(done - done_first_) / seconds : 0;
  std::string line = fmt::format("{} of {} rows, {:.0f} a second", done, total, rate);
  if (rate > 0 && done < total) {
    line += fmt::format(", {:.0f} s left", static_cast<double>(total - done) / rate);
  }
  if (style_ == Style::kLines) {
    out_ << fmt::format("{}: {}\n", work, line) << std::flush;
    return;
  }
  const auto full = static_cast<std::size_t>(total == 0 ? kWidth : done * kWidth / total);
  const std::string bar = std::string(std::min<std::size_t>(full, kWidth), '#');
  // Back to the start of the line, and what stood there before is wiped.
  out_ << fmt::format("\r{} [{:.<{}}] {} ({})\x1b[K", work, bar, kWidth, line, part) << std::flush;
  is_open_ = true;
}

void ProgressBar::end() {
  if (is_open_) out_ << "\n" << std::flush;
  is_open_ = false;
}

}  // namespace postern::cli
