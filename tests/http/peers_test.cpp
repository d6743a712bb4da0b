// Goal: a listener knows its peers from trusted proxies alone, by field or by PROXY header, and
// what strangers make it hold is bounded while callbacks still fit.
// Method: a server on a real socket whose proxy is the test.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/http/support.h"

namespace postern::http {
namespace {

using namespace testing;

/// As TestServer, with a rule for peers.
struct ProxiedServer {
  ProxiedServer(PeerFrom from, const std::string& proxies, Limits limits = {},
                Callers callers = Callers::kAnyone) {
    PeerRule rule{
        .trusted_proxies = {Network::parse(proxies).value()}, .from = from, .callers = callers};
    auto started = Server::start({.name = "test",
                                  .address = {"127.0.0.1", 0},
                                  .limits = limits,
                                  .threads = 1,
                                  .peers = std::move(rule)},
                                 handler, log, metrics);
    EXPECT_TRUE(started) << started.error().detail;
    server = std::move(started).value();
  }
  [[nodiscard]] RawClient connect() const { return RawClient(server->port()); }
  [[nodiscard]] double refused(const std::string& reason) const {
    return metrics.value("http_refused_total{test," + reason + "}");
  }
  [[nodiscard]] double held() const { return metrics.value("http_bytes_held{test}"); }
  [[nodiscard]] std::string last_peer() const { return handler.requests().back().peer; }

  RecordingHandler handler;
  RecordingLog log;
  ReadableMetrics metrics;
  std::unique_ptr<Server> server;  // goes first
};

TEST(Peers, AreNamedByTheFieldOfEachRequest) {
  ProxiedServer server(PeerFrom::kXForwardedFor, "127.0.0.0/8");
  RawClient client = server.connect();
  for (const auto& [field, peer] :
       {std::pair<std::string, std::string>{"X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7"},
        {"X-Forwarded-For: 203.0.113.8\r\n", "203.0.113.8"},
        {"X-Real-IP: 203.0.113.9\r\n", "127.0.0.1"}}) {
    ASSERT_TRUE(client.send(post("/", "x", field)));
    ASSERT_TRUE(client.read_reply());
    EXPECT_EQ(server.last_peer(), peer);
  }
}

TEST(Peers, AreTheSocketsWhereNoProxyIsTrusted) {
  ProxiedServer server(PeerFrom::kXForwardedFor, "10.0.0.0/8");
  RawClient client = server.connect();
  ASSERT_TRUE(client.send(post("/", "x", "X-Forwarded-For: 203.0.113.7\r\n")));
  ASSERT_TRUE(client.read_reply());
  EXPECT_EQ(server.last_peer(), "127.0.0.1");
}

TEST(Peers, AreNamedByAProxyHeaderHoweverItIsCut) {
  ProxiedServer server(PeerFrom::kProxyProtocol, "127.0.0.0/8");
  const std::string header = "PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\n";
  for (std::size_t cut = 0; cut <= header.size(); cut += 9) {
    RawClient client = server.connect();
    ASSERT_TRUE(client.send(std::string_view(header).substr(0, cut)));
    if (cut > 0) ::usleep(3000);
    ASSERT_TRUE(client.send(header.substr(cut) + post("/a", "x")));
    ASSERT_TRUE(client.read_reply());
    ASSERT_TRUE(client.send(post("/b", "x", "X-Forwarded-For: 198.51.100.1\r\n")));
    ASSERT_TRUE(client.read_reply());
    EXPECT_EQ(server.last_peer(), "203.0.113.7") << cut;
  }
  // A check of the proxy's own.
  RawClient local = server.connect();
  ASSERT_TRUE(local.send("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"s + post("/", "x")));
  ASSERT_TRUE(local.read_reply());
  EXPECT_EQ(server.last_peer(), "127.0.0.1");
}

TEST(Peers, AreClosedWithoutAProxyHeader) {
  Limits limits;
  limits.header_timeout = 300ms;
  ProxiedServer server(PeerFrom::kProxyProtocol, "127.0.0.0/8", limits);
  RawClient plain = server.connect();
  ASSERT_TRUE(plain.send(post("/", "x")));
  EXPECT_FALSE(plain.read_reply());
  RawClient late = server.connect();
  ASSERT_TRUE(late.send("PROXY TCP4 203"));
  EXPECT_TRUE(late.is_closed_by_server());
  RawClient cut = server.connect();
  ASSERT_TRUE(cut.send("PROXY TCP4 203"));
  cut.finish_sending();
  EXPECT_TRUE(cut.is_closed_by_server());
  EXPECT_EQ(server.handler.count(), 0u);
  EXPECT_EQ(server.refused("proxy_header"), 3);
}

TEST(Peers, AreClosedWhereTheyAreNoProxiesButSpeakAsOne) {
  ProxiedServer server(PeerFrom::kProxyProtocol, "10.0.0.0/8");
  RawClient client = server.connect();
  client.send("PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\n" + post("/", "x"));
  EXPECT_FALSE(client.read_reply());
  EXPECT_TRUE(eventually([&] { return server.refused("not_a_proxy") == 1; }));
  EXPECT_EQ(server.handler.count(), 0u);
}

TEST(Peers, AreTheProxiesAloneWhereThePlainTextCouldBeRead) {
  ProxiedServer server(PeerFrom::kXForwardedFor, "10.0.0.0/8", {}, Callers::kProxies);
  RawClient client = server.connect();
  client.send(post("/", "x"));
  EXPECT_FALSE(client.read_reply());
  EXPECT_TRUE(eventually([&] { return server.refused("not_a_proxy") == 1; }));
  ProxiedServer trusting(PeerFrom::kXForwardedFor, "127.0.0.0/8", {}, Callers::kProxies);
  RawClient proxy = trusting.connect();
  ASSERT_TRUE(proxy.send(post("/", "x")));
  EXPECT_TRUE(proxy.read_reply());
}

TEST(Peers, HaveTheirConnectionsCountedByWhomTheProxyNames) {
  Limits limits;
  limits.connections_per_peer_max = 1;
  ProxiedServer server(PeerFrom::kProxyProtocol, "127.0.0.0/8", limits);
  const auto open = [&](const std::string& source) {
    RawClient client = server.connect();
    client.send("PROXY TCP6 " + source + " fd00::1 1 2\r\n" + post("/", "x"));
    const bool is_served = client.read_reply().has_value();
    return std::pair(std::move(client), is_served);
  };
  auto first = open("2001:db8:0:1::1");
  EXPECT_TRUE(first.second);
  EXPECT_FALSE(open("2001:db8:0:1::2").second);  // the same /64
  EXPECT_TRUE(open("2001:db8:0:2::1").second);
  EXPECT_EQ(server.refused("connections_per_peer"), 1);
  first.first.close();
  EXPECT_TRUE(eventually([&] { return open("2001:db8:0:1::3").second; }));
}

TEST(BytesHeld, AreBoundedAndLeaveRoomForCallbacks) {
  constexpr std::size_t kBodyBytes = 200UL * 1024;
  Limits limits;
  limits.bytes_held_max = 4 * kBodyBytes;
  ProxiedServer server(PeerFrom::kSocket, "10.0.0.0/8", limits);
  const std::string whole = post("/", std::string(kBodyBytes, 'x'));
  std::vector<RawClient> strangers;
  for (int i = 0; i < 12; ++i) {
    strangers.push_back(server.connect());
    strangers.back().send(std::string_view(whole).substr(0, whole.size() - 1));
  }
  EXPECT_TRUE(eventually([&] { return server.refused("bytes_held") >= 6; }));
  EXPECT_LE(server.held(),
            static_cast<double>(limits.bytes_held_max + 12 * Limits::kBytesFree + 2 * kBodyBytes));
  // A callback in pieces is served meanwhile.
  RawClient honest = server.connect();
  const std::string callback = post("/", std::string(3000, 'x'));
  ASSERT_TRUE(honest.send(std::string_view(callback).substr(0, 1500)));
  ::usleep(20'000);
  ASSERT_TRUE(honest.send(std::string_view(callback).substr(1500)));
  const auto reply = honest.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->code, 200u);
  // Nothing is held once all are gone.
  strangers.clear();
  honest.close();
  EXPECT_TRUE(eventually([&] { return server.held() == 0; }));
}

}  // namespace
}  // namespace postern::http
