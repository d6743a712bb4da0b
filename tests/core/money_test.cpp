// Goal: money is whole minor units with a currency, read textually and never by guess (P8).
// Method: tables of accepted and refused spellings; the edges of int64.
#include "core/money.h"

#include <gtest/gtest.h>

#include <limits>

namespace postern::core {
namespace {

[[nodiscard]] Currency currency(std::string_view code) {
  return Currency::parse(code).value();
}

TEST(Currency, KnowsExponents) {
  EXPECT_EQ(currency("JPY").exponent(), 0);
  EXPECT_EQ(currency("CNY").exponent(), 2);
  EXPECT_EQ(currency("KWD").exponent(), 3);
}

TEST(Currency, RefusesWhatIsNotACode) {
  for (const std::string_view code : {"", "CN", "cny", "CNYY", "ZZZ", "C1Y", "AAA", "\0\0\0"}) {
    EXPECT_FALSE(Currency::parse(code)) << code;
  }
}

TEST(Money, ReadsMajorUnits) {
  struct Row {
    std::string_view text, code;
    std::int64_t minor;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"88.88", "CNY", 8888},
           {"0.01", "CNY", 1},
           {"0.00", "CNY", 0},
           {"1000.00", "CNY", 100000},
           {"500", "JPY", 500},
           {"0", "JPY", 0},
           {"1.250", "KWD", 1250},
           {"92233720368547758.07", "CNY", std::numeric_limits<std::int64_t>::max()}}) {
    const auto money = Money::parse_major(row.text, currency(row.code));
    ASSERT_TRUE(money) << row.text;
    EXPECT_EQ(money->minor(), row.minor);
    EXPECT_EQ(money->format_major(), row.text);
  }
}

TEST(Money, RefusesOtherSpellingsOfMajorUnits) {
  for (const std::string_view text :
       {"",       ".",       ".88",    "88",     "88.",      "88.8", "88.888",  "+88.88",
        "-88.88", " 88.88",  "88.88 ", "88,88",  "1,000.00", "1e2",  "0x10.00", "08.88",
        "00.00",  "８８.88", "88.8a",  "8 8.88", "88..88",   "NaN",  "1.5.00"}) {
    EXPECT_FALSE(Money::parse_major(text, currency("CNY"))) << text;
  }
  EXPECT_FALSE(Money::parse_major("500.00", currency("JPY")));
  EXPECT_FALSE(Money::parse_major("05", currency("JPY")));
  EXPECT_FALSE(Money::parse_major("1.25", currency("KWD")));
}

TEST(Money, ReportsOverflowInReading) {
  const auto money = Money::parse_major("92233720368547758.08", currency("CNY"));
  ASSERT_FALSE(money);
  EXPECT_EQ(money.error().code, "money_overflow");
  EXPECT_EQ(Money::parse_minor("9223372036854775808", currency("CNY")).error().code,
            "money_overflow");
}

TEST(Money, ReadsMinorUnits) {
  EXPECT_EQ(Money::parse_minor("8888", currency("CNY"))->minor(), 8888);
  EXPECT_EQ(Money::parse_minor("0", currency("CNY"))->minor(), 0);
  for (const std::string_view text : {"", "-1", "+1", "01", "1.0", " 1", "1 ", "1e3"}) {
    EXPECT_FALSE(Money::parse_minor(text, currency("CNY"))) << text;
  }
}

TEST(Money, AddsAndSubtractsWithinOneCurrency) {
  const Money a = Money::of(100, currency("CNY"));
  const Money b = Money::of(30, currency("CNY"));
  EXPECT_EQ(a.plus(b)->minor(), 130);
  EXPECT_EQ(a.minus(b)->minor(), 70);
  EXPECT_TRUE(*a.compare(b) > 0);
}

TEST(Money, NeverMixesCurrencies) {
  const Money a = Money::of(100, currency("CNY"));
  const Money b = Money::of(100, currency("USD"));
  EXPECT_EQ(a.plus(b).error().code, "currency_mismatch");
  EXPECT_EQ(a.minus(b).error().code, "currency_mismatch");
  EXPECT_EQ(a.compare(b).error().code, "currency_mismatch");
  EXPECT_NE(a, b);
}

TEST(Money, ReportsOverflowInSums) {
  const Money most = Money::of(std::numeric_limits<std::int64_t>::max(), currency("CNY"));
  const Money least = Money::of(std::numeric_limits<std::int64_t>::min(), currency("CNY"));
  const Money one = Money::of(1, currency("CNY"));
  EXPECT_EQ(most.plus(one).error().code, "money_overflow");
  EXPECT_EQ(least.minus(one).error().code, "money_overflow");
}

TEST(Money, WritesEveryExponent) {
  EXPECT_EQ(Money::of(5, currency("CNY")).format_major(), "0.05");
  EXPECT_EQ(Money::of(-5, currency("CNY")).format_major(), "-0.05");
  EXPECT_EQ(Money::of(5, currency("KWD")).format_major(), "0.005");
  EXPECT_EQ(Money::of(5, currency("JPY")).format_major(), "5");
}

}  // namespace
}  // namespace postern::core
