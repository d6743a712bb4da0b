#include "core/event.h"

#include <algorithm>

namespace postern::core {
namespace {

[[nodiscard]] std::ptrdiff_t failed_refunds(const Order& order) {
  return std::ranges::count(order.concerns, IncidentKind::kRefundFailed, &Concern::kind);
}

}  // namespace

std::vector<EventType> events_between(const Order& before, const Order& after) {
  std::vector<EventType> events;
  if (!before.paid && after.paid) events.push_back(EventType::kPaid);
  if (before.paid && after.payments_accepted > before.payments_accepted) {
    events.push_back(EventType::kDuplicatePayment);
  }
  if (!after.paid && after.state != before.state) {
    if (after.state == OrderState::kClosed) events.push_back(EventType::kClosed);
    if (after.state == OrderState::kFailed) events.push_back(EventType::kFailed);
  }
  const std::int64_t refunded_before = before.refunded ? before.refunded->minor() : 0;
  const std::int64_t refunded_after = after.refunded ? after.refunded->minor() : 0;
  if (refunded_after > refunded_before) {
    events.push_back(after.state == OrderState::kRefunded ? EventType::kRefunded
                                                          : EventType::kPartiallyRefunded);
  }
  if (failed_refunds(after) > failed_refunds(before)) events.push_back(EventType::kRefundFailed);
  if (after.dispute != before.dispute) {
    switch (after.dispute) {
      case DisputeState::kNone:
        break;
      case DisputeState::kOpen:
        events.push_back(EventType::kDisputeOpened);
        break;
      case DisputeState::kWon:
        events.push_back(EventType::kDisputeWon);
        break;
      case DisputeState::kLost:
        events.push_back(EventType::kDisputeLost);
        break;
    }
  }
  return events;
}

std::string_view name(EventType type) {
  switch (type) {
    case EventType::kPaid:
      return "order.paid";
    case EventType::kPartiallyRefunded:
      return "order.partially_refunded";
    case EventType::kRefunded:
      return "order.refunded";
    case EventType::kRefundFailed:
      return "order.refund_failed";
    case EventType::kClosed:
      return "order.closed";
    case EventType::kFailed:
      return "order.failed";
    case EventType::kDuplicatePayment:
      return "order.duplicate_payment";
    case EventType::kDisputeOpened:
      return "order.dispute_opened";
    case EventType::kDisputeWon:
      return "order.dispute_won";
    case EventType::kDisputeLost:
      return "order.dispute_lost";
  }
  return "";
}

}  // namespace postern::core
