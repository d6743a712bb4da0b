#include "app/peer_config.h"

#include <fmt/format.h>

#include <optional>

namespace postern::app {
namespace {

[[nodiscard]] std::unexpected<Error> wrong(const Section& section, std::string_view key,
                                           std::string_view what_to_do) {
  return std::unexpected(section.wrong(key, what_to_do));
}

[[nodiscard]] Result<std::vector<Network>> read_networks(Section& section, std::string_view key) {
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> texts, section.texts(key));
  if (texts.empty() && section.has(key)) {
    return wrong(section, key, "it is empty; name a network, or leave the key out");
  }
  Result<std::vector<Network>> networks = Network::parse_all(texts);
  if (!networks) return wrong(section, key, networks.error().detail);
  return networks;
}

[[nodiscard]] Result<void> read_rate(Section& section, std::string_view key, double& target) {
  constexpr std::int64_t kMax = 1'000'000;
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::int64_t> value,
                           section.optional_integer(key, 1, kMax));
  if (value) target = static_cast<double>(*value);
  return {};
}

}  // namespace

Result<http::PeerRule> read_peer_rule(Section& section) {
  constexpr std::string_view kForms = R"(write "x-forwarded-for", "forwarded" or "proxy-protocol")";
  http::PeerRule rule;
  POSTERN_ASSIGN_OR_RETURN(rule.trusted_proxies, read_networks(section, "trusted_proxies"));
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> from,
                           section.optional_text("peer_from"));
  for (const Network& network : rule.trusted_proxies) {
    if (network.bits != 0) continue;
    return wrong(section, "trusted_proxies",
                 "a network of it is the whole world, so that everybody would say who he is; name "
                 "the proxies alone");
  }
  if (from && rule.trusted_proxies.empty()) {
    return wrong(section, "trusted_proxies",
                 R"(peer_from needs it: write the proxies' networks, such as ["10.0.0.0/8"])");
  }
  if (!from && rule.trusted_proxies.empty()) return rule;
  if (!from) {
    return wrong(section, "peer_from",
                 fmt::format("trusted_proxies needs it: {}, whichever they send", kForms));
  }
  if (*from == "x-forwarded-for") {
    rule.from = http::PeerFrom::kXForwardedFor;
  } else if (*from == "forwarded") {
    rule.from = http::PeerFrom::kForwarded;
  } else if (*from == "proxy-protocol") {
    rule.from = http::PeerFrom::kProxyProtocol;
  } else {
    return wrong(section, "peer_from", kForms);
  }
  return rule;
}

Result<ingest::StrangerBudget::Options> read_budget(Section& section) {
  ingest::StrangerBudget::Options budget;
  POSTERN_RETURN_IF_ERROR(
      read_rate(section, "failed_per_peer_per_s", budget.failed_per_peer.per_s));
  POSTERN_RETURN_IF_ERROR(
      read_rate(section, "failed_per_peer_burst", budget.failed_per_peer.burst));
  POSTERN_RETURN_IF_ERROR(read_rate(section, "failed_per_s", budget.failed.per_s));
  POSTERN_RETURN_IF_ERROR(read_rate(section, "failed_burst", budget.failed.burst));
  return budget;
}

Result<std::vector<Network>> read_allow_from(Section& section, const http::PeerRule& peers) {
  POSTERN_ASSIGN_OR_RETURN(std::vector<Network> allowed, read_networks(section, "allow_from"));
  for (const Network& network : allowed) {
    for (const Network& proxy : peers.trusted_proxies) {
      if (!network.overlaps(proxy)) continue;
      return wrong(section, "allow_from",
                   "a network of it holds trusted proxies; write where the platform calls from");
    }
  }
  return allowed;
}

}  // namespace postern::app
