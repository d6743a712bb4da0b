#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "admin/present.h"
#include "base/clock.h"
#include "base/current.h"
#include "base/result.h"
#include "base/secret.h"
#include "store/store.h"

namespace postern::admin {

/// How long a plan may be carried out.
inline constexpr std::chrono::hours kPlanLifetime{1};

/// What is going to be retried, as the operator has seen it: those that match the filter, up to the
/// largest id there was. It travels as a token, so that nothing is kept between the requests.
struct RetryPlan {
  /// With a state; `after` is how far it has been carried out, `until` where it ends.
  store::DeliveryFilter filter;
  std::int64_t planned = 0;
  std::int64_t retried = 0;
  TimePoint made_at;
  TimePoint due_from;  ///< of the next one
};

/// Reads the body that asks for a plan; every member is optional:
///
///   {"endpoint": "shop", "state": "dead", "event": "order.paid", "account": "alipay",
///    "from": "2026-11-23T00:00:00Z", "to": "...", "order": "ord_k3f9a2_17"}
///
/// The state is "dead" where it is not said. @errors kRejected request_malformed
[[nodiscard]] Result<store::DeliveryFilter> parse_retry_filter(const boost::json::object& body,
                                                               const Presenter& presenter);

/// The filter as it was asked for.
[[nodiscard]] std::string describe(const store::DeliveryFilter& filter);

/// Makes and opens tokens: JSON and a MAC under the admin key, so that only what was shown as a
/// plan of this store is carried out: its ids mean something else in another one. @thread any
class PlanSeal {
 public:
  explicit PlanSeal(Secret key) : key_(std::move(key)) {}

  /// Another key: plans made under the old one hold no more. @thread any
  void set_key(Secret key) { key_.set(std::move(key)); }

  [[nodiscard]] Result<std::string> seal(const RetryPlan& plan, const Presenter& presenter) const;
  /// @errors kRejected plan_malformed, plan_expired
  [[nodiscard]] Result<RetryPlan> open(std::string_view token, const Presenter& presenter,
                                       TimePoint now) const;

 private:
  [[nodiscard]] Result<std::string> mac(std::string_view text, const Presenter& presenter) const;

  Current<Secret> key_;
};

}  // namespace postern::admin
