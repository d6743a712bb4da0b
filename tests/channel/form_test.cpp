// Goal: a form body is read in exactly one way or not at all (attacks P01 to P18, L14, L15).
// Method: bodies as attackers write them, each refused with its code; genuine spellings beside
// them.

#include "channel/form.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/channel/messages.h"

namespace postern::channel {
namespace {

[[nodiscard]] std::string value_of(std::string_view body, std::string_view name) {
  return std::string(must(parse_form(body)).text(name));
}

TEST(Form, DecodesNamesAndValuesOnce) {
  const Fields fields = must(parse_form("a=1&b+c=x%2By+z&d=%2526&e=&f=x=y%3D"));
  EXPECT_EQ(fields.pairs().size(), 5U);
  EXPECT_EQ(fields.text("a"), "1");
  EXPECT_EQ(fields.text("b c"), "x+y z");
  EXPECT_EQ(fields.text("d"), "%26");
  EXPECT_EQ(fields.find("e"), "");
  EXPECT_EQ(fields.text("f"), "x=y=");
  EXPECT_FALSE(fields.find("g"));
}

TEST(Form, KeepsOrderAndKnowsTheOrderOfNames) {
  const Fields fields = must(parse_form("b=1&B=2&a=3&_=4"));
  std::string received;
  std::string sorted;
  for (const auto& field : fields.pairs()) received += field.first;
  for (const auto index : fields.by_name()) sorted += fields.pairs()[index].first;
  EXPECT_EQ(received, "bBa_");
  EXPECT_EQ(sorted, "B_ab");
}

TEST(Form, SortsNamesThatBeginAlike) {
  const Fields fields =
      must(parse_form("notify_type=1&notify_time=2&notify_t%00=3&notify_id=4&notify_t=5&%C3=6"
                      "&notify_=7"));
  std::string sorted;
  for (const auto index : fields.by_name()) sorted += fields.pairs()[index].second;
  EXPECT_EQ(sorted, "7453216");
  EXPECT_EQ(code_of(parse_form("notify_time=1&notify_type=2&notify_time=3")), "key_duplicate");
}

TEST(Form, BlankIsWrittenInTwoWays) {
  EXPECT_EQ(value_of("a=x+y", "a"), "x y");
  EXPECT_EQ(value_of("a=x%20y", "a"), "x y");
  EXPECT_EQ(value_of("a=%e4%B8%ad", "a"), "\xE4\xB8\xAD");
}

TEST(Form, KeepsBytesOfAnyCharacterSet) {
  // GBK ends this value in BF 5C: the second byte is a backslash and must stay (P15).
  EXPECT_EQ(value_of("subject=%BF%5C", "subject"), "\xBF\\");
  EXPECT_EQ(value_of("a=%00%0a%1b", "a"), std::string("\0\n\x1b", 3));
}

TEST(Form, RefusesRepeatedNames) {
  EXPECT_EQ(code_of(parse_form("total_amount=100.00&x=1&total_amount=0.01")), "key_duplicate");
  EXPECT_EQ(code_of(parse_form("sign=a&sign=a")), "key_duplicate");
  EXPECT_EQ(code_of(parse_form("sign=a&s%69gn=b")), "key_duplicate");
}

TEST(Form, LookAlikeNamesAreOtherNames) {
  const Fields fields =
      must(parse_form("Sign=1&SIGN=2&sign+=3&sign%00=4&sign%5b%5d=5&total_amount%5Ba%5D=6"));
  EXPECT_FALSE(fields.find("sign"));
  EXPECT_FALSE(fields.find("total_amount"));
  EXPECT_EQ(fields.pairs().size(), 6U);
}

TEST(Form, RefusesWhatReadersSplitDifferently) {
  for (const std::string_view body : {"", "&", "a=1&", "&a=1", "a=1&&b=2", "a", "a=1&b", "=1",
                                      "a=1&=2", "a=1;b=2", "a=1 &b=2", " a=1",
                                      "\xEF\xBB\xBF"
                                      "a=1",
                                      "a=\xE4", "a=1\r\n", "a=\t", "a=\x7F"}) {
    EXPECT_EQ(code_of(parse_form(body)), "body_malformed") << body;
  }
  EXPECT_EQ(code_of(parse_form(std::string("a=\0b", 4))), "body_malformed");
}

TEST(Form, RefusesInvalidEscapes) {
  for (const std::string_view body :
       {"a=%", "a=%2", "a=%G1", "a=%1G", "a=%u0030", "a=%%20", "%=1", "a=% 1", "a=%+1"}) {
    EXPECT_EQ(code_of(parse_form(body)), "body_malformed") << body;
  }
}

TEST(Form, LimitsTheNumberOfFields) {
  const auto body_of = [](std::size_t count) {
    std::string body;
    for (std::size_t i = 0; i < count; ++i) {
      body += (i == 0 ? "f" : "&f") + std::to_string(i) + "=1";
    }
    return body;
  };
  EXPECT_EQ(code_of(parse_form(body_of(kFieldsMax))), "ok");
  EXPECT_EQ(code_of(parse_form(body_of(kFieldsMax + 1))), "fields_too_many");
}

TEST(Form, LargeHostileBodiesCostLittle) {
  std::string wide;
  for (int i = 0; i < 100'000; ++i) wide += "&k" + std::to_string(i) + "=1";
  const std::string one_name(1'000'000, 'a');
  const std::string separators(1'000'000, '&');
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(code_of(parse_form(std::string_view(wide).substr(1))), "fields_too_many");
  EXPECT_EQ(code_of(parse_form(one_name)), "body_malformed");
  EXPECT_EQ(code_of(parse_form(separators)), "body_malformed");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace postern::channel
