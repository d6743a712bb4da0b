#include "base/ip_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace postern {
namespace {

constexpr std::size_t kTextBytesMax = INET6_ADDRSTRLEN;
constexpr unsigned kPartyBitsV6 = 64;
constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

[[nodiscard]] unsigned bits_of(IpAddress::Family family) {
  return family == IpAddress::Family::kV4 ? 32 : 128;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  // inet_pton reads up to a zero byte, and what is behind it would not be looked at.
  std::array<char, kTextBytesMax> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::ranges::copy(text, terminated.begin());
  IpAddress result;
  if (::inet_pton(AF_INET, terminated.data(), result.bytes.data()) == 1) return result;
  result.family = Family::kV6;
  if (::inet_pton(AF_INET6, terminated.data(), result.bytes.data()) == 1) return result;
  return std::nullopt;
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const int af = family == Family::kV4 ? AF_INET : AF_INET6;
  const char* text = ::inet_ntop(af, bytes.data(), buffer.data(), buffer.size());
  return text == nullptr ? std::string() : std::string(text);
}

IpAddress IpAddress::unmapped() const {
  if (family == Family::kV4 || !std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
    return *this;
  }
  IpAddress v4;
  std::copy_n(bytes.begin() + kMapped.size(), 4, v4.bytes.begin());
  return v4;
}

Result<Network> Network::parse(std::string_view text) {
  const auto malformed = [&](std::string_view why) {
    return rejected(
        "network_malformed",
        fmt::format("'{}' {}; write a network as 10.1.0.0/16 or fd00:1::/48", text, why));
  };
  const std::size_t slash = text.find('/');
  const auto base = IpAddress::parse(text.substr(0, slash));
  if (!base) return malformed("does not begin with an address");
  // Peers are never in that form here, so nothing would ever be in it.
  if (base->unmapped().family != base->family) return malformed("is an IPv4 address in IPv6 form");
  Network network{*base, bits_of(base->family)};
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const char* end = digits.data() + digits.size();
    unsigned bits = 0;
    const auto [stop, error] = std::from_chars(digits.data(), end, bits);
    if (error != std::errc{} || stop != end || bits > network.bits) {
      return malformed("has no valid prefix length");
    }
    network.bits = bits;
  }
  for (unsigned bit = network.bits; bit < bits_of(base->family); ++bit) {
    if ((base->bytes[bit / 8] & (0x80U >> (bit % 8))) != 0) {
      return malformed("has bits set behind its prefix");
    }
  }
  return network;
}

Result<std::vector<Network>> Network::parse_all(std::span<const std::string> texts) {
  if (texts.size() > kListMax) {
    return rejected("network_malformed", fmt::format("at most {} networks", kListMax));
  }
  std::vector<Network> networks;
  for (const std::string& text : texts) {
    POSTERN_ASSIGN_OR_RETURN(Network network, parse(text));
    networks.push_back(network);
  }
  return networks;
}

bool Network::contains(const IpAddress& address) const {
  if (base.family != address.family) return false;
  const std::size_t whole = bits / 8;
  if (!std::equal(base.bytes.begin(), base.bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                  address.bytes.begin())) {
    return false;
  }
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const unsigned mask = 0xFFU << (8 - rest) & 0xFFU;
  return ((base.bytes[whole] ^ address.bytes[whole]) & mask) == 0;
}

bool Network::overlaps(const Network& other) const {
  return bits <= other.bits ? contains(other.base) : other.contains(base);
}

bool Network::is_one_address() const {
  return bits == bits_of(base.family);
}

bool is_in(std::span<const Network> networks, const IpAddress& address) {
  return std::ranges::any_of(networks,
                             [&](const Network& network) { return network.contains(address); });
}

IpAddress party_of(const IpAddress& address) {
  if (address.family == IpAddress::Family::kV4) return address;
  IpAddress party = address;
  std::fill(party.bytes.begin() + kPartyBitsV6 / 8, party.bytes.end(), 0);
  return party;
}

}  // namespace postern
