// Goal: hex and base64 have exactly one text per value, and everything else is refused.
// Method: the answers of RFC 4648 section 10, round trips over every length and byte, then each way
// a text can be wrong; last, every text of four characters against the rule "decodes to what
// encodes to it".

#include "crypto/encoding.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace postern::crypto {
namespace {

std::string every_byte(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 167 + size) & 0xff);
  return bytes;
}

void expect_base64_refused(std::string_view text) {
  const Result<std::string> bytes = base64_decode(text);
  ASSERT_FALSE(bytes.has_value()) << '"' << text << '"';
  EXPECT_EQ(bytes.error().code, "base64_malformed");
  EXPECT_EQ(bytes.error().error_class, ErrorClass::kRejected);
}

void expect_hex_refused(std::string_view text) {
  const Result<std::string> bytes = hex_decode(text);
  ASSERT_FALSE(bytes.has_value()) << '"' << text << '"';
  EXPECT_EQ(bytes.error().code, "hex_malformed");
  EXPECT_EQ(bytes.error().error_class, ErrorClass::kRejected);
}

TEST(Hex, WritesBothCasesAndReadsThem) {
  const std::string bytes("\x00\x01\x7f\x80\xab\xff", 6);
  EXPECT_EQ(hex_encode(bytes), "00017f80abff");
  EXPECT_EQ(hex_encode_upper(bytes), "00017F80ABFF");
  EXPECT_EQ(hex_decode("00017f80abff").value(), bytes);
  EXPECT_EQ(hex_decode("00017F80ABFF").value(), bytes);
  EXPECT_EQ(hex_decode("00017f80aBFf").value(), bytes);
  EXPECT_EQ(hex_encode(""), "");
  EXPECT_EQ(hex_decode("").value(), "");
}

TEST(Hex, RefusesWhatIsNotHex) {
  for (const std::string_view text :
       {"0", "000", "0g", "g0", "0x00", " 00", "00 ", "00\n", "-1", "0/", "0:", "@0", "0`"}) {
    expect_hex_refused(text);
  }
  expect_hex_refused(std::string_view("0\0", 2));
  expect_hex_refused("\xff\xff");
}

TEST(Base64, GivesTheAnswersOfRfc4648) {
  const std::vector<std::pair<std::string, std::string>> answers = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\xfb\xff\xbf", "+/+/"},
  };
  for (const auto& [bytes, text] : answers) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text).value(), bytes);
  }
}

TEST(Base64, ReadsBackEveryLength) {
  for (std::size_t size = 0; size < 300; ++size) {
    const std::string bytes = every_byte(size);
    EXPECT_EQ(base64_decode(base64_encode(bytes)).value(), bytes) << size;
  }
}

TEST(Base64, JoinsThePiecesOfALongText) {
  const std::string bytes = every_byte((std::size_t{3} << 20) * 2 + 5);
  const std::string text = base64_encode(bytes);
  EXPECT_EQ(text.size(), (bytes.size() + 2) / 3 * 4);
  EXPECT_EQ(base64_decode(text).value(), bytes);
}

TEST(Base64, RefusesMissingOrMisplacedPadding) {
  for (const std::string_view text :
       {"Zg",    "Zg=",      "Zm8",  "Zm9vYg", "Z",     "Zm9vY",    "=",
        "==",    "===",      "====", "Z===",   "Zg===", "Zg==Zg==", "Zm8=Zm8=",
        "Zm9v=", "Zm9v====", "=Zg=", "Z=g=",   "=m9v",  "Zm=v"}) {
    expect_base64_refused(text);
  }
}

TEST(Base64, RefusesWhiteSpace) {
  for (const std::string_view text : {" Zg==", "Zg== ", "Zg==\n", "Zm9v\nYmFy", "Zm9v\r\nYg==",
                                      "Z g=", "Zm9 ", "\tm9v", "\n\n\n\n", "    "}) {
    expect_base64_refused(text);
  }
}

TEST(Base64, RefusesUnusedBitsThatAreNotZero) {
  for (const std::string_view text : {"Zh==", "Zn==", "Zv==", "Z/==", "Zm9=", "Zm+=", "Zm/="}) {
    expect_base64_refused(text);
  }
}

TEST(Base64, RefusesTheUrlAlphabetAndForeignBytes) {
  for (const std::string_view text :
       {"-_-_", "+/-/", "_m9v", "Zm9-", "Zm9,", "Zm9.", "Zm9@", "Zm9[", "Zm9`", "Zm9{",
        "Zm9:", "Zm9\x80", "\xff\xff\xff\xff"}) {
    expect_base64_refused(text);
  }
  expect_base64_refused(std::string_view("Zm\0v", 4));
  expect_base64_refused(std::string_view("Zg=\0", 4));
}

// One value must not have two texts: a callback's signature field could otherwise be varied
// without breaking it, and pass for another callback.
TEST(Base64, AcceptsOnlyTextsItWouldWriteItself) {
  const std::string digits = "AQgwZaz09+/=-_ \n";
  int accepted = 0;
  std::string text(4, ' ');
  for (const char a : digits) {
    for (const char b : digits) {
      for (const char c : digits) {
        for (const char d : digits) {
          text = {a, b, c, d};
          const Result<std::string> bytes = base64_decode(text);
          if (!bytes) continue;
          ++accepted;
          ASSERT_EQ(base64_encode(*bytes), text);
        }
      }
    }
  }
  // Of the 11 digits: four free; or three, the last with two zero bits; or two, the last with four.
  const int free_digits = 11;
  const int two_zero_bits = 5;   // A Q g w 0
  const int four_zero_bits = 4;  // A Q g w
  EXPECT_EQ(accepted, free_digits * free_digits * free_digits * free_digits +
                          free_digits * free_digits * two_zero_bits + free_digits * four_zero_bits);
}

}  // namespace
}  // namespace postern::crypto
