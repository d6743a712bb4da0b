#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "core/order.h"

namespace postern::core {

/// What the merchant is told. Published names never change.
enum class EventType : unsigned char {
  kPaid,
  kPartiallyRefunded,
  kRefunded,
  kRefundFailed,
  kClosed,
  kFailed,
  kDuplicatePayment,
  kDisputeOpened,
  kDisputeWon,
  kDisputeLost,
};

inline constexpr std::array kEventTypes = {EventType::kPaid,
                                           EventType::kPartiallyRefunded,
                                           EventType::kRefunded,
                                           EventType::kRefundFailed,
                                           EventType::kClosed,
                                           EventType::kFailed,
                                           EventType::kDuplicatePayment,
                                           EventType::kDisputeOpened,
                                           EventType::kDisputeWon,
                                           EventType::kDisputeLost};

/// "order.paid", ...
[[nodiscard]] std::string_view name(EventType type);

/// What one further fact changed, in the order to tell it. `kPaid` comes at most once in an order's
/// life, whatever happens to its payments later: it is what merchants fulfil on.
[[nodiscard]] std::vector<EventType> events_between(const Order& before, const Order& after);

}  // namespace postern::core
