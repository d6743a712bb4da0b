#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/message.h"
#include "base/result.h"
#include "base/secret.h"
#include "core/money.h"
#include "core/order.h"
#include "http/client.h"

namespace postern::simulate {

/// An incident, as the admin API shows it.
struct IncidentView {
  std::string kind;
  std::string subject;
  std::string state;  ///< "open", "acknowledged" or "resolved"
};

/// An order, as the admin API shows it. Sums are minor units of its currency.
struct OrderView {
  std::string state;
  std::optional<std::int64_t> expected, paid, refunded;
  std::vector<std::string> events;  ///< their types, by sequence
  std::vector<IncidentView> incidents;
  std::size_t facts = 0;
  std::size_t callbacks = 0;  ///< kept with their evidence
  std::int64_t copies = 0;    ///< counted on top of those
};

/// Plays the merchant's software: registers orders through Postern's admin API and looks at them.
/// @errors of all calls: kRetryable as http::BlockingClient; kRejected api_refused (the detail
///   repeats what the API said), kFault api_not_understood
/// @thread one at a time
class Shop {
 public:
  struct Options {
    std::string host;
    std::uint16_t port = 8080;
    Secret api_key;
    std::chrono::milliseconds timeout{10'000};
  };
  /// One way in which an order may be paid.
  struct Attempt {
    std::string account;
    std::string number;
  };

  explicit Shop(Options options);

  /// Whether callbacks can be recorded now; false also where nobody answers.
  [[nodiscard]] bool is_ready();
  [[nodiscard]] Result<void> register_order(const std::string& merchant_order_id,
                                            const core::Money& expected,
                                            const std::vector<Attempt>& attempts);
  /// Nothing where no order has that number.
  [[nodiscard]] Result<std::optional<OrderView>> order(const std::string& merchant_order_id);
  /// The latest incidents of all orders, newest first.
  [[nodiscard]] Result<std::vector<IncidentView>> incidents();

 private:
  [[nodiscard]] Result<HttpResponse> send(std::string_view method, std::string target,
                                          std::string body);

  const Options options_;
  http::BlockingClient client_;
};

}  // namespace postern::simulate
