// Goal: a header that counts is found whatever its case, and never where it is ambiguous; the block
// kept as evidence reads back as what it was made from (P15).
// Method: small header sets, and a round trip through the block.

#include "base/message.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

namespace postern {
namespace {

Headers sample() {
  Headers headers;
  headers.add("Content-Type", "application/json");
  headers.add("Wechatpay-Serial", "PUB_KEY_ID_1");
  headers.add("X-Empty", "");
  headers.add("X-Colon", "a: b: c");
  headers.add("X-Twice", "one");
  headers.add("x-twice", "two");
  headers.add("X-Bytes", " padded \xe4\xb8\xad ");
  return headers;
}

TEST(Headers, OnlyFindsAFieldWhateverItsCase) {
  const Headers headers = sample();
  for (const std::string_view name : {"Content-Type", "content-type", "CONTENT-TYPE"}) {
    EXPECT_EQ(headers.only(name), "application/json");
  }
  EXPECT_EQ(headers.only("wechatpay-serial"), "PUB_KEY_ID_1");
  EXPECT_EQ(headers.only("x-empty"), "");
  EXPECT_EQ(headers.only("x-colon"), "a: b: c");
  EXPECT_EQ(headers.only("X-Bytes"), " padded \xe4\xb8\xad ");
}

TEST(Headers, OnlyGivesNothingWhereThereIsNoneOrSeveral) {
  const Headers headers = sample();
  EXPECT_EQ(headers.only("X-Missing"), std::nullopt);
  EXPECT_EQ(headers.only("Content"), std::nullopt);
  EXPECT_EQ(headers.only("Content-Type2"), std::nullopt);
  EXPECT_EQ(headers.only(""), std::nullopt);
  EXPECT_EQ(Headers().only("Content-Type"), std::nullopt);
  // Two fields of one name, even where they say the same, are for the sender to sort out.
  EXPECT_EQ(headers.only("X-Twice"), std::nullopt);
  Headers same;
  same.add("A", "1");
  same.add("a", "1");
  EXPECT_EQ(same.only("A"), std::nullopt);
  same.add("A", "1");
  EXPECT_EQ(same.only("A"), std::nullopt);
}

TEST(Headers, OnlyFoldsLettersAndNothingElse) {
  Headers headers;
  headers.add("X@Y", "at");
  headers.add("X[Y", "bracket");
  EXPECT_EQ(headers.only("x`y"), std::nullopt);
  EXPECT_EQ(headers.only("x{y"), std::nullopt);
  EXPECT_EQ(headers.only("x@y"), "at");
  EXPECT_EQ(headers.only("x[y"), "bracket");
}

TEST(Headers, KeepTheirBlockInTheOrderReceived) {
  Headers headers;
  EXPECT_EQ(headers.block(), "");
  headers.add("B", "2");
  headers.add("A", "1");
  EXPECT_EQ(headers.block(), "B: 2\r\nA: 1\r\n");
}

TEST(Headers, ReadBackTheirBlock) {
  const Headers headers = sample();
  const Headers again = Headers::from_block(headers.block());
  EXPECT_EQ(again.block(), headers.block());
  for (const std::string_view name : {"Content-Type", "Wechatpay-Serial", "X-Empty", "X-Colon",
                                      "X-Twice", "X-Bytes", "X-Missing"}) {
    EXPECT_EQ(again.only(name), headers.only(name)) << name;
  }
  EXPECT_EQ(Headers::from_block("").block(), "");
}

TEST(Headers, AreCopiedAndMovedWithTheirFields) {
  Headers first = sample();
  const Headers copy = first;
  const Headers moved = std::move(first);
  EXPECT_EQ(copy.only("content-type"), "application/json");
  EXPECT_EQ(moved.only("content-type"), "application/json");
}

}  // namespace
}  // namespace postern
