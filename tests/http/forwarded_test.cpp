// Goal: the peer of a request is whom our own proxies name, and never whom a stranger names.
// Method: fields as proxies write them and as strangers would, against the peer written beside
// them; the proxies are 10.0.0.0/8 and fd00::/8.
#include "http/forwarded.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::http {
namespace {

struct Case {
  std::vector<std::string> lines;
  std::string peer;
};

[[nodiscard]] PeerRule rule(PeerFrom from) {
  return {
      .trusted_proxies = {Network::parse("10.0.0.0/8").value(), Network::parse("fd00::/8").value()},
      .from = from};
}

[[nodiscard]] std::string peer(PeerFrom from, std::string_view field, const Case& one,
                               std::string_view socket = "10.0.0.1") {
  Headers headers;
  for (const std::string& line : one.lines) headers.add(field, line);
  // These never count.
  headers.add("X-Real-IP", "198.51.100.99");
  headers.add("True-Client-IP", "198.51.100.99");
  return peer_of(rule(from), IpAddress::parse(socket).value(), headers).text();
}

TEST(Forwarded, WalksTheListFromTheRightWhileProxiesAreTrusted) {
  const std::vector<Case> cases = {
      {{}, "10.0.0.1"},
      {{"203.0.113.7"}, "203.0.113.7"},
      {{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},
      {{"198.51.100.1,203.0.113.7 ,\t10.0.0.2"}, "203.0.113.7"},
      {{"10.0.0.5, 203.0.113.7"}, "203.0.113.7"},
      {{"203.0.113.7, 10.0.0.3, fd00::1"}, "203.0.113.7"},
      {{"198.51.100.1", "203.0.113.7"}, "203.0.113.7"},
      {{"198.51.100.1", "203.0.113.7", "10.0.0.2, 10.0.0.3"}, "203.0.113.7"},
      {{"2001:db8::1"}, "2001:db8::1"},
      {{"[2001:db8::1]"}, "2001:db8::1"},
      {{"[2001:db8::1]:443"}, "2001:db8::1"},
      {{"203.0.113.7:56324"}, "203.0.113.7"},
      {{"::ffff:203.0.113.7"}, "203.0.113.7"},
      {{"203.0.113.7, ::ffff:10.0.0.2"}, "203.0.113.7"},
      {{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(peer(PeerFrom::kXForwardedFor, "x-forwarded-FOR", one), one.peer)
        << ::testing::PrintToString(one.lines);
  }
}

TEST(Forwarded, StopsAtTheLastTrustedProxyWhereTheListIsInDoubt) {
  for (const char* last : {"",
                           " ",
                           "unknown",
                           "_hidden",
                           "203.0.113.7 x",
                           "203.0.113.7:",
                           "203.0.113.7:123456",
                           "203.0.113.7:1a",
                           "203.0.113.256",
                           "203.0.113",
                           "[203.0.113.7]",
                           "[2001:db8::1",
                           "2001:db8::1]",
                           "[2001:db8::1]443",
                           "\"203.0.113.7\"",
                           "for=203.0.113.7",
                           "2001:db8::1%eth0",
                           "0",
                           "::g",
                           "203.0.113.7;10.0.0.1",
                           "localhost"}) {
    const Case one{{std::string("203.0.113.9, ") + last}, "10.0.0.1"};
    EXPECT_EQ(peer(PeerFrom::kXForwardedFor, "X-Forwarded-For", one), one.peer) << last;
    // Behind a second proxy that is trusted, it is that one.
    const Case two{{std::string("203.0.113.9, ") + last, "10.0.0.2"}, "10.0.0.2"};
    EXPECT_EQ(peer(PeerFrom::kXForwardedFor, "X-Forwarded-For", two), two.peer) << last;
  }
}

TEST(Forwarded, IsIgnoredFromAnUntrustedPeerAndWhereItWasNotChosen) {
  const Case one{{"203.0.113.7"}, ""};
  EXPECT_EQ(peer(PeerFrom::kXForwardedFor, "X-Forwarded-For", one, "192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(peer(PeerFrom::kForwarded, "X-Forwarded-For", one), "10.0.0.1");
  EXPECT_EQ(peer(PeerFrom::kProxyProtocol, "X-Forwarded-For", one), "10.0.0.1");
  EXPECT_EQ(peer(PeerFrom::kSocket, "X-Forwarded-For", one), "10.0.0.1");
  EXPECT_EQ(peer(PeerFrom::kXForwardedFor, "Forwarded", {{"for=203.0.113.7"}, ""}), "10.0.0.1");
}

TEST(Forwarded, LooksAtAHundredHopsAndNoMore) {
  for (const auto& [proxies, expected] :
       {std::pair<int, std::string>{99, "203.0.113.7"}, {100, "10.0.0.2"}, {5000, "10.0.0.2"}}) {
    std::string list = "203.0.113.7";
    std::string quoted = "for=203.0.113.7";
    for (int i = 0; i < proxies; ++i) {
      list += ",10.0.0.2";
      quoted += ",for=10.0.0.2";
    }
    EXPECT_EQ(peer(PeerFrom::kXForwardedFor, "X-Forwarded-For", {{list}, ""}), expected) << proxies;
    EXPECT_EQ(peer(PeerFrom::kForwarded, "Forwarded", {{quoted}, ""}), expected) << proxies;
  }
}

TEST(Forwarded, ReadsTheStandardField) {
  const std::vector<Case> cases = {
      {{"for=203.0.113.7"}, "203.0.113.7"},
      {{"For=\"203.0.113.7:4711\""}, "203.0.113.7"},
      {{"for=\"[2001:db8:cafe::17]:4711\""}, "2001:db8:cafe::17"},
      {{"for=\"[2001:db8:cafe::17]\""}, "2001:db8:cafe::17"},
      {{"for=\"203.0.113.7:_port\""}, "203.0.113.7"},
      {{"proto=https;by=10.0.0.2;FOR=203.0.113.7;host=pay.example"}, "203.0.113.7"},
      {{"for=198.51.100.1, for=203.0.113.7;by=\"a,b;for=192.0.2.1\""}, "203.0.113.7"},
      {{"for=198.51.100.1, for=203.0.113.7 , for=10.0.0.2"}, "203.0.113.7"},
      {{"for=198.51.100.1", "for=203.0.113.7;by=\"\\\"\"", "for=10.0.0.2"}, "203.0.113.7"},
      // A stranger's line that is broken is not reached.
      {{"for=\"", "for=203.0.113.7"}, "203.0.113.7"},
      {{"for=\"[::ffff:203.0.113.7]\""}, "203.0.113.7"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(peer(PeerFrom::kForwarded, "forwarded", one), one.peer)
        << ::testing::PrintToString(one.lines);
  }
}

TEST(Forwarded, StopsAtTheLastTrustedProxyWhereTheStandardFieldIsInDoubt) {
  for (const char* line :
       {"", "for", "for=", "for=unknown", "for=_hidden", "for=203.0.113.7:80", "for=2001:db8::1",
        "for=\"2001:db8::1\"", "for=[2001:db8::1]", "for=\"203.0.113.7", "for=203.0.113.7\"",
        "for=203.0.113.7;for=203.0.113.8", "for=203.0.113.7;for=203.0.113.8;for=203.0.113.9",
        "by=203.0.113.7", "for =203.0.113.7", "for= 203.0.113.7", "203.0.113.7",
        "for=203.0.113.7 for=203.0.113.8", "for=\" 203.0.113.7\"", "for=203.0.113.7,",
        // The quote swallows what a proxy added to the same line.
        "for=\"x, for=203.0.113.7", "for=203.0.113.7=", "for=203.0.113.7;\"a\"=b"}) {
    EXPECT_EQ(peer(PeerFrom::kForwarded, "Forwarded", {{line}, ""}), "10.0.0.1") << line;
  }
}

}  // namespace
}  // namespace postern::http
