// Goal: text is taken over exactly or refused, never repaired (attacks P10, P15, P16).
// Method: known characters in GBK and GB18030, and every kind of malformed UTF-8.

#include "channel/charset.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/channel/messages.h"

namespace postern::channel {
namespace {

TEST(Charset, KnowsTheNamesPlatformsUse) {
  EXPECT_EQ(must(parse_charset("utf-8")), Charset::kUtf8);
  EXPECT_EQ(must(parse_charset("UTF-8")), Charset::kUtf8);
  EXPECT_EQ(must(parse_charset("utf8")), Charset::kUtf8);
  for (const char* name : {"GBK", "gbk", "gb2312", "GB18030"}) {
    EXPECT_EQ(must(parse_charset(name)), Charset::kGb18030) << name;
  }
  for (const char* name : {"", "utf-7", "utf-16", "latin1", "gbk ", "big5"}) {
    EXPECT_EQ(code_of(parse_charset(name)), "charset_unknown") << name;
  }
}

TEST(Charset, TranscodesGb18030) {
  EXPECT_EQ(must(to_utf8(Charset::kGb18030, "\xB2\xE2\xCA\xD4\xA1\xA4 a")), "测试· a");
  EXPECT_EQ(must(to_utf8(Charset::kGb18030, "\x82\x35\x95\x33")), "\xE9\xBF\xA2");  // four bytes
  EXPECT_EQ(must(to_utf8(Charset::kGb18030, "\xBF\x5C")), "縗");  // its second byte is '\'
  EXPECT_EQ(must(to_utf8(Charset::kGb18030, "plain")), "plain");
  std::string text;
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    text += "\xB2\xE2";
    expected += "测";
  }
  EXPECT_EQ(must(to_utf8(Charset::kGb18030, text)), expected);
}

TEST(Charset, WritesWhatItReads) {
  for (const char* text : {"", "plain", "测试·", "縗", "\xE9\xBF\xA2"}) {
    for (const Charset charset : {Charset::kUtf8, Charset::kGb18030}) {
      EXPECT_EQ(must(to_utf8(charset, must(from_utf8(charset, text)))), text);
    }
  }
  EXPECT_EQ(must(from_utf8(Charset::kGb18030, "测试")), "\xB2\xE2\xCA\xD4");
  EXPECT_EQ(code_of(from_utf8(Charset::kGb18030, "\xB2\xE2")), "text_malformed");
  EXPECT_EQ(code_of(from_utf8(Charset::kUtf8, "\xFF")), "text_malformed");
}

TEST(Charset, RefusesMalformedGb18030) {
  for (const std::string_view text : {"\xB2", "a\xFF", "\x81\x20", "\x82\x35\x95"}) {
    EXPECT_EQ(code_of(to_utf8(Charset::kGb18030, std::string(text))), "text_malformed") << text;
  }
}

TEST(Charset, RefusesMalformedUtf8) {
  for (const std::string_view text :
       {"\xC0\xAE", "\xE0\x80\xAE", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF8\x88\x80\x80\x80",
        "\xF8\x80\x80\x80\xAF", "\xF4\x90\x80\x80", "\xFF", "\x80", "\xE4\xB8", "a\xE4",
        "\xB2\xE2"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
    EXPECT_EQ(code_of(to_utf8(Charset::kUtf8, std::string(text))), "text_malformed");
  }
  for (const std::string_view text : {"", "a", "测试", "\xF0\x9F\x92\xB0", "\xEF\xBF\xBD"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
    EXPECT_EQ(must(to_utf8(Charset::kUtf8, std::string(text))), text);
  }
}

TEST(Charset, ForgetsABrokenTextBeforeTheNext) {
  EXPECT_FALSE(to_utf8(Charset::kGb18030, "\xB2"));
  EXPECT_EQ(must(to_utf8(Charset::kGb18030, "\xB2\xE2")), "测");
}

TEST(Charset, ServesSeveralThreads) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 1000; ++i) {
        ASSERT_EQ(must(to_utf8(Charset::kGb18030, "\xB2\xE2\xCA\xD4")), "测试");
      }
    });
  }
}

}  // namespace
}  // namespace postern::channel
