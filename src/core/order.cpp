#include "core/order.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>

namespace postern::core {
namespace {

/// A payment and what was said about it.
struct PaymentLine {
  const Fact* payment = nullptr;
  std::vector<const Fact*> refunds;  // single and cumulative
  std::vector<const Fact*> refund_failures;
  std::vector<const Fact*> disputes;
};

// A payment is known by (account, payment id): the platform numbers payments within an account.
using PaymentKey = std::pair<std::string_view, std::string_view>;

[[nodiscard]] bool acceptable(const Fact& payment, const std::optional<Money>& expected) {
  return payment.money && payment.money->minor() > 0 && (!expected || *payment.money == *expected);
}

[[nodiscard]] bool settles_before(const Fact& a, const Fact& b) {
  return std::tie(a.occurred_at, a.attempt.account, a.payment_id) <
         std::tie(b.occurred_at, b.attempt.account, b.payment_id);
}

[[nodiscard]] std::int64_t add_saturating(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

/// Rule 3. Refunds of another currency are set aside with a concern.
[[nodiscard]] Money refunded_of(const PaymentLine& line, std::vector<Concern>& concerns) {
  const Money paid = *line.payment->money;
  std::int64_t total = 0;
  std::int64_t sum = 0;
  for (const Fact* refund : line.refunds) {
    if (!refund->money || refund->money->currency() != paid.currency()) {
      concerns.push_back({IncidentKind::kRefundMismatch, subject(*refund)});
      continue;
    }
    if (refund->kind == FactKind::kRefundTotal) {
      total = std::max(total, refund->money->minor());
    } else {
      sum = add_saturating(sum, refund->money->minor());
    }
  }
  const std::int64_t refunded = std::max(total, sum);
  if (refunded > paid.minor()) {
    concerns.push_back({IncidentKind::kRefundAbovePaid, subject(*line.payment)});
  }
  return Money::of(std::min(refunded, paid.minor()), paid.currency());
}

/// Rule 4.
void note_failed_refunds(const PaymentLine& line, std::vector<Concern>& concerns) {
  for (const Fact* failure : line.refund_failures) {
    const bool succeeded = std::ranges::any_of(line.refunds, [&](const Fact* refund) {
      return refund->kind == FactKind::kRefund && refund->refund_id == failure->refund_id;
    });
    if (!succeeded) concerns.push_back({IncidentKind::kRefundFailed, subject(*failure)});
  }
}

/// Rule 7. A dispute's own state is its furthest: it opens, then is won or lost.
[[nodiscard]] DisputeState dispute_of(const PaymentLine& line) {
  std::map<std::string_view, const Fact*> latest;
  for (const Fact* fact : line.disputes) {
    const Fact*& known = latest[fact->dispute_id];
    const auto rank = [](const Fact& f) { return std::tie(f.occurred_at, f.dispute); };
    if (known == nullptr || rank(*known) < rank(*fact)) known = fact;
  }
  DisputeState state = DisputeState::kNone;
  const auto weight = [](DisputeState s) {
    constexpr int kWeights[] = {/*none*/ 0, /*open*/ 3, /*won*/ 1, /*lost*/ 2};
    return kWeights[static_cast<std::size_t>(s)];
  };
  for (const auto& [id, fact] : latest) {
    if (weight(fact->dispute) > weight(state)) state = fact->dispute;
  }
  return state;
}

/// Rule 6.
[[nodiscard]] OrderState unpaid_state(const Registration& registration,
                                      const std::set<AttemptKey>& closed,
                                      const std::set<AttemptKey>& failed) {
  bool any_closed = false;
  for (const AttemptKey& attempt : registration.attempts) {
    if (closed.contains(attempt)) {
      any_closed = true;
    } else if (!failed.contains(attempt)) {
      return OrderState::kAwaiting;
    }
  }
  if (registration.attempts.empty()) return OrderState::kAwaiting;
  return any_closed ? OrderState::kClosed : OrderState::kFailed;
}

[[nodiscard]] OrderState paid_state(const Money& paid, const Money& refunded) {
  if (refunded.minor() == 0) return OrderState::kPaid;
  return refunded == paid ? OrderState::kRefunded : OrderState::kPartiallyRefunded;
}

}  // namespace

bool operator==(const Order& a, const Order& b) {
  const auto settling_key = [](const Order& order) {
    return order.settled_by ? fact_key(*order.settled_by) : std::string();
  };
  return a.state == b.state && a.dispute == b.dispute && a.expected == b.expected &&
         a.paid == b.paid && a.refunded == b.refunded &&
         a.payments_accepted == b.payments_accepted && a.concerns == b.concerns &&
         settling_key(a) == settling_key(b);
}

Order fold(const Registration& registration, std::span<const Fact* const> facts) {
  std::map<PaymentKey, PaymentLine> lines;
  std::set<AttemptKey> closed;
  std::set<AttemptKey> failed;
  for (const Fact* fact : facts) {
    const PaymentKey key{fact->attempt.account.text(), fact->payment_id};
    switch (fact->kind) {
      case FactKind::kPayment:
        lines[key].payment = fact;
        break;
      case FactKind::kRefund:
      case FactKind::kRefundTotal:
        lines[key].refunds.push_back(fact);
        break;
      case FactKind::kRefundFailure:
        lines[key].refund_failures.push_back(fact);
        break;
      case FactKind::kDispute:
        lines[key].disputes.push_back(fact);
        break;
      case FactKind::kClose:
        closed.insert(fact->attempt);
        break;
      case FactKind::kFailure:
        failed.insert(fact->attempt);
        break;
    }
  }

  Order order;
  order.expected = registration.expected;
  const PaymentLine* settling = nullptr;
  for (const auto& [key, line] : lines) {
    note_failed_refunds(line, order.concerns);
    if (line.payment == nullptr) continue;
    if (!acceptable(*line.payment, registration.expected)) {
      order.concerns.push_back({IncidentKind::kAmountMismatch, subject(*line.payment)});
      continue;
    }
    ++order.payments_accepted;
    if (closed.contains(line.payment->attempt)) {
      order.concerns.push_back({IncidentKind::kPaidAfterClose, subject(*line.payment)});
    }
    if (settling == nullptr || settles_before(*line.payment, *settling->payment)) settling = &line;
  }
  for (const auto& [key, line] : lines) {
    if (line.payment == nullptr || !acceptable(*line.payment, registration.expected)) continue;
    const Money refunded = refunded_of(line, order.concerns);
    if (&line == settling) {
      order.paid = line.payment->money;
      order.refunded = refunded;
      order.settled_by = *line.payment;
    } else {
      order.concerns.push_back({IncidentKind::kDuplicatePayment, subject(*line.payment)});
    }
  }
  if (settling != nullptr) {
    order.state = paid_state(*order.paid, *order.refunded);
    order.dispute = dispute_of(*settling);
  } else {
    order.state = unpaid_state(registration, closed, failed);
  }
  std::ranges::sort(order.concerns);
  const auto repeated = std::ranges::unique(order.concerns);
  order.concerns.erase(repeated.begin(), repeated.end());
  return order;
}

std::string_view name(OrderState state) {
  switch (state) {
    case OrderState::kAwaiting:
      return "awaiting";
    case OrderState::kPaid:
      return "paid";
    case OrderState::kPartiallyRefunded:
      return "partially_refunded";
    case OrderState::kRefunded:
      return "refunded";
    case OrderState::kClosed:
      return "closed";
    case OrderState::kFailed:
      return "failed";
  }
  return "";
}

std::string_view name(IncidentKind kind) {
  switch (kind) {
    case IncidentKind::kAmountMismatch:
      return "amount_mismatch";
    case IncidentKind::kDuplicatePayment:
      return "duplicate_payment";
    case IncidentKind::kPaidAfterClose:
      return "paid_after_close";
    case IncidentKind::kRefundAbovePaid:
      return "refund_above_paid";
    case IncidentKind::kRefundMismatch:
      return "refund_mismatch";
    case IncidentKind::kRefundFailed:
      return "refund_failed";
    case IncidentKind::kUnknownOrder:
      return "unknown_order";
    case IncidentKind::kConflict:
      return "conflict";
    case IncidentKind::kIdentityMismatch:
      return "identity_mismatch";
    case IncidentKind::kPartLeftOut:
      return "part_left_out";
    case IncidentKind::kDeliveryDead:
      return "delivery_dead";
    case IncidentKind::kEndpointGone:
      return "endpoint_gone";
    case IncidentKind::kDiskLow:
      return "disk_low";
    case IncidentKind::kConfigurationRefused:
      return "configuration_refused";
    case IncidentKind::kKeyExpiring:
      return "key_expiring";
  }
  return "";
}

}  // namespace postern::core
