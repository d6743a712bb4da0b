#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/message.h"

namespace postern::http {

/// Where a proxy says who called it.
enum class PeerFrom : unsigned char {
  kSocket,         ///< nowhere: the peer is the connection's other end
  kXForwardedFor,  ///< X-Forwarded-For
  kForwarded,      ///< Forwarded
  kProxyProtocol,  ///< before the first byte of each connection; see proxy_protocol.h
};

enum class Callers : unsigned char {
  kAnyone,
  kProxies,  ///< only trusted proxies may connect
};

/// Whose word on the peer counts. Other fields (X-Real-IP, True-Client-IP, ...) never do.
struct PeerRule {
  std::vector<Network> trusted_proxies;
  PeerFrom from = PeerFrom::kSocket;
  Callers callers = Callers::kAnyone;

  [[nodiscard]] bool trusts(const IpAddress& address) const {
    return is_in(trusted_proxies, address);
  }
};

/// More hops than this are not looked at.
inline constexpr std::size_t kHopsMax = 100;

/// The peer of a request: from the connection's other end leftwards over the field's elements, as
/// long as the hop at hand is a trusted proxy, whose own word the next element is. All lines of the
/// field count, in their order. What a stranger writes stands left of what our proxies add, so it
/// is never reached.
///
/// Anything in doubt (malformed, "unknown", an obfuscated identifier, too many hops) ends the walk
/// at the last trusted proxy: an allowlist does not have that one, so doubt does not pass it.
/// @param from  kXForwardedFor or kForwarded; otherwise the peer is `socket_peer`
/// @thread any; pure
/// @source RFC 7239, sections 4 to 6; X-Forwarded-For as HAProxy and nginx write it
[[nodiscard]] IpAddress peer_of(const PeerRule& rule, const IpAddress& socket_peer,
                                const Headers& headers);

/// The address of one element of X-Forwarded-For: "192.0.2.1", "192.0.2.1:80", "2001:db8::1",
/// "[2001:db8::1]", "[2001:db8::1]:80"; an IPv4-mapped one is IPv4.
[[nodiscard]] std::optional<IpAddress> forwarded_address(std::string_view element);

/// The addresses of one Forwarded line, rightmost last; an element that names none, or several, is
/// empty. Nothing where the line is not well-formed.
[[nodiscard]] std::optional<std::vector<std::optional<IpAddress>>> parse_forwarded(
    std::string_view line);

}  // namespace postern::http
