#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <variant>

namespace postern {

enum class LogLevel : unsigned char { kDebug, kInfo, kWarning, kError };

/// One key and value of a log line. Views must outlive the call only.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, bool> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  template <std::integral T>
  LogField(std::string_view k, T v) : key(k) {
    if constexpr (std::same_as<T, bool>) {
      value = v;
    } else {
      value = static_cast<std::int64_t>(v);
    }
  }
};

/// Where log lines go: an event name in snake_case and keys, never bodies or personal data.
/// @thread any
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view event, std::span<const LogField> fields) = 0;

  using Fields = std::initializer_list<LogField>;
  void debug(std::string_view event, Fields fields = {}) { write(LogLevel::kDebug, event, fields); }
  void info(std::string_view event, Fields fields = {}) { write(LogLevel::kInfo, event, fields); }
  void warning(std::string_view event, Fields fields = {}) {
    write(LogLevel::kWarning, event, fields);
  }
  void error(std::string_view event, Fields fields = {}) { write(LogLevel::kError, event, fields); }
};

/// Drops every line: for tests and tools.
class NullLog final : public Log {
 public:
  void write(LogLevel /*level*/, std::string_view /*event*/,
             std::span<const LogField> /*fields*/) override {}
};

}  // namespace postern
