// Goal: a key that ends is told thirty days before, once, and no more when something is listed that
// goes on after it; figures name every key that ends.
// Method: a clock and timers that the test moves, real figures, and incidents kept in a list.
#include "app/key_calendar.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "app/prometheus_metrics.h"

namespace postern::app {
namespace {

class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return time; }
  [[nodiscard]] MonotonicTime monotonic() const override { return {}; }
  TimePoint time = *parse_rfc3339("2026-11-24T00:00:00Z");
};

class ManualTimers final : public Timers {
 public:
  void after(std::chrono::milliseconds delay, std::move_only_function<void()> run) override {
    EXPECT_EQ(delay, KeyCalendar::kLookEvery);
    waiting.push_back(std::move(run));
  }
  void fire() {
    auto due = std::exchange(waiting, {});
    for (auto& run : due) run();
  }
  std::vector<std::move_only_function<void()>> waiting;
};

class Calendar : public ::testing::Test {
 protected:
  [[nodiscard]] TimePoint in(int days) const {
    return *parse_rfc3339("2026-11-24T00:00:00Z") + std::chrono::days(days);
  }
  [[nodiscard]] CalendarEntry key(const std::string& name, TimePoint from, TimePoint until,
                                  const std::string& setting = "platform_keys") const {
    return {.account = "alipay", .setting = setting, .key = name, .window = {from, until}};
  }
  [[nodiscard]] CalendarEntry ends_in(int days) const {
    return key("aa", TimePoint::min(), in(days));
  }
  void pass(int days) {
    for (int i = 0; i < days; ++i) {
      clock_.time += std::chrono::days(1);
      timers_.fire();
    }
  }
  [[nodiscard]] bool is_open(const std::string& subject) const { return open_.contains(subject); }

  ManualClock clock_;
  ManualTimers timers_;
  NullLog log_;
  PrometheusMetrics metrics_;
  std::map<std::string, std::string> open_;  ///< detail by subject
  int raised_ = 0;
  Result<void> writing_;
  KeyCalendar calendar_{
      {clock_, timers_, log_, metrics_},
      {.raise =
           [this](std::string subject, std::string detail, KeyCalendar::Done done) {
             ++raised_;
             if (writing_) open_[std::move(subject)] = std::move(detail);
             done(writing_);
           },
       .resolve =
           [this](const std::string& subject, KeyCalendar::Done done) {
             if (writing_) open_.erase(subject);
             done(writing_);
           }}};
};

TEST_F(Calendar, TellsThirtyDaysBeforeAndOnce) {
  calendar_.start({ends_in(40)}, {});
  pass(9);
  EXPECT_EQ(raised_, 0);
  pass(1);
  ASSERT_TRUE(is_open("alipay/platform_keys/aa"));
  EXPECT_NE(open_.begin()->second.find("ends at 2027-01-03T00:00:00.000Z"), std::string::npos);
  EXPECT_NE(open_.begin()->second.find("docs/keys.md"), std::string::npos);
  pass(40);
  EXPECT_EQ(raised_, 1);
}

TEST_F(Calendar, LooksAtTheStart) {
  calendar_.start({ends_in(-1)}, {});
  EXPECT_NE(open_.at("alipay/platform_keys/aa").find("stopped counting"), std::string::npos);
}

TEST_F(Calendar, IsQuietWhereAKeyGoesOnAfterIt) {
  const CalendarEntry ending = ends_in(10);
  calendar_.start({ending, key("bb", in(5), TimePoint::max())}, {});
  EXPECT_EQ(raised_, 0);
  calendar_.replace({ending, key("bb", in(5), TimePoint::max(), "platform_certificates")});
  EXPECT_EQ(raised_, 0) << "a certificate goes on after a plain key";
  calendar_.replace({ending, key("bb", in(11), TimePoint::max())});
  EXPECT_EQ(raised_, 1) << "a gap of a day between them";
}

TEST_F(Calendar, NothingElseGoesOnForIt) {
  CalendarEntry others = key("bb", TimePoint::min(), TimePoint::max());
  others.account = "second";
  calendar_.start(
      {ends_in(10), others, key("cc", TimePoint::min(), TimePoint::max(), "application_key"),
       key("dd", TimePoint::min(), in(9))},
      {});
  EXPECT_TRUE(is_open("alipay/platform_keys/aa"));
  EXPECT_FALSE(is_open("alipay/platform_keys/dd")) << "aa goes on after it for a day";
}

TEST_F(Calendar, ResolvesWhatWasReplaced) {
  calendar_.start({ends_in(10)}, {"alipay/platform_keys/00"});
  EXPECT_TRUE(is_open("alipay/platform_keys/aa"));
  calendar_.replace({ends_in(10), key("bb", in(0), TimePoint::max())});
  EXPECT_TRUE(open_.empty());
}

TEST_F(Calendar, ResolvesWhatAnEarlierRunRaised) {
  open_["alipay/platform_keys/00"] = "by an earlier run";
  open_["alipay/platform_keys/aa"] = "by an earlier run";
  calendar_.start({ends_in(10)}, {"alipay/platform_keys/00", "alipay/platform_keys/aa"});
  EXPECT_FALSE(is_open("alipay/platform_keys/00"));
  EXPECT_EQ(open_.at("alipay/platform_keys/aa"), "by an earlier run") << "counted up again";
}

TEST_F(Calendar, TellsAgainWhatWasNotWritten) {
  writing_ = std::unexpected(Error{ErrorClass::kRetryable, "store_refused", {}});
  calendar_.start({ends_in(10)}, {});
  EXPECT_TRUE(open_.empty());
  writing_ = {};
  pass(1);
  EXPECT_TRUE(is_open("alipay/platform_keys/aa"));
}

TEST_F(Calendar, ShowsWhenEachKeyEnds) {
  CalendarEntry listener = key("5A", TimePoint::min(), in(90), "server.tls.certificate");
  listener.account = "";
  calendar_.start({ends_in(10), listener, key("bb", in(0), TimePoint::max())}, {});
  const std::string text = metrics_.exposition();
  EXPECT_NE(text.find(R"(postern_key_expires_at_seconds{account="alipay",key="aa",)"
                      R"(setting="platform_keys"} 1796342400)"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"(key="5A")"), std::string::npos);
  EXPECT_EQ(text.find(R"(key="bb")"), std::string::npos) << "it has no end";
  calendar_.replace({});
  EXPECT_NE(metrics_.exposition().find(R"(setting="platform_keys"} Nan)"), std::string::npos)
      << metrics_.exposition();
}

}  // namespace
}  // namespace postern::app
