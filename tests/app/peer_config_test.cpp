// Goal: what the configuration says about callers is taken whole, or refused with the line.
// Method: the section of the server and of an account, with the keys in question set right and
// wrong.
#include "app/peer_config.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::app {
namespace {

const ConfigFile kFile{.name = "postern.toml", .folder = "/nowhere"};

/// "" where `text`, the lines of [server], is good; otherwise what is told.
std::string told_of_server(const std::string& text) {
  const toml::table table = toml::parse("[server]\n" + text);
  Section section(kFile, "server", table.get_as<toml::table>("server"));
  const auto rule = read_peer_rule(section);
  if (!rule) return rule.error().detail;
  const auto budget = read_budget(section);
  return budget ? "" : budget.error().detail;
}

std::string told_of_account(const std::string& text) {
  const toml::table table = toml::parse("[account.a]\n" + text);
  Section section(kFile, "account.a", table["account"]["a"].as_table());
  const http::PeerRule rule{.trusted_proxies = {Network::parse("10.0.0.0/8").value()},
                            .from = http::PeerFrom::kForwarded};
  const auto allowed = read_allow_from(section, rule);
  return allowed ? "" : allowed.error().detail;
}

TEST(PeerConfig, TakesEachPlaceThatNamesThePeer) {
  const std::string proxies = "trusted_proxies = [\"10.0.0.0/8\", \"fd00::1\"]\n";
  for (const char* from : {"x-forwarded-for", "forwarded", "proxy-protocol"}) {
    EXPECT_EQ(told_of_server(proxies + "peer_from = \"" + from + "\""), "") << from;
  }
  EXPECT_EQ(told_of_server(""), "");
  EXPECT_EQ(told_of_server("failed_per_peer_per_s = 1\nfailed_per_peer_burst = 2\n"
                           "failed_per_s = 3\nfailed_burst = 4\n"),
            "");
}

TEST(PeerConfig, RefusesHalfARule) {
  EXPECT_EQ(told_of_server("trusted_proxies = [\"10.0.0.0/8\"]")
                .find("postern.toml:1: [server] peer_from is missing"),
            0u);
  EXPECT_EQ(told_of_server("peer_from = \"forwarded\"")
                .find("postern.toml:1: [server] trusted_proxies is missing"),
            0u);
}

TEST(PeerConfig, NamesTheLineOfWhatIsWrong) {
  const std::string proxies = "trusted_proxies = [\"10.0.0.0/8\"]\n";
  for (const std::string& text : std::vector<std::string>{
           proxies + "peer_from = \"x-real-ip\"", proxies + "peer_from = \"X-Forwarded-For\"",
           "#\nfailed_per_s = 0", "#\nfailed_per_peer_burst = 1.5", "#\ntrusted_proxies = []",
           "#\ntrusted_proxies = [\"10.0.0.1/8\"]", "#\ntrusted_proxies = [\"0.0.0.0/0\"]",
           "#\ntrusted_proxies = [\"proxy.example\"]", "#\ntrusted_proxies = \"10.0.0.0/8\""}) {
    EXPECT_EQ(told_of_server(text).find("postern.toml:3: [server] "), 0u) << text << "\n"
                                                                          << told_of_server(text);
  }
}

TEST(PeerConfig, TakesAnAllowlistWithoutProxies) {
  EXPECT_EQ(told_of_account(""), "");
  EXPECT_EQ(told_of_account("allow_from = [\"203.0.113.0/24\", \"2001:db8::/32\", \"192.0.2.1\"]"),
            "");
  for (const char* list : {"[]", "[\"\"]", "[\"203.0.113.7/24\"]", "[\"10.1.2.3\"]",
                           "[\"0.0.0.0/0\"]", "\"203.0.113.0/24\"", "[1]"}) {
    EXPECT_EQ(told_of_account(std::string("allow_from = ") + list)
                  .find("postern.toml:2: [account.a] allow_from"),
              0u)
        << list << "\n"
        << told_of_account(std::string("allow_from = ") + list);
  }
}

}  // namespace
}  // namespace postern::app
