#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/message.h"
#include "base/result.h"
#include "http/resolver.h"

namespace postern::http {

/// An absolute http:// or https:// URL, taken apart.
struct WebUrl {
  enum class Scheme : unsigned char { kHttp, kHttps };
  Scheme scheme = Scheme::kHttps;
  std::string host;  ///< name in lower case, or numeric address without brackets
  std::uint16_t port = 443;
  std::string target;  ///< path and query, at least "/"
  /// Refuses a user name, a fragment, and hosts that are neither a DNS name nor an address.
  /// @errors url_malformed, url_scheme_unsupported
  [[nodiscard]] static Result<WebUrl> parse(std::string_view text);
  /// What the field Host says: the port only where it is not the scheme's own.
  [[nodiscard]] std::string host_field() const;
};

/// One thread with its event loop, shared by any number of clients.
/// Lifetime: outlives its clients; `log` outlives it. @thread any but its own
class ClientThread {
 public:
  explicit ClientThread(Log& log, std::shared_ptr<Resolver> resolver = nullptr);
  ~ClientThread();
  ClientThread(const ClientThread&) = delete;
  ClientThread& operator=(const ClientThread&) = delete;

 private:
  friend class AsyncClient;
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

/// Why no answer came, and whether the other side can have taken the request all the same.
struct ClientFailure {
  enum class Reach : unsigned char {
    kNotSent,    ///< at least the request's last byte has never left: it cannot have been taken
    kMaybeSent,  ///< it may have been taken
  };
  Error error;
  Reach reach = Reach::kMaybeSent;
};
using ClientOutcome = std::expected<HttpResponse, ClientFailure>;

/// Sends requests to one origin over a few connections that are kept alive. One request at a time
/// on a connection; more wait in order.
///
/// A host name is resolved once for each new connection, every address found is shown to
/// `may_connect`, and the connection goes to one of exactly these: a name that changes its mind in
/// between changes nothing. One address that may not be used spoils the whole answer, since a name
/// that points inside and outside at once is up to no good.
///
/// TLS is 1.2 or newer with the certificate checked for the name or address in the URL (never its
/// common name) against the roots; there is no way to switch that off. Redirects are not followed.
///
/// A request is sent again, on a new connection and once, only where a kept connection broke before
/// the request's last byte had left.
///
/// @thread `send` and `run` any; `done` runs on the client's thread, or on the destroying one, and
/// must not throw, block or destroy the client
class AsyncClient {
 public:
  struct Options {
    WebUrl origin;  ///< its target is not used
    /// For name, connection and TLS together.
    std::chrono::milliseconds connect_timeout{5'000};
    /// From `send` to the end of the answer, with waiting for a connection.
    std::chrono::milliseconds exchange_timeout{15'000};
    std::chrono::milliseconds idle_timeout{30'000};  ///< a kept connection is closed after
    std::size_t connections_max = 4;
    std::size_t queue_max = 256;  ///< requests that wait for a connection
    std::string ca_file;          ///< PEM, trusted instead of the system's roots; empty: those
    /// Whether a connection may go to this address. Called on the client's thread.
    std::function<Result<void>(const IpAddress&)> may_connect;
  };
  using Done = std::move_only_function<void(ClientOutcome)>;
  /// Read of an answer, header included; the rest is not waited for.
  static constexpr std::size_t kResponseBytesMax = 64 * 1024;

  /// @errors kFault tls_setup_failed, ca_file_unreadable
  [[nodiscard]] static Result<std::unique_ptr<AsyncClient>> open(ClientThread& thread,
                                                                 Options options);
  /// Answers everything that is under way with `shutting_down`.
  ~AsyncClient();
  AsyncClient(const AsyncClient&) = delete;
  AsyncClient& operator=(const AsyncClient&) = delete;

  /// Host and Content-Length are added. An answer counts once its header is complete: where the
  /// body then breaks off, is too long or too slow, what has come of it is given.
  /// `done` is called exactly once.
  /// @errors kRetryable name_not_resolved, resolver_busy, connect_failed, tls_failed, timed_out,
  ///   connection_lost, response_malformed, queue_full, shutting_down, internal_error; what
  ///   `may_connect` says
  void send(HttpRequest request, Done done);
  /// Runs `task` on the client's thread, in order with what is sent. It must not throw or block.
  void run(std::move_only_function<void()> task);

 private:
  class Pool;
  AsyncClient(ClientThread::Impl& thread, std::shared_ptr<Pool> pool);
  ClientThread::Impl& thread_;
  const std::shared_ptr<Pool> pool_;
};

}  // namespace postern::http
