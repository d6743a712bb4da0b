#pragma once

#include <chrono>
#include <string>

#include "core/fact.h"
#include "core/order.h"

namespace postern::core::testing {

[[nodiscard]] inline Money cny(std::int64_t minor) {
  return Money::of(minor, Currency::parse("CNY").value());
}
[[nodiscard]] inline Money usd(std::int64_t minor) {
  return Money::of(minor, Currency::parse("USD").value());
}
/// Seconds after a fixed day.
[[nodiscard]] inline TimePoint at(int seconds) {
  return TimePoint{std::chrono::seconds{1'767'578'400 + seconds}};
}
[[nodiscard]] inline AttemptKey attempt(std::string account = "alipay", std::string number = "T1") {
  return {AccountName::trusted(std::move(account)), "", std::move(number)};
}
[[nodiscard]] inline Fact payment(std::string id, std::int64_t minor, int second,
                                  AttemptKey key = attempt()) {
  return Fact::payment(std::move(key), std::move(id), cny(minor), at(second));
}
[[nodiscard]] inline Fact refund(std::string id, std::string refund_id, std::int64_t minor,
                                 AttemptKey key = attempt()) {
  return Fact::refund(std::move(key), std::move(id), std::move(refund_id), cny(minor), at(50));
}
[[nodiscard]] inline Fact refund_total(std::string id, std::int64_t minor,
                                       AttemptKey key = attempt()) {
  return Fact::refund_total(std::move(key), std::move(id), cny(minor), at(60));
}
[[nodiscard]] inline Fact dispute(std::string id, std::string dispute_id, DisputeState state,
                                  int second) {
  return Fact::dispute_change(attempt(), std::move(id), std::move(dispute_id), state, at(second));
}

[[nodiscard]] inline Registration expects(std::int64_t minor,
                                          std::vector<AttemptKey> attempts = {attempt()}) {
  return {.expected = cny(minor), .attempts = std::move(attempts)};
}

[[nodiscard]] inline Order fold_all(const Registration& registration,
                                    const std::vector<Fact>& facts) {
  std::vector<const Fact*> pointers;
  for (const Fact& fact : facts) pointers.push_back(&fact);
  return fold(registration, pointers);
}

[[nodiscard]] inline bool has(const Order& order, IncidentKind kind) {
  for (const Concern& concern : order.concerns) {
    if (concern.kind == kind) return true;
  }
  return false;
}

}  // namespace postern::core::testing
