// One line is one JSON object (RFC 8259) and a line feed. Members: time (RFC 3339, UTC, with
// milliseconds), level, event, then the fields in the order given.
#include "base/json_log.h"

#include <fmt/format.h>
#include <spdlog/details/log_msg.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/utf8.h"

namespace postern {
namespace {

using Line = fmt::basic_memory_buffer<char, 512>;

/// Lines are written out at every interval; earlier where this much waits, or an error does.
constexpr std::size_t kWakeBytes = 256 * 1024;
constexpr std::chrono::seconds kCloseWait{2};

[[nodiscard]] std::string_view name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

void append(Line& line, std::string_view text) {
  line.append(text.data(), text.data() + text.size());
}

/// Whether `c` stands in JSON text as it is. DEL does not, for the sake of terminals.
[[nodiscard]] bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\';
}

void append_escaped(Line& line, char c) {
  switch (c) {
    case '"':
      return append(line, "\\\"");
    case '\\':
      return append(line, "\\\\");
    case '\n':
      return append(line, "\\n");
    case '\r':
      return append(line, "\\r");
    case '\t':
      return append(line, "\\t");
    default:
      fmt::format_to(fmt::appender(line), "\\u{:04x}", static_cast<unsigned char>(c));
  }
}

/// What is not ASCII: a whole sequence is kept, unless it is a C1 control, which some terminals
/// obey; anything else becomes U+FFFD. Returns how many bytes it took.
[[nodiscard]] std::size_t append_wide(Line& line, std::string_view text) {
  const std::size_t size = utf8_character_size(text);
  if (size == 0) {
    append(line, "\xEF\xBF\xBD");
    return 1;
  }
  if (size == 2 && text[0] == '\xC2' && static_cast<unsigned char>(text[1]) < 0xA0) {
    fmt::format_to(fmt::appender(line), "\\u{:04x}", static_cast<unsigned char>(text[1]));
  } else {
    append(line, text.substr(0, size));
  }
  return size;
}

void append_string(Line& line, std::string_view text) {
  const bool cut = text.size() > JsonLog::kValueBytesMax;
  const std::size_t end = cut ? JsonLog::kValueBytesMax : text.size();
  line.push_back('"');
  std::size_t i = 0;
  while (i < end) {
    const std::size_t begin = i;
    while (i < end && is_plain(text[i])) ++i;
    append(line, text.substr(begin, i - begin));
    if (i == end) break;
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      append_escaped(line, text[i++]);
    } else {
      i += append_wide(line, text.substr(i));
    }
  }
  append(line, cut ? "...\"" : "\"");
}

void append_value(Line& line, const LogField& field) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    append_string(line, *text);
  } else if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
    append(line, fmt::format_int(*number).c_str());
  } else {
    append(line, std::get<bool>(field.value) ? "true" : "false");
  }
}

/// Under load many lines fall into one millisecond, and its text is made once.
[[nodiscard]] const std::string& time_text(TimePoint now) {
  thread_local TimePoint known;
  thread_local std::string text;
  if (now != known || text.empty()) {
    known = now;
    text = format_rfc3339(now);
  }
  return text;
}

void append_line(Line& line, TimePoint now, LogLevel level, std::string_view event,
                 std::span<const LogField> fields) {
  append(line, "{\"time\":\"");
  append(line, time_text(now));
  append(line, "\",\"level\":\"");
  append(line, name(level));
  append(line, "\",\"event\":");
  append_string(line, event);
  for (const LogField& field : fields) {
    line.push_back(',');
    append_string(line, field.key);
    line.push_back(':');
    append_value(line, field);
  }
  append(line, "}\n");
}

[[nodiscard]] std::unique_ptr<spdlog::sinks::sink> open_sink(const std::string& file) {
  std::unique_ptr<spdlog::sinks::sink> sink;
  if (file.empty()) {
    sink = std::make_unique<spdlog::sinks::stderr_sink_st>();
  } else {
    sink = std::make_unique<spdlog::sinks::basic_file_sink_st>(file);
  }
  // The lines are complete: nothing before them, no line end after them.
  sink->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "%v", spdlog::pattern_time_type::utc, std::string()));
  return sink;
}

}  // namespace

/// The buffer and the thread that empties it. The thread owns a share of it, so that one stuck in a
/// write does not hold up the end of the process.
class JsonLog::Writer {
 public:
  Writer(const Options& options, const Clock& clock)
      : bytes_max_(options.buffer_bytes_max),
        interval_(options.flush_interval),
        clock_(clock),
        sink_(open_sink(options.file)) {}

  static void start(std::shared_ptr<Writer> writer) {
    std::thread([writer = std::move(writer)] { writer->run(); }).detach();
  }

  void add(std::string_view line, LogLevel level) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      if (buffer_.size() + line.size() > bytes_max_) {
        ++dropped_;
        return;
      }
      buffer_.append(line);
      if (!wake_) wake = wake_ = level == LogLevel::kError || buffer_.size() >= kWakeBytes;
    }
    if (wake) changed_.notify_one();
  }

  void close() {
    std::unique_lock lock(mutex_);
    closing_ = true;
    changed_.notify_one();
    closed_changed_.wait_for(lock, kCloseWait, [this] { return closed_; });
  }

  [[nodiscard]] std::uint64_t dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }

 private:
  void run() {
    std::string block;
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait_for(lock, interval_, [this] { return wake_ || closing_; });
      wake_ = false;
      if (buffer_.empty() && dropped_ == told_dropped_) {
        if (closing_) break;
        continue;
      }
      block.clear();
      block.swap(buffer_);
      tell_dropped(block);
      lock.unlock();
      write_out(block);
      lock.lock();
    }
    closed_ = true;
    closed_changed_.notify_all();
  }

  /// Says in `block` what could not be written before it.
  void tell_dropped(std::string& block) {
    if (dropped_ == told_dropped_) return;
    const std::uint64_t count = dropped_ - told_dropped_;
    told_dropped_ = dropped_;
    if (closing_) return;  // the clock may be gone
    Line line;
    append_line(line, clock_.now(), LogLevel::kWarning, "log_lines_dropped",
                std::initializer_list<LogField>{{"count", count}});
    block.append(line.data(), line.size());
  }

  void write_out(const std::string& block) noexcept {
    try {
      sink_->log({{}, spdlog::level::info, block});
      sink_->flush();
    } catch (...) {
      // A full disk: the lines are lost, the service goes on.
      const auto lines = static_cast<std::uint64_t>(std::ranges::count(block, '\n'));
      const std::lock_guard lock(mutex_);
      dropped_ += lines;
      told_dropped_ += lines;
    }
  }

  const std::size_t bytes_max_;
  const std::chrono::milliseconds interval_;
  const Clock& clock_;
  const std::unique_ptr<spdlog::sinks::sink> sink_;  // the thread's only

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable closed_changed_;
  std::string buffer_;
  std::uint64_t dropped_ = 0;
  std::uint64_t told_dropped_ = 0;
  bool wake_ = false;
  bool closing_ = false;
  bool closed_ = false;
};

Result<LogLevel> parse_log_level(std::string_view text) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (text == name(level)) return level;
  }
  return rejected("log_level_unknown", "write debug, info, warning or error");
}

Result<std::unique_ptr<JsonLog>> JsonLog::open(Options options, const Clock& clock) {
  try {
    auto writer = std::make_shared<Writer>(options, clock);
    Writer::start(writer);
    return std::unique_ptr<JsonLog>(new JsonLog(options.threshold, clock, std::move(writer)));
  } catch (const spdlog::spdlog_ex&) {
    return fault("log_file_not_writable",
                 fmt::format("cannot write to {}: check the folder and its rights", options.file));
  }
}

JsonLog::JsonLog(LogLevel threshold, const Clock& clock, std::shared_ptr<Writer> writer)
    : threshold_(threshold), clock_(clock), writer_(std::move(writer)) {}

JsonLog::~JsonLog() {
  writer_->close();
}

void JsonLog::write(LogLevel level, std::string_view event, std::span<const LogField> fields) {
  if (level < threshold_.load(std::memory_order_relaxed)) return;
  Line line;
  append_line(line, clock_.now(), level, event, fields);
  writer_->add({line.data(), line.size()}, level);
}

std::uint64_t JsonLog::dropped() const {
  return writer_->dropped();
}

}  // namespace postern
