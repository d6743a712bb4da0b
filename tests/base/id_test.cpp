// Goal: an id is exactly the text it was given, within limits, and is never taken for another kind.
// Method: texts on both sides of each limit; the compiler is asked what it lets through.

#include "base/id.h"

#include <gtest/gtest.h>

#include <concepts>
#include <string>
#include <type_traits>

namespace postern {
namespace {

static_assert(std::totally_ordered<AccountName>);
static_assert(!std::equality_comparable_with<AccountName, MerchantName>);
static_assert(!std::is_constructible_v<AccountName, MerchantName>);
static_assert(!std::is_constructible_v<AccountName, std::string>);
static_assert(!std::is_convertible_v<AccountName, std::string>);
static_assert(!std::is_convertible_v<AccountName, std::string_view>);
static_assert(!std::is_default_constructible_v<AccountName>);

TEST(Id, KeepsItsTextExactly) {
  for (const std::string& text :
       {std::string("T1001"), std::string("a"), std::string(" padded "),
        std::string("\xe5\x8d\x95"), std::string("a/b?c=d&e"), std::string(kIdBytesMax, 'x')}) {
    const Result<MerchantOrderId> id = MerchantOrderId::parse(text);
    ASSERT_TRUE(id.has_value()) << text;
    EXPECT_EQ(id->text(), text);
    EXPECT_EQ(*id, MerchantOrderId::trusted(text));
  }
}

TEST(Id, RefusesTextsThatCannotBeIds) {
  for (const std::string& text :
       {std::string(), std::string(kIdBytesMax + 1, 'x'), std::string("a\nb"), std::string("a\tb"),
        std::string("a\0b", 3), std::string("\x1f"), std::string("\x7f"), std::string("a\r")}) {
    const Result<MerchantOrderId> id = MerchantOrderId::parse(text);
    ASSERT_FALSE(id.has_value());
    EXPECT_EQ(id.error().code, "id_malformed");
    EXPECT_EQ(id.error().error_class, ErrorClass::kRejected);
    EXPECT_FALSE(is_id_text(text));
  }
}

TEST(Id, NothingIsTrimmedOrFolded) {
  const MerchantOrderId upper = MerchantOrderId::parse("ABC").value();
  EXPECT_NE(upper, MerchantOrderId::parse("abc").value());
  EXPECT_NE(upper, MerchantOrderId::parse("ABC ").value());
  EXPECT_NE(upper, MerchantOrderId::parse(" ABC").value());
  EXPECT_EQ(upper, MerchantOrderId::parse("ABC").value());
}

TEST(Id, OrdersByBytes) {
  const auto id = [](std::string_view text) { return MerchantOrderId::parse(text).value(); };
  EXPECT_LT(id("A"), id("B"));
  EXPECT_LT(id("B"), id("a"));
  EXPECT_LT(id("A"), id("AA"));
  EXPECT_LT(id("a"), id("\xe5"));
}

}  // namespace
}  // namespace postern
