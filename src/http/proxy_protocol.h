#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/ip_address.h"

namespace postern::http {

/// What a connection begins with where a proxy speaks the PROXY protocol, version 1 or 2.
struct ProxyHeader {
  enum class Progress : unsigned char {
    kNeedMore,   ///< all bytes given belong to it, and more do
    kComplete,   ///< the first `size` bytes are it
    kMalformed,  ///< close the connection
  };
  Progress progress = Progress::kNeedMore;
  std::size_t size = 0;
  /// Who called the proxy. Nothing where it does not say so (a check of its own, UNKNOWN, a UNIX
  /// socket): then the peer is the proxy itself. IPv4-mapped is IPv4.
  std::optional<IpAddress> source;
};

/// Version 1 is a line of at most 107 bytes. @source proxy-protocol.txt, section 2.1
inline constexpr std::size_t kProxyLineBytesMax = 107;
/// The fixed part of version 2. @source section 2.2
inline constexpr std::size_t kProxyFixedBytes = 16;
/// Version 2 with all that follows the fixed part: addresses take 216 bytes at most, the rest is
/// for extensions, which are skipped. The protocol would allow 64 KiB.
inline constexpr std::size_t kProxyBytesMax = 4096;

/// Reads the header that `bytes`, the first ones of a connection, begin with. For a stream only:
/// a header for datagrams is malformed.
/// @thread any; pure
/// @source HAProxy, proxy-protocol.txt ("The PROXY protocol, versions 1 & 2"), sections 2.1, 2.2
[[nodiscard]] ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace postern::http
