// The PROXY protocol (HAProxy, proxy-protocol.txt).
//
// Version 1, section 2.1:
//   PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 CR LF     (or TCP6, or UNKNOWN and anything)
// Version 2, section 2.2:
//   12 bytes of signature | version 2 and command | family and protocol | length, 16 bits |
//   addresses | extensions: type, length (16 bits), value

#include "http/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace postern::http {
namespace {

using Progress = ProxyHeader::Progress;
using Family = IpAddress::Family;

constexpr std::string_view kLineBegin = "PROXY ";
constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kExtensionHead = 3;

constexpr unsigned char kVersion2 = 0x20;
constexpr unsigned char kLocal = 0x0;
constexpr unsigned char kProxy = 0x1;

constexpr unsigned char kUnspecified = 0x00;
constexpr unsigned char kTcp4 = 0x11;
constexpr unsigned char kTcp6 = 0x21;
constexpr unsigned char kUnixStream = 0x31;

constexpr std::size_t kAddressesTcp4 = 12;
constexpr std::size_t kAddressesTcp6 = 36;
constexpr std::size_t kAddressesUnix = 216;

[[nodiscard]] ProxyHeader malformed() {
  return {.progress = Progress::kMalformed};
}

[[nodiscard]] std::size_t byte_at(std::string_view bytes, std::size_t index) {
  return static_cast<unsigned char>(bytes[index]);
}

[[nodiscard]] std::size_t length_at(std::string_view bytes, std::size_t index) {
  return byte_at(bytes, index) << 8 | byte_at(bytes, index + 1);
}

[[nodiscard]] bool is_port(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return false;
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && stop == end;
}

/// What stands between "PROXY " and the end of the line.
[[nodiscard]] ProxyHeader parse_line(std::string_view text, std::size_t size) {
  if (text == "UNKNOWN" || text.starts_with("UNKNOWN ")) {
    return {.progress = Progress::kComplete, .size = size, .source = {}};
  }
  // Family, source, destination and two ports, with one blank between any two.
  std::array<std::string_view, 5> words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::size_t blank = text.find(' ');
    const bool is_last = i + 1 == words.size();
    if (is_last != (blank == std::string_view::npos)) return malformed();
    words[i] = text.substr(0, blank);
    if (!is_last) text.remove_prefix(blank + 1);
  }
  const bool is_v4 = words[0] == "TCP4";
  if (!is_v4 && words[0] != "TCP6") return malformed();
  const Family family = is_v4 ? Family::kV4 : Family::kV6;
  const auto source = IpAddress::parse(words[1]);
  const auto destination = IpAddress::parse(words[2]);
  if (!source || source->family != family) return malformed();
  if (!destination || destination->family != family) return malformed();
  if (!is_port(words[3]) || !is_port(words[4])) return malformed();
  return {.progress = Progress::kComplete, .size = size, .source = source->unmapped()};
}

[[nodiscard]] ProxyHeader parse_version_1(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, kProxyLineBytesMax);
  const std::size_t end = line.find('\n');
  if (end == std::string_view::npos) {
    return line.size() < kProxyLineBytesMax ? ProxyHeader{} : malformed();
  }
  if (line[end - 1] != '\r') return malformed();
  return parse_line(line.substr(kLineBegin.size(), end - 1 - kLineBegin.size()), end + 1);
}

/// Whether `bytes` are whole extensions.
[[nodiscard]] bool are_extensions(std::string_view bytes) {
  while (!bytes.empty()) {
    if (bytes.size() < kExtensionHead) return false;
    const std::size_t size = kExtensionHead + length_at(bytes, 1);
    if (size > bytes.size()) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

[[nodiscard]] IpAddress address_at(std::string_view bytes, Family family) {
  IpAddress address{.family = family, .bytes = {}};
  const std::size_t size = family == Family::kV4 ? 4 : 16;
  std::transform(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size),
                 address.bytes.begin(), [](char c) { return static_cast<unsigned char>(c); });
  return address.unmapped();
}

/// @param rest  what follows the fixed part, all of it
[[nodiscard]] ProxyHeader parse_addresses(std::size_t family, std::string_view rest,
                                          std::size_t size) {
  ProxyHeader header{.progress = Progress::kComplete, .size = size, .source = {}};
  std::size_t addresses = 0;
  if (family == kUnspecified) return header;  // what follows has no known form
  if (family == kTcp4) {
    addresses = kAddressesTcp4;
  } else if (family == kTcp6) {
    addresses = kAddressesTcp6;
  } else if (family == kUnixStream) {
    addresses = kAddressesUnix;
  } else {
    return malformed();
  }
  if (rest.size() < addresses || !are_extensions(rest.substr(addresses))) return malformed();
  if (family == kTcp4) header.source = address_at(rest, Family::kV4);
  if (family == kTcp6) header.source = address_at(rest, Family::kV6);
  return header;
}

[[nodiscard]] ProxyHeader parse_version_2(std::string_view bytes) {
  if (bytes.size() < kProxyFixedBytes) return {};
  const std::size_t version_and_command = byte_at(bytes, 12);
  const std::size_t size = kProxyFixedBytes + length_at(bytes, 14);
  if ((version_and_command & 0xF0U) != kVersion2 || size > kProxyBytesMax) return malformed();
  const std::size_t command = version_and_command & 0x0FU;
  if (command != kLocal && command != kProxy) return malformed();
  if (bytes.size() < size) return {};
  // A connection of the proxy's own, such as a check: whatever follows is skipped.
  if (command == kLocal) return {.progress = Progress::kComplete, .size = size, .source = {}};
  return parse_addresses(byte_at(bytes, 13),
                         bytes.substr(kProxyFixedBytes, size - kProxyFixedBytes), size);
}

/// Whether `bytes` begin with `beginning`, or may do so once there are more of them.
[[nodiscard]] bool may_begin_with(std::string_view bytes, std::string_view beginning) {
  const std::size_t size = std::min(bytes.size(), beginning.size());
  return bytes.substr(0, size) == beginning.substr(0, size);
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
  if (may_begin_with(bytes, kSignature)) {
    return bytes.size() < kSignature.size() ? ProxyHeader{} : parse_version_2(bytes);
  }
  if (may_begin_with(bytes, kLineBegin)) {
    return bytes.size() < kLineBegin.size() ? ProxyHeader{} : parse_version_1(bytes);
  }
  return malformed();
}

}  // namespace postern::http
