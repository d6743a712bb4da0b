#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "delivery/sink.h"
#include "delivery/webhook_signature.h"
#include "http/async_client.h"

namespace postern::delivery {

/// Whether events may be sent without TLS, which shows them to everyone on the way.
enum class InsecureHttp : unsigned char { kRefused, kAllowed };

struct WebhookOptions {
  std::string url;
  InsecureHttp insecure_http = InsecureHttp::kRefused;
  std::vector<Secret> secrets;  ///< as WebhookSigner::parse takes them
  std::string ca_file;          ///< PEM, trusted instead of the system's roots; empty: those
  std::vector<std::string> allow_networks;  ///< as AddressGuard::make takes them
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds exchange_timeout{15'000};
  std::size_t connections_max = 4;
  std::size_t queue_max = 256;
};

/// What WebhookSink::open would say of the URL and the networks. @errors as there
[[nodiscard]] Result<void> check_webhook_url(const WebhookOptions& options);

/// POSTs each message to one HTTP endpoint, signed as Standard Webhooks says.
///
/// | what happens | verdict | code |
/// |---|---|---|
/// | 2xx | delivered | the code |
/// | 410 | not delivered, `is_gone` | the code |
/// | 3xx, never followed | not delivered | redirect_refused |
/// | any other code | not delivered | the code |
/// | no connection, or it was lost before the request was out | not delivered | name_not_resolved,
///   resolver_busy, address_not_allowed, connect_failed, tls_failed, timed_out, connection_lost,
///   queue_full, shutting_down |
/// | no whole header after it was sent | unknown | timed_out, connection_lost,
///   response_malformed, shutting_down |
/// | it could not be signed | not delivered | signing_failed |
///
/// An answer counts by its header, as a consumer has decided when it sends it; of the body only the
/// excerpt is made.
///
/// Lifetime: `thread` and `clock` outlive it. Destroyed on any thread but inside `done`.
/// @source Standard Webhooks specification 1.0
class WebhookSink final : public Sink {
 public:
  /// @errors url_malformed, url_scheme_unsupported, url_not_secure, port_not_allowed,
  ///   address_not_allowed (of a URL with a numeric host), network_malformed,
  ///   webhook_secret_missing, webhook_secret_malformed, webhook_secrets_too_many,
  ///   ca_file_unreadable, tls_setup_failed
  [[nodiscard]] static Result<std::unique_ptr<WebhookSink>> open(WebhookOptions options,
                                                                 http::ClientThread& thread,
                                                                 const Clock& clock);
  ~WebhookSink() override;
  WebhookSink(const WebhookSink&) = delete;
  WebhookSink& operator=(const WebhookSink&) = delete;

  void send(Message message, std::move_only_function<void(Answer)> done) override;

 private:
  WebhookSink(std::string target, WebhookSigner signer, const Clock& clock,
              std::unique_ptr<http::AsyncClient> client);

  const std::string target_;
  const WebhookSigner signer_;
  const Clock& clock_;
  const std::unique_ptr<http::AsyncClient> client_;
};

/// How long Retry-After asks to wait: a number of seconds, or a date in any of HTTP's three forms
/// (zero where it has passed). Nothing where it is neither, or more than 366 days.
/// @source RFC 9110, sections 10.2.3 and 5.6.7
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view text,
                                                                         TimePoint now);

}  // namespace postern::delivery
