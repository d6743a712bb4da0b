#include "http/listener.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace postern::http {

Listener::Listener(Server::Options options, HttpHandler& handler, Log& log, Metrics& metrics)
    : options_(std::move(options)),
      limits_(&options_.limits),
      handler_(handler),
      log_(log),
      connections_gauge_(metrics.gauge("http_connections", "Open connections of a listener.",
                                       {{"listener", options_.name}})),
      bytes_gauge_(metrics.gauge("http_bytes_held", "Bytes of requests that a listener holds.",
                                 {{"listener", options_.name}})),
      in_flight_(std::make_shared<std::atomic<std::size_t>>(0)) {
  static constexpr std::array<std::string_view, 6> kClasses = {"other", "1xx", "2xx",
                                                               "3xx",   "4xx", "5xx"};
  for (std::size_t i = 0; i < kClasses.size(); ++i) {
    replies_[i] = &metrics.counter("http_requests_total", "Requests answered, by class of code.",
                                   {{"listener", options_.name}, {"code_class", kClasses[i]}});
  }
  for (std::size_t i = 0; i < kRefusalCount; ++i) {
    refused_[i].counter = &metrics.counter(
        "http_refused_total", "Requests and connections turned away before a handler saw them.",
        {{"listener", options_.name}, {"reason", refusal_name(static_cast<Refusal>(i))}});
  }
}

bool Listener::admit(const IpAddress& peer) {
  const bool is_for_proxies =
      peers().from == PeerFrom::kProxyProtocol || peers().callers == Callers::kProxies;
  if (is_for_proxies && !peers().trusts(peer)) {
    count_refused(Refusal::kNotAProxy);
    return false;
  }
  if (connections_.fetch_add(1, std::memory_order_relaxed) >= limits().connections_max) {
    connections_.fetch_sub(1, std::memory_order_relaxed);
    count_refused(Refusal::kConnections);
    return false;
  }
  if (admit_named(peer)) return true;
  connections_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

bool Listener::admit_named(const IpAddress& peer) {
  if (peers().trusts(peer)) return true;
  {
    // Counted even where there is no limit: one may be set while they are open.
    const std::size_t max = limits().connections_per_peer_max;
    const std::lock_guard lock(mutex_);
    std::size_t& count = connections_by_peer_[party_of(peer)];
    if (max == 0 || count < max) {
      ++count;
      return true;
    }
  }
  count_refused(Refusal::kConnectionsPerPeer);
  return false;
}

void Listener::release(const IpAddress& peer) {
  connections_.fetch_sub(1, std::memory_order_relaxed);
  if (peers().trusts(peer)) return;
  const std::lock_guard lock(mutex_);
  const auto entry = connections_by_peer_.find(party_of(peer));
  if (entry != connections_by_peer_.end() && --entry->second == 0) {
    connections_by_peer_.erase(entry);
  }
}

void Listener::set_limits(const Limits& limits) {
  const std::lock_guard lock(mutex_);
  auto known = std::ranges::find(known_limits_, limits);
  if (known == known_limits_.end()) known = known_limits_.insert(known, limits);
  limits_.store(&*known, std::memory_order_release);
}

void Listener::log_refused() {
  for (std::size_t i = 0; i < kRefusalCount; ++i) {
    const std::int64_t count = refused_[i].unlogged.exchange(0, std::memory_order_relaxed);
    if (count == 0) continue;
    if (static_cast<Refusal>(i) == Refusal::kTlsHandshake) {
      log_.warning("http_refused", {{"listener", options_.name},
                                    {"reason", refusal_name(Refusal::kTlsHandshake)},
                                    {"count", count},
                                    {"last", handshake_failure_.load(std::memory_order_relaxed)}});
      continue;
    }
    log_.warning("http_refused", {{"listener", options_.name},
                                  {"reason", refusal_name(static_cast<Refusal>(i))},
                                  {"count", count}});
  }
}

}  // namespace postern::http
