// Goal: what we refuse beyond the parser is refused by its bytes alone, and no sooner or later when
// they arrive in pieces. Method: the pure functions of http/framing.h over tables of bytes.

#include "http/framing.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace postern::http::framing {
namespace {

using namespace std::string_literals;

constexpr std::size_t kMax = 1024;

[[nodiscard]] Verdict verdict_of(std::string_view bytes) {
  return scan_header(bytes, 0, kMax).verdict;
}

TEST(Framing, FindsTheEndOfTheHeaderBlock) {
  const std::string header = "POST / HTTP/1.1\r\nHost: a\r\n\r\n";
  const Scan scan = scan_header(header + "body\n\r\x01", 0, kMax);
  EXPECT_EQ(scan.verdict, Verdict::kWhole);
  EXPECT_EQ(scan.size, header.size());
}

TEST(Framing, JudgesBytesInPiecesAsItJudgesThemAtOnce) {
  for (const std::string& block :
       {"POST / HTTP/1.1\r\nHost: a\r\nX:\tb c\r\n\r\n"s, "POST / HTTP/1.1\r\nHost: a\n\r\n"s,
        "POST / HTTP/1.1\r\nX: a\rb\r\n\r\n"s, "POST / HTTP/1.1\r\nX: a\r\n b\r\n\r\n"s,
        "POST / HTTP/1.1\r\nX: a\0\r\n\r\n"s, "POST / HTTP/1.1\r\nX: a\x7f\r\n\r\n"s}) {
    const Verdict whole = verdict_of(block);
    std::size_t scanned = 0;
    Verdict last = Verdict::kIncomplete;
    for (std::size_t size = 1; size <= block.size() && last == Verdict::kIncomplete; ++size) {
      last = scan_header(block.substr(0, size), scanned, kMax).verdict;
      scanned = size;
    }
    EXPECT_EQ(last, whole) << block;
    EXPECT_NE(whole, Verdict::kIncomplete) << block;
  }
}

TEST(Framing, RefusesEveryControlCharacterAtEveryPlace) {
  const std::string header = "POST / HTTP/1.1\r\nHost: pay.example\r\nX-A: b\r\n\r\n";
  for (std::size_t at = 0; at < header.size(); ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string changed = header;
      changed[at] = static_cast<char>(c);
      const bool is_line_end = header[at] == '\r' || header[at] == '\n';
      const bool is_control = (c < 0x20 && c != '\t') || c == 0x7f;
      if (changed == header) continue;
      if (is_control || is_line_end) {
        // A changed CR or LF leaves its partner alone, or the block without an end.
        EXPECT_NE(verdict_of(changed), Verdict::kWhole) << at << " " << c;
      }
      if (is_control && !is_line_end) {
        EXPECT_EQ(verdict_of(changed), Verdict::kMalformed) << at << " " << c;
      }
    }
  }
}

TEST(Framing, RefusesWhatBeginsNoRequest) {
  for (const std::string& begin : {"\r\n"s, "\n"s, " P"s, "\tP"s, "\0"s, "\x16\x03"s, "\x7f"s}) {
    EXPECT_EQ(verdict_of(begin), Verdict::kMalformed);
  }
}

TEST(Framing, SaysNothingAboutBytesThatMayStillBecomeRight) {
  for (const std::string& begin : {""s, "P"s, "POST / HTTP/1.1\r"s, "POST / HTTP/1.1\r\n"s,
                                   "POST / HTTP/1.1\r\nA: b\r\n\r"s}) {
    EXPECT_EQ(verdict_of(begin), Verdict::kIncomplete) << begin;
  }
}

TEST(Framing, CountsTheEmptyLineIntoTheLimit) {
  const std::string header = "POST / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(scan_header(header, 0, header.size()).verdict, Verdict::kWhole);
  EXPECT_EQ(scan_header(header, 0, header.size() - 1).verdict, Verdict::kTooLarge);
  EXPECT_EQ(scan_header(header.substr(0, 10), 0, 10).verdict, Verdict::kTooLarge);
  EXPECT_EQ(scan_header(header.substr(0, 9), 0, 10).verdict, Verdict::kIncomplete);
}

struct ChunkCase {
  std::string_view bytes;
  ChunkPlace place;
  Verdict verdict;
  std::size_t size = 0;
};

TEST(Framing, TakesAChunkLineOnlyInItsPlainForm) {
  using enum ChunkPlace;
  using enum Verdict;
  static constexpr auto kCases = std::to_array<ChunkCase>({
      {"5\r\nhello", kFirst, kWhole, 3},
      {"0005\r\nhello", kFirst, kWhole, 6},
      {"aBcDeF\r\n", kFirst, kWhole, 8},
      {"\r\n5\r\nhello", kLater, kWhole, 5},
      {"0\r\n\r\nPOST", kFirst, kWhole, 5},
      {"\r\n0\r\n\r\n", kLater, kWhole, 7},
      {"0\r\nA: b\r\n\r\nPOST", kFirst, kWhole, 11},
      {"0000000000000005\r\n", kFirst, kWhole, 18},
      {"", kFirst, kIncomplete},
      {"5", kFirst, kIncomplete},
      {"5\r", kFirst, kIncomplete},
      {"\r", kLater, kIncomplete},
      {"\r\n", kLater, kIncomplete},
      {"0\r\n", kFirst, kIncomplete},
      {"0\r\n\r", kFirst, kIncomplete},
      {"0\r\nA: b\r\n", kFirst, kIncomplete},
      {"\r\n5\r\n", kFirst, kMalformed},
      {"5\r\n", kLater, kMalformed},
      {"\n5\r\n", kLater, kMalformed},
      {"\rX", kLater, kMalformed},
      {"\r\n\r\n", kLater, kMalformed},
      {"00000000000000005\r\n", kFirst, kMalformed},
      {"00000000000000005", kFirst, kMalformed},
      {"5\n", kFirst, kMalformed},
      {"5\rX", kFirst, kMalformed},
      {"5 \r\n", kFirst, kMalformed},
      {"5;a\r\n", kFirst, kMalformed},
      {"0x5\r\n", kFirst, kMalformed},
      {"+5\r\n", kFirst, kMalformed},
      {"g\r\n", kFirst, kMalformed},
      {"\r\n", kFirst, kMalformed},
      {"0\r\n\n", kFirst, kMalformed},
      {"0\r\nA: b\n\r\n", kFirst, kMalformed},
      {"0\r\n A: b\r\n\r\n", kFirst, kMalformed},
  });
  for (const ChunkCase& test : kCases) {
    const Scan scan = scan_chunk_line(test.bytes, test.place);
    EXPECT_EQ(scan.verdict, test.verdict) << test.bytes;
    EXPECT_EQ(scan.size, test.size) << test.bytes;
  }
}

TEST(Framing, BoundsTheTrailer) {
  const std::string long_trailer = "0\r\nA: " + std::string(kTrailerBytesMax, 'a');
  EXPECT_EQ(scan_chunk_line(long_trailer, ChunkPlace::kFirst).verdict, Verdict::kTooLarge);
}

[[nodiscard]] Head plain_head() {
  Head head;
  head.target = "/a?b=c";
  head.host.add("pay.example:8080");
  return head;
}

TEST(Framing, TakesOneLengthOrChunkedButNotBoth) {
  Head head = plain_head();
  EXPECT_TRUE(is_unambiguous(head));
  head.content_length.add("9223372036854775807");
  EXPECT_TRUE(is_unambiguous(head));
  head.transfer_encoding.add("chunked");
  EXPECT_FALSE(is_unambiguous(head));

  head = plain_head();
  head.transfer_encoding.add("CHUNKED");  // H14
  EXPECT_TRUE(is_unambiguous(head));
  head.version = Head::Version::kHttp10;
  EXPECT_FALSE(is_unambiguous(head));

  head = plain_head();
  head.content_length.add("5");
  head.content_length.add("5");
  EXPECT_FALSE(is_unambiguous(head));
}

TEST(Framing, NeedsAHostOnHttp11Only) {
  Head head;
  head.target = "/";
  EXPECT_FALSE(is_unambiguous(head));
  head.version = Head::Version::kHttp10;
  EXPECT_TRUE(is_unambiguous(head));
  for (const std::string_view host : {"pay.example", "10.0.0.1:80", "[::1]:8080", "my_service"}) {
    head = {};
    head.host.add(host);
    EXPECT_TRUE(is_unambiguous(head)) << host;
  }
}

TEST(Framing, GivesTheTargetAsPathAndQuery) {
  const auto of = [](std::string_view target) {
    Head head;
    head.target = target;
    head.host.add("Pay.Example:8080");
    return std::string(origin_form(head).value_or("refused"));
  };
  EXPECT_EQ(of("/a/../b%00?c=d&e|{}"), "/a/../b%00?c=d&e|{}");
  EXPECT_EQ(of("//a"), "//a");
  EXPECT_EQ(of("http://pay.example:8080/a?b"), "/a?b");
  EXPECT_EQ(of("HTTP://pay.example:8080"), "/");
  EXPECT_EQ(of("http://pay.example/a"), "refused");
  EXPECT_EQ(of("http://user@pay.example:8080/a"), "refused");
  EXPECT_EQ(of("*"), "refused");
  EXPECT_EQ(of("pay.example:443"), "refused");
  EXPECT_EQ(of(""), "refused");
}

TEST(Framing, KnowsOneExpectation) {
  Head head = plain_head();
  EXPECT_EQ(expectation(head), Expectation::kNone);
  head.expect.add("100-Continue");
  EXPECT_EQ(expectation(head), Expectation::kContinue);
  head.version = Head::Version::kHttp10;
  EXPECT_EQ(expectation(head), Expectation::kNone);
  head = plain_head();
  head.expect.add("100-continue, x");
  EXPECT_EQ(expectation(head), Expectation::kUnknown);
}

}  // namespace
}  // namespace postern::http::framing
