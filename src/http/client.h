#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/message.h"
#include "base/result.h"

namespace postern::http {

/// An absolute http:// URL, taken apart. `host` is a name or numeric address without brackets.
struct Url {
  std::string host;
  std::uint16_t port = 80;
  std::string target;  ///< path and query, at least "/"
  /// @errors url_malformed, url_scheme_unsupported
  [[nodiscard]] static Result<Url> parse(std::string_view text);
};

/// A blocking HTTP/1.1 connection that is kept alive and reopened when it was closed: for commands
/// and simulators, not for the daemon. @thread one at a time
class BlockingClient {
 public:
  BlockingClient(std::string host, std::uint16_t port, std::chrono::milliseconds timeout);
  ~BlockingClient();
  BlockingClient(const BlockingClient&) = delete;
  BlockingClient& operator=(const BlockingClient&) = delete;

  /// Sends `request` (Host and Content-Length are added) and reads the answer, at most 16 MiB.
  /// A request on a kept connection that turns out closed before any byte of the answer is sent
  /// once more on a new one.
  /// @errors kRetryable connect_failed, connection_lost, timed_out, response_malformed
  [[nodiscard]] Result<HttpResponse> send(const HttpRequest& request);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::http
