// Goal: every limit of a listener holds, says so in its metric, and leaves other connections alone.
// Proves P5 and P12 for the http room. Method: a real server with small limits, and clients that
// reach them; the figures of the process are read from /proc.

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/http/support.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POSTERN_TEST_SANITIZED 1
#endif
#endif

namespace postern::http::testing {
namespace {

/// Deadlines are counted in quarters of a second.
constexpr Milliseconds kCoarseness = 750ms;

void expect_served(const TestServer& test) {
  RawClient honest = test.connect();
  ASSERT_TRUE(honest.send(post("/honest", "")));
  EXPECT_EQ(honest.read_reply().value_or(Reply{}).code, 200u);
}

void expect_refused(RawClient& client, unsigned code) {
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->code, code);
  EXPECT_EQ(reply->body, "");
  EXPECT_TRUE(reply->has("Connection: close"));
  EXPECT_TRUE(client.is_closed_by_server());
  EXPECT_FALSE(client.is_reset());
}

struct Case {
  std::string name;
  std::string bytes;
  unsigned code;
  std::string reason;
};

// L01 to L04
TEST(Limits, RefuseWhatIsTooLarge) {
  const std::string line = "POST / HTTP/1.1\r\nHost: h\r\n";
  std::string fields;
  for (int i = 0; i < 100; ++i) fields += "X-" + std::to_string(i) + ": a\r\n";
  const std::vector<Case> cases = {
      {"17 KiB in one field", line + "X: " + std::string(17 * 1024, 'a') + "\r\n\r\n", 431,
       "header_too_large"},
      {"17 KiB without an end", line + "X: " + std::string(17 * 1024, 'a'), 431,
       "header_too_large"},
      {"101 fields", line + fields + "\r\n", 431, "header_too_large"},
      {"target of 8193 bytes", "POST /" + std::string(8192, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n",
       414, "target_too_long"},
      {"length one too many", line + "Content-Length: 262145\r\n\r\n", 413, "body_too_large"},
      {"chunk one too many", line + "Transfer-Encoding: chunked\r\n\r\n40001\r\n", 413,
       "body_too_large"},
      {"chunks too many in sum",
       line + "Transfer-Encoding: chunked\r\n\r\n20000\r\n" + std::string(0x20000, 'a') +
           "\r\n20001\r\n",
       413, "body_too_large"},
      {"100 Continue asked for a body that is too large",
       line + "Expect: 100-continue\r\nContent-Length: 262145\r\n\r\n", 413, "body_too_large"},
  };
  TestServer test;
  for (const auto& [name, bytes, code, reason] : cases) {
    SCOPED_TRACE(name);
    const double before = test.refused(reason);
    RawClient client = test.connect();
    ASSERT_TRUE(client.send(bytes));
    expect_refused(client, code);
    EXPECT_EQ(test.refused(reason), before + 1);
  }
  EXPECT_EQ(test.handler.count(), 0u);
  expect_served(test);
}

TEST(Limits, AllowWhatIsJustNotTooLarge) {
  TestServer test;
  RawClient client = test.connect();
  std::string header = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 262144\r\nX: ";
  header += std::string(16 * 1024 - header.size() - 4, 'a') + "\r\n\r\n";
  ASSERT_EQ(header.size(), 16u * 1024);
  ASSERT_TRUE(client.send(header + std::string(262'144, 'b')));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).code, 200u);

  std::string fields;
  for (int i = 0; i < 98; ++i) fields += "X-" + std::to_string(i) + ": a\r\n";
  ASSERT_TRUE(client.send(post("/" + std::string(8191, 'a'), "", fields)));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).code, 200u);
}

TEST(Limits, ShowTheRefusalToASenderThatIsStillSending) {
  TestServer test;
  RawClient client = test.connect();
  // More than the socket buffers hold, in part sent before the answer is read.
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n"));
  for (int i = 0; i < 8; ++i) {
    client.send(std::string(64 * 1024, 'x'));
    std::this_thread::sleep_for(2ms);
  }
  EXPECT_EQ(client.read_reply().value_or(Reply{}).code, 413u);
}

// L06: the time is for the whole header, not for each byte of it.
TEST(Limits, EndASlowHeaderInTotalTime) {
  Limits limits;
  limits.header_timeout = 500ms;
  TestServer test(limits);
  RawClient client = test.connect();
  const std::string bytes = post("/slow", "");
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < bytes.size() - 1; ++i) {
    if (!client.is_silent_for(50ms)) break;
    client.send(bytes.substr(i, 1));
  }
  expect_refused(client, 408);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 500ms);
  EXPECT_LT(took, 500ms + kCoarseness + 2s);  // 2 s: a busy machine
  EXPECT_EQ(test.refused("header_timeout"), 1);
  EXPECT_EQ(test.handler.count(), 0u);
  expect_served(test);
}

// L07
TEST(Limits, EndASlowBodyInTotalTime) {
  Limits limits;
  limits.body_timeout = 500ms;
  TestServer test(limits);
  RawClient plain = test.connect();
  ASSERT_TRUE(plain.send(post("/slow", std::string(100, 'x')).substr(0, 80)));
  RawClient chunked = test.connect();
  ASSERT_TRUE(chunked.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1"));
  for (int i = 0; i < 200; ++i) {
    if (!plain.is_silent_for(10ms)) break;
    plain.send("x");
  }
  expect_refused(plain, 408);
  expect_refused(chunked, 408);
  EXPECT_EQ(test.refused("body_timeout"), 2);
  EXPECT_EQ(test.handler.count(), 0u);
  expect_served(test);
}

TEST(Limits, CloseAnIdleConnectionWithoutAWord) {
  Limits limits;
  limits.idle_timeout = 300ms;
  TestServer test(limits);
  RawClient fresh = test.connect();
  RawClient used = test.connect();
  ASSERT_TRUE(used.send(post("/", "")));
  ASSERT_TRUE(used.read_reply());
  EXPECT_TRUE(fresh.is_closed_by_server());
  EXPECT_TRUE(used.is_closed_by_server());
  EXPECT_FALSE(used.is_reset());
  EXPECT_TRUE(eventually([&] { return test.metrics.value("http_connections{test}") == 0; }));
}

TEST(Limits, LeaveAConnectionAloneWhileItsRequestIsHandled) {
  Limits limits;
  limits.idle_timeout = limits.header_timeout = limits.body_timeout = 100ms;
  TestServer test(limits);
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest&, Responder respond) {
    kept.keep(std::move(respond));
  };
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/", "") + "POST /unfinished"));
  EXPECT_TRUE(client.is_silent_for(100ms + kCoarseness));
  kept.take()({200, {}, "done", {}});
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "done");
  expect_refused(client, 408);
}

// L08
TEST(Limits, ResetAPeerThatDoesNotReadItsAnswer) {
  Limits limits;
  limits.write_timeout = 300ms;
  TestServer test(limits);
  test.handler.answer = [](const HttpRequest& request, Responder respond) {
    respond({200, {}, request.target == "/large" ? std::string(32 << 20, 'x') : "", {}});
  };
  RawClient client(test.port(), 4096);
  ASSERT_TRUE(client.send(post("/large", "")));
  EXPECT_TRUE(eventually([&] { return test.refused("write_timeout") == 1; }));
  EXPECT_TRUE(eventually([&] { return test.metrics.value("http_connections{test}") == 0; }));
  expect_served(test);
}

TEST(Limits, LetASlowReaderHaveALargeAnswer) {
  TestServer test;
  const std::string body(8 << 20, 'y');
  test.handler.answer = [&](const HttpRequest&, Responder respond) {
    respond({200, {}, body, {}});
  };
  RawClient client(test.port(), 4096);
  ASSERT_TRUE(client.send(post("/1", "") + post("/2", "")));
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(50ms);
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply);
    EXPECT_TRUE(reply->body == body);
  }
}

// L10
TEST(Limits, CloseConnectionsAboveTheCap) {
  Limits limits;
  limits.connections_max = 10;
  TestServer test(limits, 2);
  std::vector<RawClient> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(test.connect());
    ASSERT_TRUE(clients.back().send(post("/", "")));
    ASSERT_TRUE(clients.back().read_reply());
  }
  for (int i = 0; i < 5; ++i) {
    RawClient extra = test.connect();
    EXPECT_TRUE(extra.is_closed_by_server());
  }
  EXPECT_EQ(test.refused("connections"), 5);
  for (RawClient& client : clients) {
    ASSERT_TRUE(client.send(post("/", "")));
    EXPECT_TRUE(client.read_reply());
  }
  clients.pop_back();
  EXPECT_TRUE(eventually([&] {
    RawClient client = test.connect();
    return client.send(post("/", "")) && client.read_reply(200ms);
  }));
}

TEST(Limits, CloseConnectionsAboveTheCapOfOnePeer) {
  Limits limits;
  limits.connections_per_peer_max = 3;
  TestServer test(limits);
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(test.connect());
    ASSERT_TRUE(clients.back().send(post("/", "")));
    ASSERT_TRUE(clients.back().read_reply());
  }
  RawClient extra = test.connect();
  EXPECT_TRUE(extra.is_closed_by_server());
  EXPECT_EQ(test.refused("connections_per_peer"), 1);
  clients.clear();
  EXPECT_TRUE(eventually([&] {
    RawClient client = test.connect();
    return client.send(post("/", "")) && client.read_reply(200ms);
  }));
}

TEST(Limits, AnswerRetryablyAboveTheRequestsInFlight) {
  Limits limits;
  limits.requests_in_flight_max = 2;
  TestServer test(limits);
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest&, Responder respond) {
    kept.keep(std::move(respond));
  };
  RawClient a = test.connect();
  RawClient b = test.connect();
  ASSERT_TRUE(a.send(post("/a", "")));
  ASSERT_TRUE(b.send(post("/b", "")));
  ASSERT_TRUE(eventually([&] { return test.handler.count() == 2; }));
  RawClient c = test.connect();
  ASSERT_TRUE(c.send(post("/c", "")));
  const auto refused = c.read_reply();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, 503u);
  EXPECT_EQ(refused->body, "");
  EXPECT_EQ(test.refused("requests_in_flight"), 1);
  for (int i = 0; i < 2; ++i) kept.take()({200, {}, {}, {}});
  EXPECT_EQ(a.read_reply().value_or(Reply{}).code, 200u);
  EXPECT_EQ(b.read_reply().value_or(Reply{}).code, 200u);
  // The same connection is served once there is room.
  ASSERT_TRUE(c.send(post("/c", "")));
  kept.take()({200, {}, {}, {}});
  EXPECT_EQ(c.read_reply().value_or(Reply{}).code, 200u);
}

[[nodiscard]] std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

TEST(Limits, WaitOutAShortageOfDescriptorsWithoutSpinning) {
  TestServer test;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  RawClient client = test.connect();
  ASSERT_TRUE(client.send(post("/", "")));
  ASSERT_TRUE(client.read_reply());
  const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(next, 0);
  ::close(next);
  // The client's end takes the last descriptor, so there is none for the server's.
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  const auto began = std::chrono::steady_clock::now();
  RawClient waiting = test.connect();
  const bool is_sent = waiting.send(post("/", ""));
  const bool is_silent = waiting.is_silent_for(550ms);
  const bool is_tried_again = eventually([&] { return test.refused("descriptors") >= 3; });
  const double refused = test.refused("descriptors");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(is_sent);
  EXPECT_TRUE(is_silent);
  EXPECT_TRUE(is_tried_again);
  // Ten times a second. One that spins is refused many thousand times.
  EXPECT_LE(refused, took.count() * 10 + 2);
  EXPECT_EQ(waiting.read_reply().value_or(Reply{}).code, 200u);
  ASSERT_TRUE(client.send(post("/", "")));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).code, 200u);
}

// L11
TEST(Limits, LeakNoDescriptorsWhenConnectionsComeAndGo) {
  TestServer test;
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 2000; ++i) {
    RawClient client = test.connect();
    ASSERT_TRUE(client.is_connected());
    if (i % 4 == 1) client.send("POST /half HTTP/1.1\r\n");
    if (i % 4 == 2) client.send(post("/", "", "Connection: close\r\n"));
    if (i % 4 == 3) client.reset();
  }
  EXPECT_TRUE(eventually([&] { return open_descriptors() == before; }));
}

[[nodiscard]] long resident_kib() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long pages = 0;
  long resident = 0;
  const int fields = std::fscanf(file, "%ld %ld", &pages, &resident);
  std::fclose(file);
  return fields == 2 ? resident * ::sysconf(_SC_PAGESIZE) / 1024 : 0;
}

[[nodiscard]] bool allow_descriptors(rlim_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= count) return true;
  limit.rlim_cur = count;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

TEST(Limits, ServeAThousandConnectionsAtOnce) {
  ASSERT_TRUE(allow_descriptors(2200));
  TestServer test({}, 2);
  std::vector<RawClient> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(test.connect());
    ASSERT_TRUE(clients.back().is_connected()) << i;
  }
  for (int round = 0; round < 3; ++round) {
    for (RawClient& client : clients) ASSERT_TRUE(client.send(post("/", std::string(1000, 'x'))));
    for (RawClient& client : clients) {
      EXPECT_EQ(client.read_reply().value_or(Reply{}).body.size(), 1002u);
    }
  }
  EXPECT_TRUE(eventually([&] { return test.metrics.value("http_connections{test}") == 1000; }));
}

// L09: idle connections that have been used hold no buffers.
TEST(Limits, HoldLittleMemoryForIdleConnections) {
#ifdef POSTERN_TEST_SANITIZED
  GTEST_SKIP() << "a sanitizer's own memory would be measured";
#endif
  constexpr int kConnections = 2000;
  ASSERT_TRUE(allow_descriptors(2 * kConnections + 200));
  TestServer test;
  test.handler.answer = [](const HttpRequest&, Responder respond) { respond({200, {}, {}, {}}); };
  expect_served(test);
  std::vector<RawClient> clients;
  clients.reserve(kConnections);
  const long before = resident_kib();
  for (int i = 0; i < kConnections; ++i) {
    clients.push_back(test.connect());
    ASSERT_TRUE(clients.back().send(post("/", std::string(20'000, 'x'))));
    ASSERT_TRUE(clients.back().read_reply());
    test.handler.forget();
  }
  const double kib = static_cast<double>(resident_kib() - before) / kConnections;
  RecordProperty("kib_per_idle_connection", std::to_string(kib));
  std::printf("%.2f KiB for each idle connection, with the test's own end\n", kib);
  EXPECT_LT(kib, 4.0);
}

}  // namespace
}  // namespace postern::http::testing
