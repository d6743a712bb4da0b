// Goal: a log line is always one line of well-formed JSON, whatever a sender put into a value, and
// writing it never waits for the reader.
// Method: write to a file or a pipe nobody reads, and look at the bytes.
#include "base/json_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/system.h"

namespace postern {
namespace {

class FixedClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override {
    return *parse_rfc3339("2026-11-23T09:00:00.123Z");
  }
  [[nodiscard]] MonotonicTime monotonic() const override { return {}; }
};

class JsonLogTest : public testing::Test {
 protected:
  JsonLogTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "postern-log-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    file_ = folder_ / "log";
  }
  ~JsonLogTest() override { std::filesystem::remove_all(folder_); }

  /// What is in the file after `use` has written to a log that is then closed.
  template <class Use>
  std::string written(LogLevel threshold, Use use) {
    auto log = JsonLog::open({.threshold = threshold, .file = file_.string()}, clock_);
    EXPECT_TRUE(log.has_value());
    use(**log);
    log->reset();
    std::ifstream in(file_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::filesystem::path folder_;
  std::filesystem::path file_;
  FixedClock clock_;
};

TEST_F(JsonLogTest, WritesTheFieldsInOrder) {
  EXPECT_EQ(written(LogLevel::kInfo,
                    [](Log& log) {
                      log.info(
                          "callback_recorded",
                          {{"account", "alipay"}, {"callback", std::int64_t{-17}}, {"late", true}});
                    }),
            R"({"time":"2026-11-23T09:00:00.123Z","level":"info","event":"callback_recorded",)"
            R"("account":"alipay","callback":-17,"late":true})"
            "\n");
}

TEST_F(JsonLogTest, LeavesOutWhatIsBelowTheThreshold) {
  const std::string text = written(LogLevel::kWarning, [](Log& log) {
    log.debug("a");
    log.info("b");
    log.warning("c");
    log.error("d");
  });
  EXPECT_EQ(std::ranges::count(text, '\n'), 2);
  EXPECT_NE(text.find(R"("level":"warning","event":"c")"), std::string::npos);
  EXPECT_NE(text.find(R"("level":"error","event":"d")"), std::string::npos);
}

TEST_F(JsonLogTest, EscapesWhatWouldBreakTheLine) {
  struct Case {
    std::string value, expected;
  };
  using namespace std::string_literals;
  const Case cases[] = {
      {"a\"b\\c", R"(a\"b\\c)"},
      {"a\r\n\tb", R"(a\r\n\tb)"},
      {"\0\x01\x1b[31m\x7f"s, R"(\u0000\u0001\u001b[31m\u007f)"},
      {"\xC2\x9B", R"(\u009b)"},  // C1: obeyed by some terminals
      {"支付", "支付"},
      {"\xF0\x9F\x92\xB0", "\xF0\x9F\x92\xB0"},
      {"\xFF", "\uFFFD"},
      {"a\xC3", "a\uFFFD"},                              // broken off
      {"\xC0\xAF", "\uFFFD\uFFFD"},                      // overlong
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},            // surrogate
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},  // above U+10FFFF
  };
  for (const Case& c : cases) {
    std::filesystem::remove(file_);
    const std::string text =
        written(LogLevel::kInfo, [&](Log& log) { log.info("e", {{"v", c.value}}); });
    EXPECT_TRUE(text.ends_with(",\"v\":\"" + c.expected + "\"}\n")) << text;
  }
}

TEST_F(JsonLogTest, CutsLongValuesBetweenCharacters) {
  std::string value = "x";
  while (value.size() < 4000) value += "支";
  const std::string text =
      written(LogLevel::kInfo, [&](Log& log) { log.info("e", {{"v", value}}); });
  EXPECT_LT(text.size(), JsonLog::kValueBytesMax + 100);
  EXPECT_TRUE(text.ends_with("支...\"}\n"));
  EXPECT_EQ(text.find("\uFFFD"), std::string::npos);
}

TEST_F(JsonLogTest, SaysWhenTheFileCannotBeWritten) {
  // spdlog makes missing folders, so take one that cannot be made.
  const auto refused = JsonLog::open({.file = "/proc/postern/log"}, clock_);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, "log_file_not_writable");
  EXPECT_NE(refused.error().detail.find("/proc/postern/log"), std::string::npos);
}

// P12, P13: with a reader that does not read, lines are dropped and counted; the caller goes on.
TEST_F(JsonLogTest, DropsAndCountsWhenNobodyReads) {
  const std::string pipe = (folder_ / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  SystemClock system;
  std::atomic<bool> text_seen = false;
  std::jthread reading;
  {
    auto log = JsonLog::open({.file = pipe,
                              .buffer_bytes_max = 64 * 1024,
                              .flush_interval = std::chrono::milliseconds(1)},
                             system);
    ASSERT_TRUE(log.has_value());
    const std::string value(500, 'x');
    const MonotonicTime began = system.monotonic();
    for (int i = 0; i < 20'000; ++i) (*log)->info("e", {{"v", value}});
    EXPECT_LT(system.monotonic() - began, std::chrono::seconds(2));
    EXPECT_GT((*log)->dropped(), 10'000u);

    // The reader comes back: it finds a line that says how many are missing.
    reading = std::jthread([reader, &text_seen](const std::stop_token& stop) {
      std::string text;
      std::string buffer(65536, '\0');
      while (!stop.stop_requested()) {
        const ssize_t got = ::read(reader, buffer.data(), buffer.size());
        if (got > 0) text.append(buffer, 0, static_cast<std::size_t>(got));
        if (text.find("log_lines_dropped") != std::string::npos) text_seen = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    for (int i = 0; i < 2000 && !text_seen; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_TRUE(text_seen);
  }
  reading.request_stop();
  reading.join();
  ::close(reader);
}

TEST(LogLevel, IsReadStrictly) {
  EXPECT_EQ(parse_log_level("warning"), LogLevel::kWarning);
  EXPECT_FALSE(parse_log_level("WARNING").has_value());
  EXPECT_FALSE(parse_log_level("").has_value());
}

}  // namespace
}  // namespace postern
