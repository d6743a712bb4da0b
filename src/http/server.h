#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/message.h"
#include "base/metrics.h"
#include "base/result.h"
#include "http/forwarded.h"

namespace postern::http {

/// What one listener allows. Every limit has a metric and a defined behaviour when it is reached.
struct Limits {
  std::size_t header_bytes_max = 16 * 1024;  ///< above: 431 and close
  std::size_t header_fields_max = 100;       ///< above: 431 and close
  std::size_t target_bytes_max = 8192;       ///< above: 414 and close
  std::size_t body_bytes_max = 256 * 1024;   ///< above: 413 and close
  std::size_t connections_max = 4096;        ///< above: accepted and closed at once
  /// Of one IPv4 address or IPv6 /64. Above: accepted and closed at once. 0: no limit of its own.
  /// Connections of a trusted proxy count for whom it names, or for nobody.
  std::size_t connections_per_peer_max = 0;
  std::size_t requests_in_flight_max = 8192;  ///< above: 503
  /// Bytes of requests held by all connections, partial ones included. Above: 503 and close for a
  /// request that has more than kBytesFree of them.
  std::size_t bytes_held_max = 256UL * 1024 * 1024;
  /// What a connection may always hold, so that large bodies leave room for callbacks, which are
  /// smaller: the whole is at most bytes_held_max and this for every connection.
  static constexpr std::size_t kBytesFree = 32UL * 1024;
  // Deadlines are looked at four times a second, so each may be half a second late.
  /// First byte to end of header; with TLS also from the connection to the end of its handshake.
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds body_timeout{15'000};  ///< end of header to end of body
  std::chrono::milliseconds idle_timeout{60'000};  ///< between requests of one connection
  std::chrono::milliseconds write_timeout{10'000};

  friend bool operator==(const Limits&, const Limits&) = default;
};

class TlsServerContext;

struct ListenAddress {
  std::string host;        ///< numeric IPv4 or IPv6
  std::uint16_t port = 0;  ///< 0: any free port
};

/// "127.0.0.1:8080", "[::1]:0". @errors address_malformed
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);

/// An HTTP/1.1 listener, in plain text or under TLS, on threads of its own, each with its own
/// io_context and its own socket (SO_REUSEPORT); a connection stays on the thread that accepted it.
///
/// One request of a connection is handled at a time; the handler's answer may come from any thread.
/// Framing is strict: a request with both Content-Length and Transfer-Encoding, several or listed
/// Content-Lengths, a bare LF, a folded header line, or anything Beast refuses is answered with 400
/// and the connection closed.
///
/// Metrics: http_requests_total{listener, code_class}, http_connections{listener},
/// http_refused_total{listener, reason}. What is refused is logged as counts, at most one line for
/// each reason in ten seconds.
///
/// Lifetime: `handler`, `log` and `metrics` outlive the server; responders may be called until
/// `stop` has returned, and later calls do nothing.
class Server {
 public:
  struct Options {
    std::string name = "callback";  ///< label in logs and metrics
    ListenAddress address;
    Limits limits;
    unsigned threads = 1;
    std::shared_ptr<const TlsServerContext> tls = nullptr;  ///< nullptr: plain text
    PeerRule peers{};
  };
  /// Binds and starts. @errors address_in_use, address_not_available (with what to do next)
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(Options options, HttpHandler& handler,
                                                             Log& log, Metrics& metrics);
  /// Stops at once.
  ~Server();

  /// The port bound, also where 0 was asked for.
  [[nodiscard]] std::uint16_t port() const;
  /// Replaces the limits: counts and deadlines at once, sizes for connections that are accepted
  /// from now on. @thread any
  void set_limits(const Limits& limits);
  /// Stops accepting, lets requests already read be answered (with "Connection: close"), closes
  /// idle connections, and returns when all is done or `limit` has passed. @thread any but its own
  void drain(std::chrono::milliseconds limit);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::http
