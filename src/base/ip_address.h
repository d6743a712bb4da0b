#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern {

/// A numeric address. An IPv4 one uses the first four bytes, in network order.
struct IpAddress {
  enum class Family : unsigned char { kV4, kV6 };
  Family family = Family::kV4;
  std::array<unsigned char, 16> bytes{};

  /// Dotted decimal of four parts, or IPv6 without brackets and zone; nothing else.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);
  [[nodiscard]] std::string text() const;
  /// The IPv4 address that an IPv4-mapped one (::ffff:192.0.2.1) stands for; others as they are.
  [[nodiscard]] IpAddress unmapped() const;
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

/// Addresses that begin with the same bits: "10.1.0.0/16", "fd00:1::/48". Immutable value.
struct Network {
  static constexpr std::size_t kListMax = 64;

  IpAddress base;
  unsigned bits = 0;

  /// A network, or one address. Bits behind the prefix are zero.
  /// @errors network_malformed
  [[nodiscard]] static Result<Network> parse(std::string_view text);
  /// At most kListMax of them. @errors network_malformed
  [[nodiscard]] static Result<std::vector<Network>> parse_all(std::span<const std::string> texts);

  [[nodiscard]] bool contains(const IpAddress& address) const;
  /// Whether some address is in both.
  [[nodiscard]] bool overlaps(const Network& other) const;
  /// Whether it names one address.
  [[nodiscard]] bool is_one_address() const;
};

[[nodiscard]] bool is_in(std::span<const Network> networks, const IpAddress& address);

/// Who answers for `address` where strangers are counted: an IPv4 address itself, of an IPv6 one
/// its /64, since whoever has one address of that has them all.
[[nodiscard]] IpAddress party_of(const IpAddress& address);

}  // namespace postern
