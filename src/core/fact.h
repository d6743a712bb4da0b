#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/id.h"
#include "core/money.h"

namespace postern::core {

/// One way a merchant order may be paid: the number given to the platform, on one account.
struct AttemptKey {
  AccountName account;
  std::string sub_merchant;  ///< the platform's id of the sub-merchant; empty where there is none
  std::string number;        ///< the number given to the platform, such as its out_trade_no

  friend auto operator<=>(const AttemptKey&, const AttemptKey&) = default;
};

enum class FactKind : unsigned char {
  kPayment,        ///< the attempt was paid: payment_id, money, occurred_at
  kRefund,         ///< one refund went through: payment_id, refund_id, money (of this refund)
  kRefundTotal,    ///< all refunds of the payment so far: payment_id, money (cumulative)
  kRefundFailure,  ///< one refund failed or was closed: payment_id, refund_id, money if known
  kClose,          ///< the platform closed the attempt unpaid
  kFailure,        ///< the attempt failed
  kDispute,        ///< payment_id, dispute_id, dispute
};

enum class DisputeState : unsigned char { kNone, kOpen, kWon, kLost };

/// How we learned of it. Not part of what is stated: the same fact from two sources is one fact.
enum class FactSource : unsigned char { kCallback, kQuery, kBill, kOperator };

/// One verified statement about a merchant order. Fields that the kind does not name are empty.
struct Fact {
  FactKind kind = FactKind::kPayment;
  AttemptKey attempt;
  std::string payment_id;  ///< the platform's id of the payment
  std::string refund_id;   ///< the platform's (else the merchant's) id of the refund
  std::string dispute_id;
  std::optional<Money> money;
  DisputeState dispute = DisputeState::kNone;
  TimePoint occurred_at;  ///< the platform's time
  FactSource source = FactSource::kCallback;

  [[nodiscard]] static Fact payment(AttemptKey attempt, std::string payment_id, Money paid,
                                    TimePoint at);
  [[nodiscard]] static Fact refund(AttemptKey attempt, std::string payment_id,
                                   std::string refund_id, Money refunded, TimePoint at);
  [[nodiscard]] static Fact refund_total(AttemptKey attempt, std::string payment_id, Money total,
                                         TimePoint at);
  [[nodiscard]] static Fact refund_failure(AttemptKey attempt, std::string payment_id,
                                           std::string refund_id, std::optional<Money> refunded,
                                           TimePoint at);
  [[nodiscard]] static Fact close(AttemptKey attempt, TimePoint at);
  [[nodiscard]] static Fact failure(AttemptKey attempt, TimePoint at);
  [[nodiscard]] static Fact dispute_change(AttemptKey attempt, std::string payment_id,
                                           std::string dispute_id, DisputeState state,
                                           TimePoint at);
};

/// The unique key of a fact: which statement this is, whatever its sum, time or source. A payment's
/// key leaves out its state, so that Alipay's TRADE_SUCCESS and TRADE_FINISHED are one payment.
[[nodiscard]] std::string fact_key(const Fact& fact);

/// Whether two facts under the same key say different things: another attempt, sum or currency.
[[nodiscard]] bool conflict(const Fact& kept, const Fact& other);

/// Which payment or refund a fact is about, for people: "account/payment_id[/refund_id]", or the
/// attempt's number where there is no payment.
[[nodiscard]] std::string subject(const Fact& fact);

[[nodiscard]] std::string_view name(FactKind kind);
[[nodiscard]] std::string_view name(FactSource source);
[[nodiscard]] std::string_view name(DisputeState state);

}  // namespace postern::core
