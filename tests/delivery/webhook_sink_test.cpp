// Goal: what a consumer says, and what it fails to say, becomes the right verdict; a slow, huge or
// broken answer costs no more than its limit. Proves P7 (signature over id, timestamp and body) and
// P12 for this sink.
// Method: a real HTTP server on loopback that answers byte for byte as told.

#include "delivery/webhook_sink.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "tests/delivery/webhook_support.h"

namespace postern::delivery::testing {
namespace {

using Peer = HttpsServer::Peer;
using Then = HttpsServer::Then;

TEST(WebhookSink, SendsWhatStandardWebhooksAsksFor) {
  HttpsServer server({}, always(response(204)));
  Sender sender(plain(server));
  EXPECT_EQ(word(sender.send()), "delivered 204");
  const std::string request = server.requests().at(0);
  EXPECT_TRUE(request.starts_with("POST /payments?shop=1 HTTP/1.1\r\n")) << request;
  EXPECT_EQ(field_of(request, "Host"), fmt::format("127.0.0.1:{}", server.port()));
  EXPECT_EQ(field_of(request, "Content-Type"), "application/json");
  EXPECT_EQ(field_of(request, "User-Agent"), "Postern/0.1");
  EXPECT_EQ(field_of(request, "webhook-id"), "evt_k3f9a2_17");
  EXPECT_EQ(field_of(request, "webhook-timestamp"), "1795424400");
  EXPECT_EQ(body_of(request), message().body);
  const std::vector<Secret> secrets = {Secret(kSecret)};
  EXPECT_EQ(field_of(request, "webhook-signature"),
            WebhookSigner::parse(secrets)
                ->sign("evt_k3f9a2_17", std::chrono::seconds(1795424400), message().body)
                .value());
}

TEST(WebhookSink, TurnsCodesIntoVerdicts) {
  const std::vector<std::pair<int, std::string>> wanted = {
      {200, "delivered 200"},
      {201, "delivered 201"},
      {202, "delivered 202"},
      {299, "delivered 299"},
      {301, "not_delivered redirect_refused"},
      {304, "not_delivered redirect_refused"},
      {400, "not_delivered 400"},
      {401, "not_delivered 401"},
      {410, "not_delivered 410"},
      {429, "not_delivered 429"},
      {500, "not_delivered 500"},
      {503, "not_delivered 503"},
      {101, "not_delivered 101"},
  };
  for (const auto& [code, verdict] : wanted) {
    HttpsServer server({}, always(response(code, "said so")));
    Sender sender(plain(server));
    const Answer answer = sender.send();
    EXPECT_EQ(word(answer), verdict);
    EXPECT_EQ(answer.is_gone, code == 410);
    EXPECT_EQ(answer.retry_after, std::nullopt);
  }
}

// What the body says about failure is for the consumer's own log: the code decides.
TEST(WebhookSink, TakesTheCodeNotTheBody) {
  HttpsServer server({}, always(response(200, R"({"error":"database is down"})")));
  Sender sender(plain(server));
  EXPECT_EQ(word(sender.send()), "delivered 200");
}

// A bomb stays folded: nothing is asked to be compressed and nothing is inflated.
TEST(WebhookSink, InflatesNothing) {
  // What begins like a gzip stream is kept as it came.
  const std::string folded("\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03 not inflated", 23);
  HttpsServer server({}, always(response(200, folded, "Content-Encoding: gzip\r\n")));
  Sender sender(plain(server));
  const Answer answer = sender.send();
  EXPECT_EQ(word(answer), "delivered 200");
  EXPECT_NE(answer.excerpt.find("not inflated"), std::string::npos) << answer.excerpt;
  EXPECT_EQ(server.requests().at(0).find("Accept-Encoding"), std::string::npos);
}

// Nothing that a platform or a merchant chose stands in a header: only our own id, time and MAC.
TEST(WebhookSink, PutsNothingOfTheOrderIntoItsHeader) {
  HttpsServer server({}, always(response(200)));
  Sender sender(plain(server));
  Message hostile = message();
  for (std::string* text : {&hostile.type, &hostile.merchant, &hostile.merchant_order_id}) {
    *text = "T1\r\nX-Injected: yes\r\n\r\nGET /other HTTP/1.1";
  }
  EXPECT_EQ(word(sender.send(hostile)), "delivered 200");
  ASSERT_EQ(server.requests().size(), 1U);
  EXPECT_EQ(server.requests().at(0).find("X-Injected"), std::string::npos);
}

TEST(WebhookSink, FollowsNoRedirect) {
  HttpsServer other({}, always(response(200)));
  const std::string location = fmt::format("Location: http://127.0.0.1:{}/\r\n", other.port());
  for (const int code : {301, 302, 303, 307, 308}) {
    HttpsServer server({}, always(response(code, "", location)));
    Sender sender(plain(server));
    EXPECT_EQ(word(sender.send()), "not_delivered redirect_refused");
  }
  EXPECT_EQ(other.accepted(), 0);
}

TEST(WebhookSink, HandsOnWhatRetryAfterSays) {
  const std::vector<std::pair<std::string, std::optional<std::chrono::milliseconds>>> wanted = {
      {"Retry-After: 120\r\n", 120s},
      {"retry-after: 0\r\n", 0s},
      // The clock stands at 09:00:00.900.
      {"Retry-After: Mon, 23 Nov 2026 09:01:00 GMT\r\n", 59'100ms},
      {"Retry-After: -5\r\n", std::nullopt},
      {"Retry-After: 5\r\nRetry-After: 6\r\n", std::nullopt},
  };
  for (const auto& [field, delay] : wanted) {
    HttpsServer server({}, always(response(429, "", field)));
    Sender sender(plain(server));
    const Answer answer = sender.send();
    EXPECT_EQ(word(answer), "not_delivered 429");
    EXPECT_EQ(answer.retry_after, delay) << field;
  }
}

TEST(RetryAfter, IsSecondsOrADate) {
  const auto parse = [](std::string_view text) { return parse_retry_after(text, kNow); };
  EXPECT_EQ(parse("1"), 1s);
  EXPECT_EQ(parse("31622400"), 366 * 24h);
  EXPECT_EQ(parse("Mon, 23 Nov 2026 09:00:01 GMT"), 100ms);
  EXPECT_EQ(parse("Monday, 23-Nov-26 09:00:01 GMT"), 100ms);
  EXPECT_EQ(parse("Mon Nov 23 09:00:01 2026"), 100ms);
  EXPECT_EQ(parse("Sun Dec  6 09:00:00 2026"), 13 * 24h - 900ms);
  EXPECT_EQ(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 0s);
  for (const char* text : {"", " ", "-1", "+1", "1.5", "1s", "0x10", "soon", "31622401",
                           "99999999999999999999", "Tue, 23 Nov 2026 09:00:01 GMT",
                           "Mon, 23 Nov 2026 09:00:01 UTC", "Mon, 23 Nov 2026 09:00:01",
                           "Mon, 31 Feb 2026 09:00:01 GMT", "Mon, 23 Nov 2026 25:00:01 GMT",
                           "Mon,  23 Nov 2026 09:00:01 GMT", "Mon, 23 Nov 2026 09:00:01 GMT x",
                           "Wed, 23 Nov 2033 09:00:01 GMT", "2026-11-23T09:00:01Z"}) {
    EXPECT_EQ(parse(text), std::nullopt) << text;
  }
}

TEST(WebhookSink, ReusesAConnection) {
  HttpsServer server({}, always(response(200, "thanks")));
  Sender sender(plain(server));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(word(sender.send()), "delivered 200");
  EXPECT_EQ(server.accepted(), 1);
  EXPECT_EQ(server.requests().size(), 20U);
}

TEST(WebhookSink, OpensNoMoreConnectionsThanAllowed) {
  HttpsServer server({}, [](Peer& peer, const std::string&) {
    std::this_thread::sleep_for(20ms);
    return peer.write(response(200)) ? Then::kReadNext : Then::kClose;
  });
  WebhookOptions options = plain(server);
  options.connections_max = 3;
  Sender sender(options);
  Answers answers;
  for (int i = 0; i < 30; ++i) sender.sink().send(message(), answers.take());
  for (const Answer& answer : answers.wait(30)) EXPECT_EQ(word(answer), "delivered 200");
  EXPECT_EQ(server.accepted(), 3);
}

TEST(WebhookSink, RefusesMoreThanItsQueueHolds) {
  HttpsServer server({}, [](Peer& peer, const std::string&) {
    peer.wait_for_end();
    return Then::kClose;
  });
  WebhookOptions options = plain(server);
  options.connections_max = 1;
  options.queue_max = 2;
  options.exchange_timeout = 400ms;
  Sender sender(options);
  Answers answers;
  for (int i = 0; i < 5; ++i) sender.sink().send(message(), answers.take());
  std::map<std::string, int> words;
  for (const Answer& answer : answers.wait(5)) ++words[word(answer)];
  // Two found the queue full. One was written; two have waited for nothing, but for one that a slow
  // machine may have begun when the first one's time was over.
  EXPECT_EQ(words["not_delivered queue_full"], 2);
  EXPECT_GE(words["unknown timed_out"], 1);
  EXPECT_GE(words["not_delivered timed_out"], 1);
  EXPECT_EQ(words["unknown timed_out"] + words["not_delivered timed_out"], 3);
}

TEST(WebhookSink, NoticesThatAKeptConnectionWasClosed) {
  // The server closes each connection after its first answer without having said so.
  HttpsServer server({}, always(response(200), Then::kClose));
  Sender sender(plain(server));
  for (int i = 0; i < 5; ++i) {
    const Answer answer = sender.send();
    EXPECT_EQ(word(answer), "delivered 200") << answer.excerpt;
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(server.requests().size(), 5U);
}

TEST(WebhookSink, SendsAgainWhatBrokeOffOnAKeptConnection) {
  // Far more than the sockets hold, so that the reset comes while the request is being written.
  const std::string body(30 * 1024 * 1024, 'x');
  HttpsServer server({.broken_request = 1}, always(response(200)));
  Sender sender(plain(server));
  EXPECT_EQ(word(sender.send()), "delivered 200");
  EXPECT_EQ(word(sender.send(message("evt_2", body))), "delivered 200");
  EXPECT_EQ(server.accepted(), 2);
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST(WebhookSink, KnowsThatHalfARequestWasNotTaken) {
  const std::string body(30 * 1024 * 1024, 'x');
  HttpsServer server({.broken_request = 0}, always(response(200)));
  Sender sender(plain(server));
  EXPECT_EQ(word(sender.send(message("evt_2", body))), "not_delivered connection_lost");
  EXPECT_EQ(server.accepted(), 1);
}

TEST(WebhookSink, LeavesItOpenWhereTheRequestMayHaveBeenTaken) {
  std::atomic<int> served = 0;
  HttpsServer server({}, [&](Peer& peer, const std::string&) {
    if (served++ == 0) return peer.write(response(200)) ? Then::kReadNext : Then::kClose;
    return Then::kClose;  // has read the whole request and says nothing
  });
  Sender sender(plain(server));
  EXPECT_EQ(word(sender.send()), "delivered 200");
  EXPECT_EQ(word(sender.send()), "unknown connection_lost");
  EXPECT_EQ(server.requests().size(), 2U) << "it was sent again although it may have been taken";
}

TEST(WebhookSink, ReadsNoMoreThanItsLimit) {
  const std::string body(10 * 1024 * 1024, 'x');
  std::atomic<bool> was_cut = false;
  HttpsServer server({}, [&](Peer& peer, const std::string&) {
    was_cut = !peer.write(response(200, body));
    return Then::kClose;
  });
  Sender sender(plain(server));
  const Answer answer = sender.send();
  EXPECT_EQ(word(answer), "delivered 200");
  EXPECT_EQ(answer.excerpt, std::string(256, 'x'));
  sender.destroy();
  for (int i = 0; i < 500 && !was_cut; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(was_cut) << "all of the body was read";
}

TEST(WebhookSink, CountsWhatIsNoBodyToo) {
  std::string chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 40'000; ++i) chunks += "1;note=" + std::string(120, 'x') + "\r\na\r\n";
  std::atomic<bool> was_cut = false;
  HttpsServer server({}, [&](Peer& peer, const std::string&) {
    was_cut = !peer.write(chunks + "0\r\n\r\n");
    return Then::kClose;
  });
  Sender sender(plain(server));
  EXPECT_EQ(word(sender.send()), "delivered 200");
  for (int i = 0; i < 500 && !was_cut; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(was_cut) << "5 MB were read for 40 KB of body";
}

TEST(WebhookSink, ShowsOnlyPrintableBytes) {
  HttpsServer server({}, always(response(500, "\x1B[2Jno\r\n\xFFmoney \xE4\xB8\xAD")));
  Sender sender(plain(server));
  const std::string excerpt = sender.send().excerpt;
  EXPECT_NE(excerpt.find("money \xE4\xB8\xAD"), std::string::npos) << excerpt;
  for (const char c : {'\x1B', '\r', '\n', '\xFF'}) {
    EXPECT_EQ(excerpt.find(c), std::string::npos) << excerpt;
  }
}

/// Writes `bytes` one by one until the other side loses patience.
HttpsServer::Script trickle(std::string bytes) {
  return [bytes = std::move(bytes)](Peer& peer, const std::string&) {
    for (const char byte : bytes) {
      if (!peer.write(std::string_view(&byte, 1))) break;
      std::this_thread::sleep_for(20ms);
    }
    return Then::kClose;
  };
}

TEST(WebhookSink, LosesPatienceWithASlowAnswer) {
  HttpsServer server({},
                     trickle(response(200, "", "X-Padding: " + std::string(500, 'x') + "\r\n")));
  WebhookOptions options = plain(server);
  options.exchange_timeout = 300ms;
  Sender sender(options);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(word(sender.send()), "unknown timed_out");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST(WebhookSink, TakesTheCodeWhereOnlyTheBodyIsSlow) {
  HttpsServer server({}, [](Peer& peer, const std::string&) {
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    peer.wait_for_end();
    return Then::kClose;
  });
  WebhookOptions options = plain(server);
  options.exchange_timeout = 300ms;
  Sender sender(options);
  const Answer answer = sender.send();
  EXPECT_EQ(word(answer), "delivered 200");
  EXPECT_EQ(answer.excerpt, "abc");
}

TEST(WebhookSink, PassesOverInterimResponsesButNotManyOfThem) {
  const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
  HttpsServer polite(
      {}, always(interim + "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + response(202)));
  Sender first(plain(polite));
  EXPECT_EQ(word(first.send()), "delivered 202");
  std::string flood;
  for (int i = 0; i < 10'000; ++i) flood += interim;
  HttpsServer rude({}, always(flood));
  Sender second(plain(rude));
  EXPECT_EQ(word(second.send()), "unknown response_malformed");
}

TEST(WebhookSink, RefusesWhatIsNoAnswer) {
  for (const std::string& bytes :
       {std::string("SSH-2.0-OpenSSH_9.2\r\n\r\n"), std::string("HTTP/1.1 20 OK\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'), std::string("\r\n\r\n\r\n\r\n")}) {
    HttpsServer server({}, always(bytes, Then::kClose));
    Sender sender(plain(server));
    const Answer answer = sender.send();
    EXPECT_EQ(answer.verdict, Answer::Verdict::kUnknown) << bytes.substr(0, 40);
    EXPECT_TRUE(answer.code == "response_malformed" || answer.code == "connection_lost");
  }
}

TEST(WebhookSink, ReadsChunkedAndUnboundedBodies) {
  HttpsServer chunked({}, always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  Sender first(plain(chunked));
  EXPECT_EQ(first.send().excerpt, "abcde");
  EXPECT_EQ(first.send().excerpt, "abcde");
  EXPECT_EQ(chunked.accepted(), 1);
  HttpsServer unbounded({}, always("HTTP/1.1 200 OK\r\n\r\nabcde", Then::kClose));
  Sender second(plain(unbounded));
  EXPECT_EQ(second.send().excerpt, "abcde");
}

TEST(WebhookSink, DoesNotTakeALeftoverForTheNextAnswer) {
  HttpsServer server({}, always(response(200, "first") + response(500, "second")));
  Sender sender(plain(server));
  EXPECT_EQ(word(sender.send()), "delivered 200");
  EXPECT_EQ(word(sender.send()), "delivered 200");
  EXPECT_EQ(server.accepted(), 2);
}

TEST(WebhookSink, SaysThatNobodyListens) {
  std::uint16_t port = 0;
  {
    port = HttpsServer({}, always("")).port();
  }
  Sender sender({.url = fmt::format("http://127.0.0.1:{}/", port),
                 .insecure_http = InsecureHttp::kAllowed,
                 .allow_networks = {"127.0.0.1"}});
  EXPECT_EQ(word(sender.send()), "not_delivered connect_failed");
}

TEST(WebhookSink, SignsNoAmbiguousId) {
  HttpsServer server({}, always(response(200)));
  Sender sender(plain(server));
  EXPECT_EQ(word(sender.send(message("evt.1"))), "not_delivered signing_failed");
  EXPECT_EQ(word(sender.send(message("evt_1\r\nX: y"))), "not_delivered signing_failed");
  EXPECT_EQ(server.requests().size(), 0U);
}

TEST(WebhookSink, AnswersEverySendOnceWhenItIsDestroyed) {
  HttpsServer server({}, [](Peer& peer, const std::string&) {
    peer.wait_for_end();
    return Then::kClose;
  });
  WebhookOptions options = plain(server);
  options.connections_max = 2;
  Answers answers;
  {
    Sender sender(options);
    for (int i = 0; i < 50; ++i) sender.sink().send(message(), answers.take());
    ASSERT_TRUE(server.wait_for_requests(2));
    EXPECT_EQ(answers.count(), 0U);
    sender.destroy();
    EXPECT_EQ(answers.count(), 50U);
  }
  int unknown = 0;
  for (const Answer& answer : answers.wait(50)) {
    EXPECT_EQ(answer.code, "shutting_down");
    if (answer.verdict == Answer::Verdict::kUnknown) ++unknown;
  }
  EXPECT_EQ(unknown, 2) << "only what was written may have been taken";
  EXPECT_EQ(answers.count(), 50U);
}

// Destruction at any moment of a busy sink: one answer for each send, whichever way it went.
TEST(WebhookSink, AnswersOnceWheneverItIsDestroyed) {
  HttpsServer server({}, always(response(200)));
  for (int round = 0; round < 40; ++round) {
    Answers answers;
    Sender sender(plain(server));
    for (int i = 0; i < 20; ++i) sender.sink().send(message(), answers.take());
    std::this_thread::sleep_for(std::chrono::microseconds(150 * round));
    sender.destroy();
    EXPECT_EQ(answers.count(), 20U);
  }
}

}  // namespace
}  // namespace postern::delivery::testing
