// Goal: what two HTTP programs might read differently is refused, the connection is closed, and no
// byte behind it is taken for a request. Proves P5 for framing. Method: every stream of attacks.h
// against a real server, each followed by a second request that must not reach the handler.

#include <gtest/gtest.h>

#include "tests/http/attacks.h"
#include "tests/http/support.h"

namespace postern::http::testing {
namespace {

TEST(Refusal, AnswersEachAttackUniformlyAndClosesTheConnection) {
  TestServer test;
  double refused = 0;
  for (const auto& [name, bytes, code] : all_attacks()) {
    RawClient client = test.connect();
    // Sending may fail half-way, where the server has closed already.
    client.send(bytes + std::string(kSmuggled));
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply) << name;
    EXPECT_EQ(reply->code, code) << name;
    EXPECT_TRUE(reply->has("Connection: close")) << name;
    EXPECT_TRUE(reply->has("Content-Length: 0")) << name;
    EXPECT_EQ(reply->body, "") << name;
    EXPECT_TRUE(client.is_closed_by_server()) << name;
    EXPECT_FALSE(client.is_reset()) << name << ": the sender could have lost the answer";
    EXPECT_EQ(test.handler.count(), 0u) << name;
    if (code == 400) ++refused;
  }
  EXPECT_EQ(test.refused("framing"), refused);
}

TEST(Refusal, IsTheSameOnAConnectionThatWasGoodBefore) {
  TestServer test;
  for (const auto& [name, bytes, code] : all_attacks()) {
    test.handler.forget();
    RawClient client = test.connect();
    client.send(post("/good", "hello") + bytes + std::string(kSmuggled));
    EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/good|hello") << name;
    EXPECT_EQ(client.read_reply().value_or(Reply{}).code, code) << name;
    EXPECT_TRUE(client.is_closed_by_server()) << name;
    ASSERT_EQ(test.handler.count(), 1u) << name;
  }
}

TEST(Refusal, LogsNothingForEachRequest) {
  TestServer test;
  for (int i = 0; i < 50; ++i) {
    RawClient client = test.connect();
    client.send("garbage\n");
    ASSERT_TRUE(client.read_reply());
  }
  test.server.reset();
  EXPECT_EQ(test.log.count("http_refused"), 1u);
}

// H21
TEST(Refusal, TakesWhatFollowsAChunkedBodyForTheNextRequest) {
  TestServer test;
  for (const std::string& rest : {"\0"s, "X\n"s, "\r\n"s}) {
    RawClient client = test.connect();
    ASSERT_TRUE(client.send(chunked("5\r\nhello\r\n0\r\n\r\n" + rest)));
    EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/first|hello");
    EXPECT_EQ(client.read_reply().value_or(Reply{}).code, 400u);
    EXPECT_TRUE(client.is_closed_by_server());
  }
}

// H35, H46: names that some frameworks take for others are names like any other here.
TEST(Refusal, LeavesUnknownFieldsUnderTheirOwnNames) {
  TestServer test;
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/", "hello",
                               "Content_Length: 1\r\nTransfer_Encoding: chunked\r\n"
                               "X-HTTP-Method-Override: DELETE\r\n")));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/|hello");
  const HttpRequest request = test.handler.requests().at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.headers.only("content-length"), "5");
  EXPECT_FALSE(request.headers.only("transfer-encoding"));
}

}  // namespace
}  // namespace postern::http::testing
