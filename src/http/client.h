#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/message.h"
#include "base/result.h"
#include "base/secret.h"

namespace postern::http {

/// An absolute http:// URL, taken apart. `host` is a name or numeric address without brackets.
struct Url {
  std::string host;
  std::uint16_t port = 80;
  std::string target;  ///< path and query, at least "/"
  /// @errors url_malformed, url_scheme_unsupported
  [[nodiscard]] static Result<Url> parse(std::string_view text);
};

/// How a client knows a TLS server that it was told about, and is known to it. All PEM.
struct ClientTls {
  /// What the server was configured with, its own certificate first. Trusted is who holds that
  /// one's key; and who shows another with one of its DNS names, from one of the issuers that
  /// follow it here or from a public authority.
  std::string server_certificates;
  std::string own_certificates;  ///< shown where the server asks; empty: none
  Secret own_private_key;
};

/// A blocking HTTP/1.1 connection that is kept alive and reopened when it was closed: for commands
/// and simulators, not for the daemon. @thread one at a time
class BlockingClient {
 public:
  /// @param tls  nothing: plain text
  BlockingClient(std::string host, std::uint16_t port, std::chrono::milliseconds timeout,
                 std::optional<ClientTls> tls = std::nullopt);
  ~BlockingClient();
  BlockingClient(const BlockingClient&) = delete;
  BlockingClient& operator=(const BlockingClient&) = delete;

  /// Sends `request` (Host and Content-Length are added) and reads the answer, at most 16 MiB.
  /// A request on a kept connection that turns out closed before any byte of the answer is sent
  /// once more on a new one.
  /// @errors kRetryable connect_failed, connection_lost, timed_out, response_malformed;
  ///   kRejected tls_failed; kFault those of the client's own certificate
  [[nodiscard]] Result<HttpResponse> send(const HttpRequest& request);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::http
