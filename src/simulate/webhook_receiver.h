#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/message.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/secret.h"
#include "http/server.h"
#include "simulate/shop.h"

namespace postern::simulate {

/// What the shop knows of one order, from webhooks alone. Sums are minor units.
struct ToldOrder {
  std::map<std::int64_t, std::string> events;  ///< their types, by sequence
  std::string state;                           ///< as of the event of the highest sequence
  std::optional<std::int64_t> expected, paid, refunded;
};

/// Everything the shop was told.
struct Told {
  std::map<std::string, ToldOrder> orders;  ///< by merchant order id
  std::size_t events = 0;                   ///< taken, each counted once
  std::size_t repeats = 0;                  ///< genuine, and known by their webhook-id
  std::size_t refused = 0;                  ///< not genuine, or not understood
};

/// What differs between an order and what the shop was told of it; empty: they agree.
/// @param told  nullptr: the shop was told nothing
[[nodiscard]] std::vector<std::string> differences(const OrderView& order, const ToldOrder* told);

/// Plays the merchant's webhook on a loopback listener of its own. It knows nothing of Postern's
/// code for deliveries: signatures are verified from the Standard Webhooks specification, and an
/// event counts once by its webhook-id.
/// @thread start and the destructor on one; the rest any
class WebhookReceiver final : public HttpHandler {
 public:
  struct Options {
    Secret secret;         ///< "whsec_" + base64
    std::string lose_for;  ///< the first answer for this order is lost once it was taken
  };
  static constexpr std::chrono::seconds kTolerance{300};

  /// `clock` outlives it. @errors kRejected webhook_secret_malformed; those of http::Server::start
  [[nodiscard]] static Result<std::unique_ptr<WebhookReceiver>> start(Options options,
                                                                      const Clock& clock);
  ~WebhookReceiver() override;

  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  [[nodiscard]] Told told() const;
  void handle(HttpRequest request, Responder respond) override;

 private:
  WebhookReceiver(Secret key, std::string lose_for, const Clock& clock);
  [[nodiscard]] bool is_genuine(const HttpRequest& request) const;
  /// The code to answer with.
  [[nodiscard]] unsigned take(std::string_view id, std::string_view body);

  const Secret key_;
  const Clock& clock_;
  NullLog log_;
  NullMetrics metrics_;

  mutable std::mutex mutex_;
  Told told_;                   // guarded by mutex_
  std::set<std::string> seen_;  // guarded by mutex_
  std::string lose_for_;        // guarded by mutex_

  std::unique_ptr<http::Server> server_;  // last: it goes before what its threads use
};

}  // namespace postern::simulate
