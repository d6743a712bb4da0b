// Goal: what passes for UTF-8 is UTF-8 and nothing else.
// Method: the borders of RFC 3629's table, written out.
#include "base/utf8.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Utf8, KnowsTheBordersOfEveryRange) {
  struct Case {
    std::string_view text;
    std::size_t size;
  };
  const Case cases[] = {
      {"a", 1},
      {"\x7F", 1},
      {"\x80", 0},
      {"\xC1\xBF", 0},
      {"\xC2\x80", 2},
      {"\xDF\xBF", 2},
      {"\xDF", 0},
      {"\xE0\x9F\xBF", 0},
      {"\xE0\xA0\x80", 3},
      {"\xED\x9F\xBF", 3},
      {"\xED\xA0\x80", 0},
      {"\xEE\x80\x80", 3},
      {"\xEF\xBF", 0},
      {"\xF0\x8F\xBF\xBF", 0},
      {"\xF0\x90\x80\x80", 4},
      {"\xF4\x8F\xBF\xBF", 4},
      {"\xF4\x90\x80\x80", 0},
      {"\xF5\x80\x80\x80", 0},
      {"\xE4\xB8\x41", 0},
  };
  for (const Case& c : cases) EXPECT_EQ(utf8_character_size(c.text), c.size) << c.text;
}

TEST(Utf8, ReplacesByteByByte) {
  EXPECT_EQ(to_utf8("a\xFF支\xE4\xB8z"), "a\uFFFD支\uFFFD\uFFFDz");
  EXPECT_EQ(to_utf8(""), "");
}

}  // namespace
}  // namespace postern
