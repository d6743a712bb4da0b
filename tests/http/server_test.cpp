// Goal: requests reach the handler whole and once, in order, however they travel, and each answer
// goes back on its own connection, from whatever thread it comes. Method: a real server on the
// loopback interface, and a client that sends exactly the bytes it is told to.

#include "http/server.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "tests/http/support.h"

namespace postern::http::testing {
namespace {

TEST(Server, GivesTheHandlerTheWholeRequest) {
  TestServer test;
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/payment/alipay/callback?a=%20b", "body\0\r\n\xff"s,
                               "X-B: 2\r\nx-a:  1 \r\nX-B: 3\r\n")));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->code, 200u);
  EXPECT_TRUE(reply->has("Content-Type: text/plain"));
  EXPECT_EQ(reply->body, "/payment/alipay/callback?a=%20b|body\0\r\n\xff"s);

  const std::vector<HttpRequest> requests = test.handler.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].headers.block(),
            "Host: pay.example\r\nX-B: 2\r\nx-a: 1\r\nX-B: 3\r\nContent-Length: 8\r\n");
  EXPECT_EQ(requests[0].peer, "127.0.0.1");
  EXPECT_EQ(test.metrics.value("http_requests_total{test,2xx}"), 1);
}

TEST(Server, ShowsAMappedAddressAsIpv4) {
  RecordingHandler handler;
  RecordingLog log;
  ReadableMetrics metrics;
  auto server = Server::start({"test", {"::", 0}, {}, 1}, handler, log, metrics);
  if (!server) GTEST_SKIP() << "no IPv6 here: " << server.error().detail;
  RawClient client((*server)->port());
  ASSERT_TRUE(client.send(post("/", "")));
  ASSERT_TRUE(client.read_reply());
  EXPECT_EQ(handler.requests().at(0).peer, "127.0.0.1");
}

TEST(Server, KeepsTheConnectionForFurtherRequests) {
  TestServer test;
  RawClient client = test.connect();
  for (int i = 0; i < 50; ++i) {
    const std::string number = std::to_string(i);
    ASSERT_TRUE(client.send(post("/" + number, number)));
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body, "/" + number + "|" + number);
  }
  EXPECT_TRUE(client.is_silent_for(20ms));
}

// H39
TEST(Server, AnswersPipelinedRequestsInOrder) {
  TestServer test;
  RawClient client = test.connect();
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += post("/" + std::to_string(i), std::string(300, 'x'));
  ASSERT_TRUE(client.send(bytes));
  for (int i = 0; i < 100; ++i) {
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply);
    EXPECT_TRUE(reply->body.starts_with("/" + std::to_string(i) + "|"));
  }
}

TEST(Server, HandlesOneRequestOfAConnectionAtATime) {
  TestServer test;
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest&, Responder respond) {
    kept.keep(std::move(respond));
  };
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/1", "") + post("/2", "") + post("/3", "")));
  for (std::size_t handled = 1; handled <= 3; ++handled) {
    Responder respond = kept.take();
    EXPECT_TRUE(client.is_silent_for(20ms));
    EXPECT_EQ(test.handler.count(), handled);
    respond({200, {}, std::to_string(handled), {}});
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body, std::to_string(handled));
  }
}

// H44, over a socket; wire_test.cpp has every stream and every cut.
TEST(Server, ReadsARequestSplitAtEveryByte) {
  TestServer test;
  const std::string bytes = post("/split", "0123456789");
  RawClient client = test.connect();
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    ASSERT_TRUE(client.send(bytes.substr(0, cut)));
    std::this_thread::sleep_for(200us);
    ASSERT_TRUE(client.send(bytes.substr(cut)));
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply) << cut;
    EXPECT_EQ(reply->body, "/split|0123456789") << cut;
  }
}

TEST(Server, ReadsChunkedBodies) {
  TestServer test;
  RawClient client = test.connect();
  std::string bytes =
      "POST /chunked HTTP/1.1\r\nHost: pay.example\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string body;
  for (std::size_t size = 1; size < 20'000; size = size * 3 + 1) {
    const std::string data(size, static_cast<char>('a' + size % 26));
    char length[20];
    std::snprintf(length, sizeof length, "%zx\r\n", size);
    bytes.append(length).append(data).append("\r\n");
    body += data;
  }
  bytes += "0\r\n\r\n";
  ASSERT_TRUE(client.send(bytes + post("/next", "")));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "/chunked|" + body);
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/next|");
}

TEST(Server, ReadsABodyLargerThanItsBuffer) {
  TestServer test;
  RawClient client = test.connect();
  std::string body(256 * 1024, 'x');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31 / 7);
  ASSERT_TRUE(client.send(post("/large", body)));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->body == "/large|" + body);
}

TEST(Server, HonoursTheVersionAndConnectionOfARequest) {
  struct Case {
    std::string_view bytes;
    std::string_view status_line;
    bool is_kept;
  };
  TestServer test;
  for (const auto& [bytes, status_line, is_kept] :
       {Case{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK", true},
        Case{"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK", false},
        Case{"GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK", false},
        Case{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.0 200 OK", true},
        // H45: naming a field in Connection does not take it away.
        Case{"GET / HTTP/1.1\r\nHost: h\r\nConnection: Host\r\n\r\n", "HTTP/1.1 200 OK", true},
        // H37: nothing here to upgrade to.
        Case{"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
             "\r\n",
             "HTTP/1.1 200 OK", true}}) {
    RawClient client = test.connect();
    ASSERT_TRUE(client.send(bytes));
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply) << bytes;
    EXPECT_TRUE(reply->header.starts_with(status_line)) << bytes;
    if (is_kept) {
      EXPECT_TRUE(client.is_silent_for(20ms)) << bytes;
    } else {
      EXPECT_TRUE(client.is_closed_by_server()) << bytes;
      EXPECT_FALSE(client.is_reset()) << bytes;
    }
  }
}

TEST(Server, AnswersHeadWithoutABody) {
  TestServer test;
  RawClient client = test.connect();
  ASSERT_TRUE(client.send("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"));
  const auto head = client.read_reply(kPatience, false);
  ASSERT_TRUE(head);
  EXPECT_TRUE(head->has("Content-Length: 3"));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/b|");
}

// H36
TEST(Server, AsksForTheBodyThatWaitsToBeAskedFor) {
  TestServer test;
  RawClient client = test.connect();
  const std::string bytes = post("/expect", "hello", "Expect: 100-continue\r\n");
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(client.send(bytes.substr(0, bytes.size() - 5)));
    const auto interim = client.read_reply();
    ASSERT_TRUE(interim);
    EXPECT_EQ(interim->code, 100u);
    EXPECT_EQ(test.handler.count(), static_cast<std::size_t>(round));
    ASSERT_TRUE(client.send("hel"));
    EXPECT_TRUE(client.is_silent_for(10ms));  // asked for once
    ASSERT_TRUE(client.send("lo"));
    EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/expect|hello");
  }
  // A sender that does not wait is not asked.
  ASSERT_TRUE(client.send(bytes));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/expect|hello");
}

// H41, H42
TEST(Server, DoesNotTakeABodyForTheNextRequest) {
  TestServer test;
  RawClient client = test.connect();
  const std::string inner = post("/inner", "");
  ASSERT_TRUE(client.send(
      "GET /outer HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(inner.size()) +
      "\r\n\r\n" + inner + post("/empty", "") + post("/last", "x")));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/outer|" + inner);
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/empty|");
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/last|x");
  EXPECT_EQ(test.handler.count(), 3u);
}

// H43
TEST(Server, AnswersAfterTheSenderHasClosedItsHalf) {
  TestServer test;
  test.handler.answer = [](const HttpRequest&, Responder respond) {
    std::thread([r = std::move(respond)]() mutable {
      std::this_thread::sleep_for(20ms);
      r({200, {}, "late", {}});
    }).detach();
  };
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/half", "body")));
  client.finish_sending();
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "late");
  EXPECT_TRUE(client.is_closed_by_server());
}

// H20, H43: proves P5 and half of P1 (what did not arrive whole is not acknowledged).
TEST(Server, HandlesNoRequestThatWasCutOff) {
  TestServer test;
  const std::string with_length = post("/cut", "0123456789");
  const std::string chunked =
      "POST /cut HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (const std::string& bytes : {with_length, chunked}) {
    for (std::size_t size = 1; size < bytes.size(); ++size) {
      RawClient finished = test.connect();
      ASSERT_TRUE(finished.send(bytes.substr(0, size)));
      finished.finish_sending();
      const auto reply = finished.read_reply();
      ASSERT_TRUE(reply) << size;
      EXPECT_EQ(reply->code, 400u) << size;
      EXPECT_TRUE(finished.is_closed_by_server()) << size;

      RawClient torn = test.connect();
      ASSERT_TRUE(torn.send(bytes.substr(0, size)));
      torn.reset();
    }
  }
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/whole", "")));
  ASSERT_TRUE(client.read_reply());
  EXPECT_EQ(test.handler.count(), 1u);
}

// H40
TEST(Server, AnswersAGoodRequestBeforeItRefusesTheNext) {
  TestServer test;
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/good", "") + "garbage\r\n\r\n" + post("/never", "")));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/good|");
  EXPECT_EQ(client.read_reply().value_or(Reply{}).code, 400u);
  EXPECT_TRUE(client.is_closed_by_server());
  EXPECT_EQ(test.handler.count(), 1u);
}

TEST(Server, TakesAnswersFromAnotherThreadInBatches) {
  TestServer test({}, 2);
  std::mutex mutex;
  std::vector<std::pair<std::string, Responder>> waiting;
  std::atomic<bool> is_over = false;
  test.handler.answer = [&](const HttpRequest& request, Responder respond) {
    const std::lock_guard lock(mutex);
    waiting.emplace_back(request.target, std::move(respond));
  };
  // As the store's writer does: takes all that is there, and answers all of it at once.
  std::thread writer([&] {
    while (!is_over) {
      std::this_thread::sleep_for(1ms);
      std::vector<std::pair<std::string, Responder>> batch;
      {
        const std::lock_guard lock(mutex);
        batch.swap(waiting);
      }
      for (auto& [target, respond] : batch) respond({200, {}, target, {}});
    }
  });
  std::vector<RawClient> clients;
  for (int i = 0; i < 64; ++i) clients.push_back(test.connect());
  for (int round = 0; round < 20; ++round) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      ASSERT_TRUE(clients[i].send(post("/" + std::to_string(round) + "/" + std::to_string(i), "")));
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
      EXPECT_EQ(clients[i].read_reply().value_or(Reply{}).body,
                "/" + std::to_string(round) + "/" + std::to_string(i));
    }
  }
  is_over = true;
  writer.join();
}

TEST(Server, AnswersFromTheThreadOfAnotherRequest) {
  TestServer test;
  std::optional<Responder> first;
  test.handler.answer = [&](const HttpRequest& request, Responder respond) {
    if (request.target == "/first") {
      first = std::move(respond);
      return;
    }
    (*first)({200, {}, "by the second", {}});
    respond({200, {}, "second", {}});
  };
  RawClient a = test.connect();
  ASSERT_TRUE(a.send(post("/first", "")));
  ASSERT_TRUE(eventually([&] { return test.handler.count() == 1; }));
  RawClient b = test.connect();
  ASSERT_TRUE(b.send(post("/second", "")));
  EXPECT_EQ(a.read_reply().value_or(Reply{}).body, "by the second");
  EXPECT_EQ(b.read_reply().value_or(Reply{}).body, "second");
}

TEST(Server, AnswersWithAFaultWhenTheResponderIsDropped) {
  TestServer test;
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest& request, Responder respond) {
    if (request.target == "/later") kept.keep(std::move(respond));
    if (request.target == "/throw") throw std::runtime_error("handler");
  };
  RawClient client = test.connect();
  for (const std::string_view target : {"/now", "/throw", "/later"}) {
    ASSERT_TRUE(client.send(post(target, "")));
    if (target == "/later") Responder(kept.take()) = nullptr;
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply) << target;
    EXPECT_EQ(reply->code, 500u) << target;
    EXPECT_EQ(reply->body, "") << target;
  }
  EXPECT_EQ(test.log.count("http_handler_threw"), 1u);
  EXPECT_EQ(test.metrics.value("http_requests_total{test,5xx}"), 3);
}

TEST(Server, AnswersWithAFaultWhenTheResponseCannotBeSent) {
  TestServer test;
  test.handler.answer = [](const HttpRequest&, Responder respond) {
    respond({200, {}, "secret", {{"X-A", "b\r\nSet-Cookie: c"}}});
  };
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/", "")));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->code, 500u);
  EXPECT_EQ(reply->body, "");
  EXPECT_EQ(reply->header.find("Set-Cookie"), std::string::npos);
}

TEST(Server, IgnoresAnswersThatComeAfterItHasGone) {
  KeptResponders late;
  {
    TestServer test;
    test.handler.answer = [&](const HttpRequest&, Responder respond) {
      late.keep(std::move(respond));
    };
    std::vector<RawClient> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(test.connect());
      ASSERT_TRUE(clients.back().send(post("/", "")));
    }
    ASSERT_TRUE(eventually([&] { return test.handler.count() == 3; }));
    test.server.reset();
    for (RawClient& client : clients) EXPECT_TRUE(client.is_closed_by_server());
  }
  late.take()({200, {}, {}, {}});
  Responder(late.take()) = nullptr;
}

TEST(Server, DropsTheAnswerOfAPeerThatHasGone) {
  TestServer test;
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest& request, Responder respond) {
    if (request.target == "/gone") {
      kept.keep(std::move(respond));
    } else {
      respond({200, {}, {}, {}});
    }
  };
  RawClient gone = test.connect();
  ASSERT_TRUE(gone.send(post("/gone", "")));
  Responder respond = kept.take();
  gone.reset();
  respond({200, {}, std::string(1 << 20, 'x'), {}});
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/", "")));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).code, 200u);
}

TEST(Server, SaysThatAnAddressIsTaken) {
  TestServer test;
  for (const unsigned threads : {1u, 2u}) {
    const auto second = Server::start({"second", {"127.0.0.1", test.port()}, {}, threads},
                                      test.handler, test.log, test.metrics);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, "address_in_use");
    EXPECT_NE(second.error().detail.find(std::to_string(test.port())), std::string::npos);
  }
  TestServer shared({}, 2);
  const auto third = Server::start({"third", {"127.0.0.1", shared.port()}, {}, 2}, test.handler,
                                   test.log, test.metrics);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, "address_in_use");
}

TEST(Server, SaysThatAnAddressIsNotOfThisHost) {
  RecordingHandler handler;
  RecordingLog log;
  ReadableMetrics metrics;
  const auto foreign = Server::start({"test", {"192.0.2.1", 0}, {}, 1}, handler, log, metrics);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, "address_not_available");
  const auto name = Server::start({"test", {"localhost", 0}, {}, 1}, handler, log, metrics);
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code, "address_malformed");
}

TEST(Server, BindsItsPortAgainAtOnce) {
  std::uint16_t port = 0;
  {
    TestServer test;
    port = test.port();
    RawClient client = test.connect();
    ASSERT_TRUE(client.send(post("/", "", "Connection: close\r\n")));
    ASSERT_TRUE(client.read_reply());
    EXPECT_TRUE(client.is_closed_by_server());
  }
  RecordingHandler handler;
  RecordingLog log;
  ReadableMetrics metrics;
  const auto again = Server::start({"test", {"127.0.0.1", port}, {}, 1}, handler, log, metrics);
  EXPECT_TRUE(again) << again.error().detail;
}

}  // namespace
}  // namespace postern::http::testing
