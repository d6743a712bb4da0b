// Goal: the blocking client says what a server said, in the time it was given, and repeats a
// request only where no server can have acted on it. Method: our own server, and a peer that
// misbehaves byte by byte.

#include "http/client.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/http/support.h"

namespace postern::http::testing {
namespace {

/// A peer that does for each connection, in order, what the test says.
class ScriptedPeer {
 public:
  using Script = std::vector<std::function<void(int fd)>>;

  explicit ScriptedPeer(Script script) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, steps = std::move(script)] {
      for (const auto& step : steps) {
        const int fd = ::accept(listener_, nullptr, nullptr);
        if (fd < 0) return;
        ++connections_;
        step(fd);
        ::close(fd);
      }
    });
  }
  ~ScriptedPeer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::thread thread_;
};

void read_request(int fd) {
  std::string bytes;
  char buffer[4096];
  while (bytes.find("\r\n\r\n") == std::string::npos) {
    const ssize_t size = ::recv(fd, buffer, sizeof buffer, 0);
    if (size <= 0) return;
    bytes.append(buffer, static_cast<std::size_t>(size));
  }
}

void say(int fd, std::string_view bytes) {
  EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

/// Reads until the other end closes.
void await_end(int fd) {
  char buffer[4096];
  while (::recv(fd, buffer, sizeof buffer, 0) > 0) {
  }
}

[[nodiscard]] HttpRequest get(std::string target) {
  HttpRequest request;
  request.method = "GET";
  request.target = std::move(target);
  return request;
}

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST(BlockingClient, ExchangesRequestsOverOneConnection) {
  TestServer test;
  test.handler.answer = [](const HttpRequest& request, Responder respond) {
    respond({201, "text/plain", request.body, {{"X-Target", request.target}}});
  };
  BlockingClient client("127.0.0.1", test.port(), 5s);
  for (int i = 0; i < 10; ++i) {
    HttpRequest request;
    request.method = "POST";
    request.target = "/payment?" + std::to_string(i);
    request.headers.add("Content-Type", "application/json");
    request.headers.add("X-Note", "a b");
    request.body = std::string(static_cast<std::size_t>(i) * 20'000, 'x');
    const auto response = client.send(request);
    ASSERT_TRUE(response) << response.error().detail;
    EXPECT_EQ(response->code, 201u);
    EXPECT_EQ(response->content_type, "text/plain");
    EXPECT_TRUE(response->body == request.body);
    const HttpRequest seen = test.handler.requests().back();
    EXPECT_EQ(seen.headers.only("host"), "127.0.0.1:" + std::to_string(test.port()));
    EXPECT_EQ(seen.headers.only("content-type"), "application/json");
    EXPECT_EQ(seen.headers.only("x-note"), "a b");
    EXPECT_EQ(seen.headers.only("content-length"), std::to_string(request.body.size()));
  }
  EXPECT_TRUE(eventually([&] { return test.metrics.value("http_connections{test}") == 1; }));
}

TEST(BlockingClient, ResolvesNames) {
  TestServer test;
  BlockingClient client("localhost", test.port(), 5s);
  const auto response = client.send(get("/"));
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(response->code, 200u);
}

TEST(BlockingClient, ReadsTheAnswerToHead) {
  TestServer test;
  BlockingClient client("127.0.0.1", test.port(), 5s);
  HttpRequest head = get("/");
  head.method = "HEAD";
  for (int i = 0; i < 2; ++i) {
    const auto response = client.send(head);
    ASSERT_TRUE(response) << response.error().detail;
    EXPECT_EQ(response->body, "");
  }
}

TEST(BlockingClient, ReadsPastInterimAnswers) {
  ScriptedPeer peer({[](int fd) {
    read_request(fd);
    say(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n");
    say(fd, kOk);
    await_end(fd);
  }});
  BlockingClient client("127.0.0.1", peer.port(), 5s);
  const auto response = client.send(get("/"));
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(response->body, "ok");
}

TEST(BlockingClient, OpensAClosedConnectionAgain) {
  const auto answer_and_close = [](int fd) {
    read_request(fd);
    say(fd, kOk);
  };
  ScriptedPeer peer({answer_and_close, answer_and_close, answer_and_close});
  BlockingClient client("127.0.0.1", peer.port(), 5s);
  for (int i = 0; i < 3; ++i) {
    const auto response = client.send(get("/"));
    ASSERT_TRUE(response) << response.error().detail;
    EXPECT_EQ(response->body, "ok");
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(peer.connections(), 3);
}

TEST(BlockingClient, DoesNotRepeatARequestThatWasAnsweredInPart) {
  ScriptedPeer peer({[](int fd) {
                       read_request(fd);
                       say(fd, kOk);
                       read_request(fd);
                       say(fd, "HTTP/1.1 200 OK\r\nContent-Le");
                     },
                     [](int fd) { say(fd, kOk); }});
  BlockingClient client("127.0.0.1", peer.port(), 5s);
  ASSERT_TRUE(client.send(get("/")));
  const auto response = client.send(get("/"));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, "connection_lost");
  EXPECT_EQ(response.error().error_class, ErrorClass::kRetryable);
  EXPECT_EQ(peer.connections(), 1);
}

TEST(BlockingClient, DoesNotRepeatARequestOnAFreshConnection) {
  ScriptedPeer peer({[](int fd) { read_request(fd); }, [](int fd) { say(fd, kOk); }});
  BlockingClient client("127.0.0.1", peer.port(), 5s);
  const auto response = client.send(get("/"));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, "connection_lost");
  EXPECT_EQ(peer.connections(), 1);
}

TEST(BlockingClient, GivesUpInTime) {
  ScriptedPeer peer({await_end, [](int fd) {
                       read_request(fd);
                       // A byte now and then must not prolong it.
                       for (const char c : std::string_view(kOk)) {
                         if (::send(fd, &c, 1, MSG_NOSIGNAL) != 1) return;
                         std::this_thread::sleep_for(50ms);
                       }
                     }});
  BlockingClient client("127.0.0.1", peer.port(), 300ms);
  for (int i = 0; i < 2; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const auto response = client.send(get("/"));
    const auto took = std::chrono::steady_clock::now() - begin;
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, "timed_out");
    EXPECT_GE(took, 300ms);
    EXPECT_LT(took, 2s);
  }
}

TEST(BlockingClient, SaysThatNobodyListens) {
  std::uint16_t port = 0;
  {
    TestServer test;
    port = test.port();
  }
  BlockingClient client("127.0.0.1", port, 5s);
  const auto response = client.send(get("/"));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, "connect_failed");
  EXPECT_EQ(response.error().error_class, ErrorClass::kRetryable);
}

TEST(BlockingClient, RefusesWhatIsNoHttp) {
  for (const std::string& bytes : {"SSH-2.0-OpenSSH\r\n\r\n"s, "HTTP/1.1 20 OK\r\n\r\n"s,
                                   "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"s,
                                   "HTTP/1.1 200 OK\r\nContent-Length: 16777217\r\n\r\n"s}) {
    ScriptedPeer peer({[&](int fd) {
      read_request(fd);
      say(fd, bytes);
      await_end(fd);
    }});
    BlockingClient client("127.0.0.1", peer.port(), 5s);
    const auto response = client.send(get("/"));
    ASSERT_FALSE(response) << bytes;
    EXPECT_EQ(response.error().code, "response_malformed") << bytes;
  }
}

TEST(BlockingClient, ReadsTheRefusalOfARequestItCouldNotSendWhole) {
  TestServer test;
  BlockingClient client("127.0.0.1", test.port(), 5s);
  HttpRequest request;
  request.method = "POST";
  request.target = "/";
  request.body = std::string(700'000, 'x');
  const auto response = client.send(request);
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(response->code, 413u);
}

}  // namespace
}  // namespace postern::http::testing
