#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"

namespace postern::delivery {

/// Decides which addresses an endpoint may be reached at, so that a URL cannot be used to reach
/// into the network Postern stands in. Refused, unless a network allowed here covers them:
///
/// - of IPv4 everything the IANA special-purpose registry does not call global: "this" network,
///   private, shared (CGNAT), loopback, link-local, documentation, benchmarking, relay; and
///   multicast, class E and broadcast
/// - of IPv6 everything outside 2000::/3; in it documentation, Teredo and other protocol
///   assignments
/// - IPv6 addresses that stand for an IPv4 one (mapped, NAT64, 6to4), where that one is refused
/// - the metadata services of clouds, also those at addresses that look public; these need a
/// network
///   that names the one address ("169.254.169.254/32"), a larger one does not cover them
///
/// Immutable value. @thread any
/// @source RFC 6890 with the IANA IPv4 and IPv6 special-purpose address registries; RFC 6052
/// (NAT64), RFC 3056 (6to4)
class AddressGuard {
 public:
  /// @param allow_networks  "10.1.0.0/16", "fd00:1::/48" or one address; bits behind the prefix are
  ///   zero. "127.0.0.0/8" covers ::ffff:127.0.0.1 as well
  /// @errors network_malformed
  [[nodiscard]] static Result<AddressGuard> make(std::span<const std::string> allow_networks);

  /// @errors address_not_allowed
  [[nodiscard]] Result<void> check(const IpAddress& address) const;

 private:
  [[nodiscard]] static bool covers(const Network& network, const IpAddress& address);
  [[nodiscard]] bool is_allowed(const IpAddress& address) const;

  std::vector<Network> allowed_;
};

}  // namespace postern::delivery
