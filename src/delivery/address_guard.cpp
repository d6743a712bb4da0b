// Which addresses are not of the public Internet. The tables follow the IANA IPv4 and IPv6
// Special-Purpose Address Registries (RFC 6890) with multicast (RFC 5771) and class E (RFC 1112);
// metadata addresses follow the documentation of the clouds.

#include "delivery/address_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/check.h"

namespace postern::delivery {
namespace {

using Family = IpAddress::Family;

[[nodiscard]] IpAddress address(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  POSTERN_CHECK(parsed.has_value());
  return *parsed;
}

[[nodiscard]] bool is_metadata(const IpAddress& one) {
  static const std::array<Network, 7> kAddresses{{
      {address("169.254.169.254"), 32},  // AWS, Google, Azure, Tencent and most others
      {address("169.254.170.2"), 32},    // AWS containers
      {address("100.100.100.200"), 32},  // Alibaba Cloud
      {address("168.63.129.16"), 32},    // Azure's host, at an address that looks public
      {address("192.0.0.192"), 32},      // Oracle
      {address("fd00:ec2::254"), 128},   // AWS
      {address("fd20:ce::254"), 128},    // Google
  }};
  return is_in(kAddresses, one);
}

[[nodiscard]] bool is_special_v4(const IpAddress& one) {
  static const std::array<Network, 15> kBlocks{{
      {address("0.0.0.0"), 8},        // "this" network
      {address("10.0.0.0"), 8},       // private
      {address("100.64.0.0"), 10},    // shared by carriers
      {address("127.0.0.0"), 8},      // loopback
      {address("169.254.0.0"), 16},   // link-local
      {address("172.16.0.0"), 12},    // private
      {address("192.0.0.0"), 24},     // protocol assignments
      {address("192.0.2.0"), 24},     // documentation
      {address("192.88.99.0"), 24},   // 6to4 relay
      {address("192.168.0.0"), 16},   // private
      {address("198.18.0.0"), 15},    // benchmarking
      {address("198.51.100.0"), 24},  // documentation
      {address("203.0.113.0"), 24},   // documentation
      {address("224.0.0.0"), 4},      // multicast
      {address("240.0.0.0"), 4},      // class E and broadcast
  }};
  return is_in(kBlocks, one);
}

/// Within 2000::/3, which is all that is global today.
[[nodiscard]] bool is_special_v6(const IpAddress& one) {
  static const Network kGlobal{address("2000::"), 3};
  static const std::array<Network, 3> kBlocks{{
      {address("2001::"), 23},      // protocol assignments, Teredo among them
      {address("2001:db8::"), 32},  // documentation
      {address("3fff::"), 20},      // documentation
  }};
  return !kGlobal.contains(one) || is_in(kBlocks, one);
}

[[nodiscard]] IpAddress v4_at(const IpAddress& v6, std::size_t offset) {
  IpAddress v4;
  std::copy_n(v6.bytes.begin() + static_cast<std::ptrdiff_t>(offset), 4, v4.bytes.begin());
  return v4;
}

/// The IPv4 address that packets to `one` end up at, where it only stands for such a one.
[[nodiscard]] std::optional<IpAddress> embedded_v4(const IpAddress& one) {
  static const Network kMapped{address("::ffff:0:0"), 96};
  static const Network kNat64{address("64:ff9b::"), 96};
  static const Network k6to4{address("2002::"), 16};
  if (kMapped.contains(one)) return v4_at(one, 12);
  if (kNat64.contains(one)) return v4_at(one, 12);
  if (k6to4.contains(one)) return v4_at(one, 2);
  return std::nullopt;
}

[[nodiscard]] bool is_special(const IpAddress& one) {
  return one.family == Family::kV4 ? is_special_v4(one) : is_special_v6(one);
}

}  // namespace

Result<AddressGuard> AddressGuard::make(std::span<const std::string> allow_networks) {
  AddressGuard guard;
  POSTERN_ASSIGN_OR_RETURN(guard.allowed_, Network::parse_all(allow_networks));
  return guard;
}

bool AddressGuard::covers(const Network& network, const IpAddress& address) {
  return network.contains(address) && (!is_metadata(address) || network.is_one_address());
}

bool AddressGuard::is_allowed(const IpAddress& address) const {
  return std::ranges::any_of(allowed_,
                             [&](const Network& network) { return covers(network, address); });
}

Result<void> AddressGuard::check(const IpAddress& address) const {
  // What counts is where the packets end up.
  const auto embedded = address.family == Family::kV6 ? embedded_v4(address) : std::nullopt;
  const IpAddress& target = embedded ? *embedded : address;
  if (is_allowed(target)) return {};
  if (!is_special(target) && !is_metadata(target)) return {};
  return rejected("address_not_allowed",
                  fmt::format("{} is not a public address; if it is meant, add its network to "
                              "allow_networks",
                              address.text()));
}

}  // namespace postern::delivery
