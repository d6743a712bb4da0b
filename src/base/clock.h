#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// UTC, to the millisecond.
using TimePoint = std::chrono::sys_time<std::chrono::milliseconds>;
/// Since an arbitrary start that is never stored; not moved by changes of the wall clock.
using MonotonicTime = std::chrono::nanoseconds;

/// The only way to learn the time. @thread any
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
  [[nodiscard]] virtual MonotonicTime monotonic() const = 0;
};

/// Runs things later. @thread any; the callback runs on the implementation's own thread.
class Timers {
 public:
  virtual ~Timers() = default;
  virtual void after(std::chrono::milliseconds delay, std::move_only_function<void()> run) = 0;
};

/// "2026-11-23T09:00:00.123Z"
[[nodiscard]] std::string format_rfc3339(TimePoint time);

/// "2026-11-23 17:00:00", China Standard Time.
[[nodiscard]] std::string format_china_time(TimePoint time);

/// Reads RFC 3339 with any offset ("2018-06-08T10:34:56+08:00", "...Z", optional fraction).
/// Nothing where the text is not exactly that.
[[nodiscard]] std::optional<TimePoint> parse_rfc3339(std::string_view text);

/// Reads "yyyy-MM-dd HH:mm:ss", with an optional ".fff", as China Standard Time (UTC+8, no summer
/// time).
[[nodiscard]] std::optional<TimePoint> parse_china_time(std::string_view text);

/// Reads "yyyyMMddHHmmss" as China Standard Time.
[[nodiscard]] std::optional<TimePoint> parse_china_time_compact(std::string_view text);

}  // namespace postern
