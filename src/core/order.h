#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/fact.h"
#include "core/money.h"

namespace postern::core {

/// Names one merchant order: two merchants may both number theirs "1001".
struct OrderKey {
  MerchantName merchant;
  MerchantOrderId id;
  friend auto operator<=>(const OrderKey&, const OrderKey&) = default;
};

/// What is known of an order before anything happens to it.
struct Registration {
  /// What must be paid. Nothing where the order was created by its first fact (open orders): then
  /// no payment's sum is checked.
  std::optional<Money> expected;
  std::vector<AttemptKey> attempts;
};

enum class OrderState : unsigned char {
  kAwaiting,
  kPaid,
  kPartiallyRefunded,
  kRefunded,
  kClosed,
  kFailed,
};

/// What a person must look at. Raised by the fold, except where noted.
enum class IncidentKind : unsigned char {
  kAmountMismatch,        ///< a payment of another sum or currency: kept, without effect
  kDuplicatePayment,      ///< a second payment of a paid order
  kPaidAfterClose,        ///< a payment of an attempt that was closed
  kRefundAbovePaid,       ///< refunds of a payment exceed it
  kRefundMismatch,        ///< a refund in another currency than its payment: kept, without effect
  kRefundFailed,          ///< a refund failed and did not succeed later
  kUnknownOrder,          ///< by the ledger: a fact about an attempt nobody registered
  kConflict,              ///< by the ledger: two different facts under one key
  kIdentityMismatch,      ///< by ingest: genuinely signed, but for another's account
  kPartLeftOut,           ///< by ingest: a part of a combined callback is not ours, or malformed
  kDeliveryDead,          ///< by delivery: every try of the schedule failed
  kEndpointGone,          ///< by delivery: the endpoint said it takes nothing any more (410)
  kDiskLow,               ///< by the daemon: too little room to take callbacks
  kConfigurationRefused,  ///< by the daemon: a reload was refused, the old configuration runs on
  kKeyExpiring,           ///< by the daemon: a key ends soon, and none goes on after it
};

/// One reason to look, as the fold sees it: equal reasons are equal values.
struct Concern {
  IncidentKind kind;
  std::string subject;  ///< which payment or refund: "account/payment_id[/refund_id]"
  friend auto operator<=>(const Concern&, const Concern&) = default;
};

/// The order as its facts make it.
struct Order {
  OrderState state = OrderState::kAwaiting;
  DisputeState dispute = DisputeState::kNone;
  std::optional<Money> expected;
  std::optional<Money> paid;      ///< by the settling payment
  std::optional<Money> refunded;  ///< of the settling payment; zero where paid and not refunded
  std::optional<Fact> settled_by;
  std::size_t payments_accepted = 0;  ///< the settling one and its duplicates
  std::vector<Concern> concerns;      ///< sorted, each once
  friend bool operator==(const Order& a, const Order& b);
};

/// Folds the facts of all attempts of one order. Pure, and the same for every order of `facts`.
///
/// Rules (a test names each):
///  1. A payment counts if its sum and currency equal `expected` and it is above zero; otherwise it
///     is set aside with kAmountMismatch.
///  2. The settling payment is the least by (platform time, account, payment id); every other
///     accepted payment is kDuplicatePayment and never changes the state.
///  3. Refunds belong to one payment. A payment's refunded sum is the larger of its largest
///     cumulative total and the sum of its distinct single refunds, at most what was paid; what is
///     above raises kRefundAbovePaid. Refunds of a payment not (yet) known count zero.
///  4. A failed refund raises kRefundFailed unless the same refund also succeeded.
///  5. Paid outranks closed and failed; a payment of a closed attempt raises kPaidAfterClose.
///  6. An unpaid order is closed when all its attempts have ended and one of them by a close,
///     failed when all of them failed.
///  7. The dispute axis follows the settling payment's disputes: open if any is open, else lost,
///     else won.
///
/// @param facts  not null, distinct by fact_key (the ledger sees to that)
[[nodiscard]] Order fold(const Registration& registration, std::span<const Fact* const> facts);

[[nodiscard]] std::string_view name(OrderState state);
[[nodiscard]] std::string_view name(IncidentKind kind);

}  // namespace postern::core
