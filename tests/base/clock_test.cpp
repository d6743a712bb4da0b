// Goal: times of platforms and of our own rows are read exactly, or not at all.
// Method: known instants in each form, then texts that are nearly right.

#include "base/clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace postern {
namespace {

using std::chrono::milliseconds;
using std::chrono::sys_days;
using std::chrono::year;

TimePoint at(std::int64_t unix_milliseconds) {
  return TimePoint{milliseconds{unix_milliseconds}};
}

TEST(FormatRfc3339, WritesUtcToTheMillisecond) {
  EXPECT_EQ(format_rfc3339(at(0)), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_rfc3339(at(1)), "1970-01-01T00:00:00.001Z");
  EXPECT_EQ(format_rfc3339(at(-1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(format_rfc3339(at(1'795'424'400'123)), "2026-11-23T09:00:00.123Z");
  EXPECT_EQ(format_rfc3339(TimePoint{sys_days{year{2024} / 2 / 29}}), "2024-02-29T00:00:00.000Z");
  EXPECT_EQ(format_rfc3339(at(253'402'300'799'999)), "9999-12-31T23:59:59.999Z");
}

TEST(ParseRfc3339, ReadsAnyOffset) {
  const TimePoint wanted = at(1'528'425'296'000);
  for (const std::string_view text :
       {"2018-06-08T02:34:56Z", "2018-06-08T10:34:56+08:00", "2018-06-08T02:34:56+00:00",
        "2018-06-08T02:34:56-00:00", "2018-06-07T21:04:56-05:30", "2018-06-09T02:33:56+23:59",
        "2018-06-08T02:34:56.0Z", "2018-06-08T02:34:56.000000000Z"}) {
    EXPECT_EQ(parse_rfc3339(text), wanted) << text;
  }
  EXPECT_EQ(
      parse_rfc3339("2024-03-01T07:59:59+08:00"),
      TimePoint{sys_days{year{2024} / 2 / 29}} + std::chrono::hours{24} - std::chrono::seconds{1});
}

TEST(ParseRfc3339, KeepsMillisecondsAndDropsFinerParts) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.1Z"), at(100));
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.12Z"), at(120));
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.123Z"), at(123));
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.1239Z"), at(123));
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.009999999+00:00"), at(9));
}

TEST(ParseRfc3339, ReadsBackWhatIsWritten) {
  for (const std::int64_t time :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1'795'424'400'123},
        std::int64_t{951'782'400'000}, std::int64_t{253'402'300'799'999},
        std::int64_t{-2'208'988'800'000}}) {
    EXPECT_EQ(parse_rfc3339(format_rfc3339(at(time))), at(time));
  }
}

TEST(ParseRfc3339, RefusesWhatIsNotExactlyThat) {
  for (const std::string_view text : {"",
                                      "Z",
                                      "2018-06-08",
                                      "2018-06-08T02:34:56",
                                      "2018-06-08 02:34:56Z",
                                      "2018-06-08T02:34:56Z ",
                                      " 2018-06-08T02:34:56Z",
                                      "2018-06-08T02:34:56ZZ",
                                      "2018-06-08T02:34:56+0800",
                                      "2018-06-08T02:34:56+08",
                                      "2018-06-08T02:34:56+8:00",
                                      "2018-06-08T02:34:56+24:00",
                                      "2018-06-08T02:34:56+08:60",
                                      "2018-06-08T02:34:56.Z",
                                      "2018-06-08T02:34:56,1Z",
                                      "2018-06-08T02:34Z",
                                      "2018-6-8T02:34:56Z",
                                      "18-06-08T02:34:56Z",
                                      "2018-06-08T-2:34:56Z",
                                      "2018-06-08T02:34:5aZ",
                                      "+018-06-08T02:34:56Z",
                                      "2018-06-08T02:34:56.1x3Z",
                                      "2018-06-08T02:34:56*08:00"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
}

TEST(ParseRfc3339, RefusesDatesAndTimesThatDoNotExist) {
  for (const std::string_view text :
       {"2018-00-08T02:34:56Z", "2018-13-08T02:34:56Z", "2018-06-00T02:34:56Z",
        "2018-06-31T02:34:56Z", "2018-02-29T02:34:56Z", "1900-02-29T02:34:56Z",
        "2018-06-08T24:00:00Z", "2018-06-08T02:60:56Z", "2018-06-08T02:34:60Z"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
  EXPECT_TRUE(parse_rfc3339("2000-02-29T02:34:56Z").has_value());
}

TEST(ParseChinaTime, IsEightHoursAheadOfUtcAllYear) {
  EXPECT_EQ(parse_china_time("1970-01-01 08:00:00"), at(0));
  EXPECT_EQ(parse_china_time("2018-06-08 10:34:56"), at(1'528'425'296'000));
  EXPECT_EQ(parse_china_time("2018-06-08 10:34:56.789"), at(1'528'425'296'789));
  // China had summer time in 1988; platforms' times never have.
  EXPECT_EQ(parse_china_time("1988-07-01 08:00:00"), TimePoint{sys_days{year{1988} / 7 / 1}});
  EXPECT_EQ(parse_china_time("2026-01-01 07:59:59"),
            TimePoint{sys_days{year{2026} / 1 / 1}} - std::chrono::seconds{1});
}

TEST(ParseChinaTime, RefusesWhatIsNotExactlyThat) {
  for (const std::string_view text :
       {"", "2018-06-08", "2018-06-08T10:34:56", "2018-06-08 10:34:56Z", "2018-06-08 10:34",
        "2018-06-08  10:34:56", "2018-06-08 10:34:56.", "2018/06/08 10:34:56",
        "2018-02-29 10:34:56", "2018-06-08 24:34:56", "2018-06-08 10:60:56", "2018-06-08 10:34:60",
        "20180608103456", "2018-06-08 10:34:56+08:00", "0000-00-00 00:00:00"}) {
    EXPECT_EQ(parse_china_time(text), std::nullopt) << text;
  }
}

TEST(ParseChinaTimeCompact, ReadsFourteenDigits) {
  EXPECT_EQ(parse_china_time_compact("19700101080000"), at(0));
  EXPECT_EQ(parse_china_time_compact("20180608103456"), at(1'528'425'296'000));
  EXPECT_EQ(parse_china_time_compact("20240229000000"),
            TimePoint{sys_days{year{2024} / 2 / 29}} - std::chrono::hours{8});
}

TEST(ParseChinaTimeCompact, RefusesWhatIsNotExactlyThat) {
  for (const std::string_view text :
       {"", "2018060810345", "201806081034567", "20180608 03456", "2018060810345a",
        "20180229103456", "20181308103456", "20180608243456", "20180608106056", "20180608103460",
        "20180608103456.1", "2018-06-08 10:34:56"}) {
    EXPECT_EQ(parse_china_time_compact(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace postern
