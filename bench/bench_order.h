#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "core/money.h"
#include "simulate/plan.h"
#include "simulate/seeded_random.h"
#include "simulate/signer.h"

/// The order of each number that all bench tools agree on: one order, one payment, one callback.
namespace postern::bench {

inline constexpr std::string_view kAccount = "alipay";

[[nodiscard]] inline std::string order_number(std::uint64_t index) {
  return fmt::format("B{:09}", index);
}

[[nodiscard]] inline core::Money order_sum() {
  return core::Money::of(8888, core::Currency::parse("CNY").value());
}

[[nodiscard]] inline TimePoint paid_at(std::uint64_t index) {
  return TimePoint{std::chrono::seconds{1'767'578'400} + std::chrono::milliseconds{index}};
}

/// The signed callback that says that order `index` was paid; always the same bytes for the same
/// keys, since RSASSA-PKCS1-v1_5 is deterministic.
[[nodiscard]] inline Result<HttpRequest> order_callback(const simulate::Signer& signer,
                                                        std::uint64_t index) {
  simulate::SeededRandom random(index);
  const simulate::PaymentPlan plan{.number = order_number(index),
                                   .payment_id = signer.new_payment_id(paid_at(index), random),
                                   .sum = order_sum(),
                                   .paid_at = paid_at(index)};
  return signer.payment(plan, {.now = paid_at(index), .random = random});
}

}  // namespace postern::bench
