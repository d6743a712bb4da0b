#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "core/money.h"

namespace postern::simulate {

/// One payment as the platform knows it. Two messages made from the same plan speak of the same
/// payment, whenever they are sent.
struct PaymentPlan {
  std::string number;      ///< given to the platform by the merchant: its out_trade_no
  std::string payment_id;  ///< the platform's, from `Signer::new_payment_id`
  core::Money sum;
  TimePoint paid_at;
};

/// One refund of a payment.
struct RefundPlan {
  PaymentPlan payment;
  std::string number;     ///< given to the platform by the merchant: its out_refund_no
  std::string refund_id;  ///< the platform's, from `Signer::new_refund_id`
  core::Money sum;        ///< of this refund alone
  core::Money total;      ///< of all refunds of the payment so far, this one included
  TimePoint refunded_at;
};

/// One payment of several orders at once.
struct CombinedPlan {
  std::string number;  ///< of the whole: combine_out_trade_no
  std::vector<PaymentPlan> parts;
};

/// A trade that ended unpaid.
struct ClosePlan {
  std::string number;
  std::string payment_id;
  core::Money sum;
  TimePoint closed_at;
};

/// How a message is spoiled on purpose.
enum class Tamper : unsigned char {
  kNone,
  kAmount,       ///< the body is changed after signing
  kSignature,    ///< one bit of the signature is flipped
  kWrongKey,     ///< properly made, but signed with somebody else's key
  kStale,        ///< properly signed, ten minutes ago; WeChat Pay v3 only
  kOtherApp,     ///< properly signed, for another merchant's application
  kWrongAmount,  ///< properly signed, over another sum: one minor unit
};

/// The name used on the command line: "none", "amount", "signature", "wrong_key", ...
[[nodiscard]] std::string_view name(Tamper tamper);
/// @errors kRejected tamper_unknown
[[nodiscard]] Result<Tamper> parse_tamper(std::string_view text);

/// Whether a message spoiled so must be refused. kWrongAmount must not: it is genuine, so it is
/// acked, kept without effect, and raises an incident.
[[nodiscard]] bool must_be_refused(Tamper tamper);

/// The circumstances of sending: `random` outlives the call.
struct Sending {
  TimePoint now;
  Random& random;
  Tamper tamper = Tamper::kNone;
};

}  // namespace postern::simulate
