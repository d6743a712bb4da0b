// Goal: a server that is told to drain answers what it has read and then is gone, so that a restart
// costs no request. Method: drain while requests are handled, while they arrive, and under load.

#include <gtest/gtest.h>

#include <thread>

#include "tests/http/support.h"

namespace postern::http::testing {
namespace {

TEST(Drain, AnswersTheRequestsAlreadyReadAndSaysClose) {
  TestServer test({}, 2);
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest&, Responder respond) {
    kept.keep(std::move(respond));
  };
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(test.connect());
    ASSERT_TRUE(clients.back().send(post("/", "")));
  }
  ASSERT_TRUE(eventually([&] { return test.handler.count() == 20; }));
  std::thread drainer([&] { test.server->drain(kPatience); });
  ASSERT_TRUE(eventually([&] { return !RawClient(test.port()).is_connected(); }));
  for (int i = 0; i < 20; ++i) kept.take()({200, {}, "answered", {}});
  drainer.join();
  for (RawClient& client : clients) {
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body, "answered");
    EXPECT_TRUE(reply->has("Connection: close"));
    EXPECT_TRUE(client.is_closed_by_server());
    EXPECT_FALSE(client.is_reset());
  }
}

TEST(Drain, AnswersPipelinedRequestsThatWereRead) {
  TestServer test;
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest& request, Responder respond) {
    if (request.target == "/1") {
      kept.keep(std::move(respond));
    } else {
      respond({200, {}, request.target, {}});
    }
  };
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/1", "") + post("/2", "") + post("/3", "")));
  ASSERT_TRUE(eventually([&] { return test.handler.count() == 1; }));
  std::thread drainer([&] { test.server->drain(kPatience); });
  ASSERT_TRUE(eventually([&] { return !RawClient(test.port()).is_connected(); }));
  kept.take()({200, {}, "/1", {}});
  drainer.join();
  for (const std::string target : {"/1", "/2", "/3"}) {
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply) << target;
    EXPECT_EQ(reply->body, target);
    EXPECT_EQ(reply->has("Connection: close"), target == "/3");
  }
  EXPECT_TRUE(client.is_closed_by_server());
}

TEST(Drain, ClosesIdleConnectionsAtOnce) {
  TestServer test;
  RawClient fresh = test.connect();
  RawClient used = test.connect();
  ASSERT_TRUE(used.send(post("/", "")));
  ASSERT_TRUE(used.read_reply());
  ASSERT_TRUE(eventually([&] { return test.metrics.value("http_connections{test}") == 2; }));
  const auto begin = std::chrono::steady_clock::now();
  test.server->drain(kPatience);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_TRUE(fresh.is_closed_by_server(0ms));
  EXPECT_TRUE(used.is_closed_by_server(0ms));
  EXPECT_EQ(test.metrics.value("http_connections{test}"), 0);
}

TEST(Drain, LetsARequestThatIsArrivingFinish) {
  const std::string bytes = post("/arriving", "0123456789");
  for (const std::size_t cut : {std::size_t{10}, bytes.size() - 5}) {
    TestServer draining;
    RawClient client = draining.connect();
    ASSERT_TRUE(client.send(bytes.substr(0, cut)));
    ASSERT_TRUE(eventually([&] { return draining.metrics.value("http_connections{test}") == 1; }));
    std::thread drainer([&] { draining.server->drain(kPatience); });
    ASSERT_TRUE(eventually([&] { return !RawClient(draining.port()).is_connected(); }));
    ASSERT_TRUE(client.send(bytes.substr(cut)));
    EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/arriving|0123456789");
    EXPECT_TRUE(client.is_closed_by_server());
    drainer.join();
  }
}

TEST(Drain, ReturnsAtItsLimitWhenAnAnswerDoesNotCome) {
  TestServer test;
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest&, Responder respond) {
    kept.keep(std::move(respond));
  };
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/", "")));
  ASSERT_TRUE(eventually([&] { return test.handler.count() == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  test.server->drain(200ms);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 200ms);
  test.server->drain(10ms);  // a second call waits again, and does no harm
  test.server.reset();
  EXPECT_TRUE(client.is_closed_by_server());
}

/// What the clients of the test under load have seen.
struct Tally {
  std::atomic<int> answered = 0;
  std::atomic<int> lost = 0;  ///< the handler had the request, and the client no answer
};

void send_until_closed(std::uint16_t port, int client_number, Tally& tally,
                       const RecordingHandler& handler) {
  for (int connection = 0;; ++connection) {
    RawClient client(port);
    if (!client.is_connected()) return;
    for (int i = 0;; ++i) {
      const std::string target = "/" + std::to_string(client_number) + "-" +
                                 std::to_string(connection) + "-" + std::to_string(i);
      if (!client.send(post(target, std::string(500, 'x')))) break;
      const auto reply = client.read_reply();
      if (reply) {
        ++tally.answered;
        if (reply->has("Connection: close")) break;
        continue;
      }
      for (const HttpRequest& request : handler.requests()) {
        if (request.target == target) ++tally.lost;
      }
      break;
    }
  }
}

TEST(Drain, LosesNoAnswerUnderLoad) {
  TestServer test({}, 2);
  KeptResponders waiting;
  std::atomic<bool> is_over = false;
  test.handler.answer = [&](const HttpRequest&, Responder respond) {
    waiting.keep(std::move(respond));
  };
  std::thread writer([&] {
    while (!is_over) {
      std::this_thread::sleep_for(1ms);
      for (Responder& respond : waiting.take_all()) respond({200, "text/plain", "success", {}});
    }
  });
  Tally tally;
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&, i] { send_until_closed(test.port(), i, tally, test.handler); });
  }
  ASSERT_TRUE(eventually([&] { return tally.answered > 500; }));
  test.server->drain(kPatience);
  for (std::thread& client : clients) client.join();
  is_over = true;
  writer.join();
  EXPECT_EQ(tally.lost, 0);
  EXPECT_EQ(static_cast<std::size_t>(tally.answered), test.handler.count());
}

}  // namespace
}  // namespace postern::http::testing
