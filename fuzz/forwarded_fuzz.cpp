// Property: whatever a stranger writes into the field, what a trusted proxy adds on the right, in
// a line of its own, names the peer; in the stranger's own line, the peer is that one or the proxy.
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/require.h"
#include "http/forwarded.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.find_first_of("\r\n") != std::string_view::npos) return 0;
  static const IpAddress proxy = IpAddress::parse("10.0.0.1").value();
  static const IpAddress stranger = IpAddress::parse("203.0.113.7").value();
  for (const http::PeerFrom from : {http::PeerFrom::kXForwardedFor, http::PeerFrom::kForwarded}) {
    const bool is_list = from == http::PeerFrom::kXForwardedFor;
    const http::PeerRule rule{.trusted_proxies = {Network::parse("10.0.0.1").value()},
                              .from = from};
    const std::string_view field = is_list ? "X-Forwarded-For" : "Forwarded";
    const std::string added = is_list ? "203.0.113.7" : "for=203.0.113.7";
    Headers lines;
    lines.add(field, bytes);
    lines.add(field, added);
    POSTERN_REQUIRE(http::peer_of(rule, proxy, lines) == stranger);
    Headers line;
    line.add(field, std::string(bytes) + ", " + added);
    const IpAddress peer = http::peer_of(rule, proxy, line);
    POSTERN_REQUIRE(peer == stranger || (!is_list && peer == proxy));
    Headers alone;
    alone.add(field, bytes);
    static_cast<void>(http::peer_of(rule, proxy, alone));
    POSTERN_REQUIRE(http::peer_of(rule, stranger, alone) == stranger);
  }
  return 0;
}
