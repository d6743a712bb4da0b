// Goal: a stream of bytes means the same requests however it is cut into pieces, and a response
// becomes the bytes its request asked for. Method: the reader fed every split of every stream, the
// valid ones and the attacks; the writer's bytes compared with what HTTP demands.

#include "http/wire.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/http/attacks.h"

namespace postern::http {
namespace {

using testing::Attack;
using Progress = RequestReader::Progress;

/// What came of a stream, as text: each request, then how it ended.
class Stream {
 public:
  explicit Stream(const Limits& limits) : limits_(limits), reader_(limits_) {}

  void add(std::string_view bytes) {
    if (is_refused_) return;
    pending_.append(bytes);
    std::string_view rest = pending_;
    while (!rest.empty()) {
      const RequestReader::Step step = reader_.feed(rest);
      rest.remove_prefix(step.consumed);
      if (step.progress == Progress::kNeedMore) break;
      if (step.progress == Progress::kRefused) {
        is_refused_ = true;
        story_ += "refused " + std::to_string(refusal_code(reader_.refusal()));
        return;
      }
      const HttpRequest request = reader_.take();
      story_ += request.method + " " + request.target + "\n" + request.headers.block() + "\n" +
                request.body + "\n";
    }
    pending_.erase(0, pending_.size() - rest.size());
  }
  [[nodiscard]] const std::string& story() const { return story_; }

 private:
  const Limits limits_;
  RequestReader reader_;
  std::string pending_;
  std::string story_;
  bool is_refused_ = false;
};

[[nodiscard]] std::string story_of(std::string_view bytes, const Limits& limits = {}) {
  Stream stream(limits);
  stream.add(bytes);
  return stream.story();
}

[[nodiscard]] std::vector<Attack> valid_streams() {
  return {
      {"body with a length",
       "POST /a?b=c HTTP/1.1\r\nHost: pay.example\r\nX-Empty:\r\nX-Padded: \t a b \t\r\n"
       "Content-Length: 5\r\n\r\nhelloPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
      {"chunked body",
       "POST /a HTTP/1.1\r\nHost: pay.example\r\nTransfer-Encoding: chunked\r\n\r\n"
       "5\r\nhello\r\n00a\r\n0123456789\r\n1\r\n\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"chunked body with trailer",
       "POST /a HTTP/1.1\r\nHost: pay.example\r\ntransfer-encoding: CHUNKED\r\n\r\n"
       "2\r\n\r\n\r\n0\r\nHost: evil\r\nAuthorization: x\r\n\r\nGET /b HTTP/1.1\r\nHost: "
       "h\r\n\r\n"},
      {"empty chunked body",
       "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"HTTP/1.0", "POST /a HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"},
      {"leading zeros in a length (H06)",
       "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0010\r\n\r\n0123456789"},
      {"Expect",
       "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok"},
      {"absolute target", "GET http://pay.example/a HTTP/1.1\r\nHost: pay.example\r\n\r\n"},
  };
}

// H44: the segmentation oracle.
TEST(RequestReader, ReadsAStreamAlikeHoweverItIsCut) {
  std::vector<Attack> streams = testing::all_attacks();
  for (Attack& attack : streams) attack.bytes.append(testing::kSmuggled);
  for (Attack& valid : valid_streams()) streams.push_back(std::move(valid));
  for (const auto& [name, bytes, code] : streams) {
    const std::string whole = story_of(bytes);
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      Stream in_two{Limits{}};
      in_two.add(std::string_view(bytes).substr(0, cut));
      in_two.add(std::string_view(bytes).substr(cut));
      ASSERT_EQ(in_two.story(), whole) << name << ", cut at " << cut;
    }
    Stream byte_by_byte{Limits{}};
    for (const char c : bytes) byte_by_byte.add({&c, 1});
    ASSERT_EQ(byte_by_byte.story(), whole) << name << ", byte by byte";
  }
}

TEST(RequestReader, RefusesEachAttackBeforeTheRequestBehindIt) {
  for (const auto& [name, bytes, code] : testing::all_attacks()) {
    const std::string story = story_of(bytes + std::string(testing::kSmuggled));
    EXPECT_EQ(story, "refused " + std::to_string(code)) << name;
  }
}

TEST(RequestReader, KeepsFieldsAsReceivedAndInOrder) {
  EXPECT_EQ(story_of(valid_streams()[0].bytes),
            "POST /a?b=c\nHost: pay.example\r\nX-Empty: \r\nX-Padded: a b\r\nContent-Length: 5\r\n"
            "\nhello\nPOST /b\nHost: h\r\nContent-Length: 0\r\n\n\n");
}

TEST(RequestReader, JoinsChunksAndIgnoresTrailers) {
  EXPECT_EQ(story_of(valid_streams()[1].bytes),
            "POST /a\nHost: pay.example\r\nTransfer-Encoding: chunked\r\n\nhello0123456789\n\n"
            "GET /b\nHost: h\r\n\n\n");
  EXPECT_EQ(story_of(valid_streams()[2].bytes),
            "POST /a\nHost: pay.example\r\ntransfer-encoding: CHUNKED\r\n\n\r\n\n"
            "GET /b\nHost: h\r\n\n\n");
}

TEST(RequestReader, TakesABodyOfExactlyTheLimit) {
  Limits limits;
  limits.body_bytes_max = 10;
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_TRUE(story_of(head + "Content-Length: 10\r\n\r\n0123456789", limits).ends_with("9\n"));
  EXPECT_EQ(story_of(head + "Content-Length: 11\r\n\r\n", limits), "refused 413");
  const std::string chunked_head = head + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_TRUE(
      story_of(chunked_head + "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", limits).ends_with("9\n"));
  EXPECT_EQ(story_of(chunked_head + "5\r\n01234\r\n6\r\n", limits), "refused 413");
  EXPECT_EQ(story_of(chunked_head + "b\r\n", limits), "refused 413");
}

// ---------------------------------------------------------------------------------------------

constexpr ReplyForm kKeep{ReplyForm::Version::kHttp11, Persistence::kKeepAlive, ReplyPart::kWhole};

TEST(ReplyWriter, WritesTheSameBytesCachedOrNot) {
  ReplyWriter writer;
  const HttpResponse response{200, "text/plain", "success", {}};
  const std::string expected =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\nsuccess";
  EXPECT_EQ(writer.bytes(response, kKeep), expected);
  EXPECT_EQ(writer.bytes(response, kKeep), expected);
}

TEST(ReplyWriter, TellsApartWhatDiffersInOnePlaceOnly) {
  ReplyWriter writer;
  using Version = ReplyForm::Version;
  const std::vector<HttpResponse> responses = {{200, "text/plain", "success", {}},
                                               {200, "text/plain", "failure", {}},
                                               {200, "text/html", "success", {}},
                                               {500, "text/plain", "success", {}},
                                               {200, "text/plain", "", {}}};
  for (int round = 0; round < 2; ++round) {
    for (const HttpResponse& response : responses) {
      for (const auto version : {Version::kHttp10, Version::kHttp11}) {
        for (const auto persistence : {Persistence::kKeepAlive, Persistence::kClose}) {
          for (const auto part : {ReplyPart::kWhole, ReplyPart::kHeaderOnly}) {
            const ReplyForm form{version, persistence, part};
            ReplyWriter fresh;
            EXPECT_EQ(writer.bytes(response, form), fresh.bytes(response, form));
          }
        }
      }
    }
  }
}

TEST(ReplyWriter, AnswersHeadWithTheLengthAndNoBody) {
  ReplyWriter writer;
  const ReplyForm form{ReplyForm::Version::kHttp11, Persistence::kKeepAlive,
                       ReplyPart::kHeaderOnly};
  EXPECT_EQ(writer.bytes({200, "text/plain", "success", {}}, form),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n");
}

TEST(ReplyWriter, SaysWhetherTheConnectionStays) {
  ReplyWriter writer;
  const auto header = [&](ReplyForm::Version version, Persistence persistence) {
    return std::string(writer.bytes({200, {}, {}, {}}, {version, persistence, ReplyPart::kWhole}));
  };
  using Version = ReplyForm::Version;
  EXPECT_EQ(header(Version::kHttp11, Persistence::kKeepAlive).find("Connection"),
            std::string::npos);
  EXPECT_NE(header(Version::kHttp11, Persistence::kClose).find("Connection: close\r\n"),
            std::string::npos);
  EXPECT_NE(header(Version::kHttp10, Persistence::kKeepAlive).find("Connection: keep-alive\r\n"),
            std::string::npos);
  EXPECT_TRUE(header(Version::kHttp10, Persistence::kClose).starts_with("HTTP/1.0 200 OK\r\n"));
}

TEST(ReplyWriter, SendsNoBodyWhereNoneMayBe) {
  ReplyWriter writer;
  EXPECT_EQ(writer.bytes({204, {}, "lost", {}}, kKeep), "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(writer.bytes({304, {}, "", {{"ETag", "\"a\""}}}, kKeep),
            "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n");
}

TEST(ReplyWriter, SendsLargeBodiesAndFurtherFieldsInOrder) {
  ReplyWriter writer;
  const std::string body(100'000, 'x');
  const std::string bytes(
      writer.bytes({200, "text/html", body, {{"X-B", "1"}, {"X-A", "2"}, {"X-B", "3"}}}, kKeep));
  EXPECT_TRUE(bytes.ends_with("\r\n\r\n" + body));
  EXPECT_NE(bytes.find("X-B: 1\r\nX-B: 3\r\nX-A: 2\r\n"), std::string::npos);
}

TEST(ReplyWriter, NamesResponsesThatCannotBeSent) {
  EXPECT_TRUE(is_sendable({200, "text/plain", "a\r\nb", {{"X-A", "b\tc"}}}));
  EXPECT_FALSE(is_sendable({100, {}, {}, {}}));
  EXPECT_FALSE(is_sendable({0, {}, {}, {}}));
  EXPECT_FALSE(is_sendable({600, {}, {}, {}}));
  EXPECT_FALSE(is_sendable({200, "text/plain\r\nX: y", {}, {}}));
  EXPECT_FALSE(is_sendable({200, {}, {}, {{"X-A", "b\r\nX-B: c"}}}));
  EXPECT_FALSE(is_sendable({200, {}, {}, {{"X A", "b"}}}));
  EXPECT_FALSE(is_sendable({200, {}, {}, {{"", "b"}}}));
  EXPECT_FALSE(is_sendable({200, {}, {}, {{"content-length", "5"}}}));
  EXPECT_FALSE(is_sendable({200, {}, {}, {{"Transfer-Encoding", "chunked"}}}));
}

}  // namespace
}  // namespace postern::http
