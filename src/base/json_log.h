#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"

namespace postern {

/// "debug", "info", "warning" or "error". @errors log_level_unknown
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view text);

/// Writes one JSON object per line:
/// {"time":"2026-11-23T09:00:00.123Z","level":"info","event":"callback_recorded","account":"alipay"}
///
/// `write` puts the line into a buffer in memory and returns; a thread of its own hands the buffer
/// to spdlog, so that neither intake nor the store ever waits for a disk or a pipe. What does not
/// fit into the buffer is dropped and counted, and the count is logged when there is room again.
/// Lines below the threshold cost one comparison. Values are cut at 1 KiB; control characters are
/// escaped and ill-formed UTF-8 becomes U+FFFD, so that a line is always one line of JSON.
///
/// Lifetime: the clock outlives the log. The destructor writes out what is left, but waits no more
/// than two seconds for a reader that does not read. @thread any
class JsonLog final : public Log {
 public:
  struct Options {
    LogLevel threshold = LogLevel::kInfo;
    std::string file;  ///< empty: standard error
    std::size_t buffer_bytes_max = 4 * 1024 * 1024;
    std::chrono::milliseconds flush_interval{100};
  };
  static constexpr std::size_t kValueBytesMax = 1024;

  /// @errors log_file_not_writable
  [[nodiscard]] static Result<std::unique_ptr<JsonLog>> open(Options options, const Clock& clock);
  ~JsonLog() override;

  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override;

  /// From now on lines below `threshold` are dropped. @thread any
  void set_threshold(LogLevel threshold) { threshold_ = threshold; }

  /// How many lines have been dropped since the start.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  class Writer;
  JsonLog(LogLevel threshold, const Clock& clock, std::shared_ptr<Writer> writer);

  std::atomic<LogLevel> threshold_;
  const Clock& clock_;
  const std::shared_ptr<Writer> writer_;
};

}  // namespace postern
