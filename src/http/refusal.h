#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace postern::http {

/// Why a connection or request was turned away before a handler saw it. The sender learns no more
/// than the code.
enum class Refusal : unsigned char {
  kFraming,             ///< 400: see framing.cpp, and what the parser refuses
  kTruncated,           ///< 400: the sender's side was closed in the middle of a request
  kHeaderTimeout,       ///< 408
  kBodyTimeout,         ///< 408
  kBodyTooLarge,        ///< 413
  kTargetTooLong,       ///< 414
  kExpectationUnknown,  ///< 417
  kHeaderTooLarge,      ///< 431
  kRequestsInFlight,    ///< 503
  kConnections,         ///< closed at once
  kConnectionsPerPeer,  ///< closed at once
  kDescriptors,         ///< left waiting: the process is out of file descriptors
  kBytesHeld,           ///< 503: requests hold as much memory as they may
  kNotAProxy,           ///< closed at once: only proxies may connect, and this peer is none
  kProxyHeader,         ///< closed: the PROXY header is malformed, cut or late
  kWriteTimeout,        ///< reset: the peer does not read its answer
  kTlsHandshake,        ///< TLS's own alert: no common version, no certificate, not TLS at all
};

inline constexpr std::size_t kRefusalCount = static_cast<std::size_t>(Refusal::kTlsHandshake) + 1;

/// The label of `http_refused_total` and of log lines.
[[nodiscard]] constexpr std::string_view refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::kFraming:
      return "framing";
    case Refusal::kTruncated:
      return "truncated";
    case Refusal::kHeaderTimeout:
      return "header_timeout";
    case Refusal::kBodyTimeout:
      return "body_timeout";
    case Refusal::kBodyTooLarge:
      return "body_too_large";
    case Refusal::kTargetTooLong:
      return "target_too_long";
    case Refusal::kExpectationUnknown:
      return "expectation_unknown";
    case Refusal::kHeaderTooLarge:
      return "header_too_large";
    case Refusal::kRequestsInFlight:
      return "requests_in_flight";
    case Refusal::kConnections:
      return "connections";
    case Refusal::kConnectionsPerPeer:
      return "connections_per_peer";
    case Refusal::kDescriptors:
      return "descriptors";
    case Refusal::kBytesHeld:
      return "bytes_held";
    case Refusal::kNotAProxy:
      return "not_a_proxy";
    case Refusal::kProxyHeader:
      return "proxy_header";
    case Refusal::kWriteTimeout:
      return "write_timeout";
    case Refusal::kTlsHandshake:
      return "tls_handshake";
  }
  return "unknown";
}

/// The answer's code; 0 where there is no answer.
[[nodiscard]] constexpr unsigned refusal_code(Refusal refusal) {
  switch (refusal) {
    case Refusal::kFraming:
    case Refusal::kTruncated:
      return 400;
    case Refusal::kHeaderTimeout:
    case Refusal::kBodyTimeout:
      return 408;
    case Refusal::kBodyTooLarge:
      return 413;
    case Refusal::kTargetTooLong:
      return 414;
    case Refusal::kExpectationUnknown:
      return 417;
    case Refusal::kHeaderTooLarge:
      return 431;
    case Refusal::kRequestsInFlight:
    case Refusal::kBytesHeld:
      return 503;
    case Refusal::kConnections:
    case Refusal::kConnectionsPerPeer:
    case Refusal::kDescriptors:
    case Refusal::kNotAProxy:
    case Refusal::kProxyHeader:
    case Refusal::kWriteTimeout:
    case Refusal::kTlsHandshake:
      return 0;
  }
  return 0;
}

}  // namespace postern::http
