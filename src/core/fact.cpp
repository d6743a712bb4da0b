#include "core/fact.h"

namespace postern::core {
namespace {

[[nodiscard]] Fact make(FactKind kind, AttemptKey attempt, std::string payment_id, TimePoint at) {
  return Fact{.kind = kind,
              .attempt = std::move(attempt),
              .payment_id = std::move(payment_id),
              .refund_id = {},
              .dispute_id = {},
              .money = std::nullopt,
              .occurred_at = at};
}

}  // namespace

Fact Fact::payment(AttemptKey attempt, std::string payment_id, Money paid, TimePoint at) {
  Fact fact = make(FactKind::kPayment, std::move(attempt), std::move(payment_id), at);
  fact.money = paid;
  return fact;
}

Fact Fact::refund(AttemptKey attempt, std::string payment_id, std::string refund_id, Money refunded,
                  TimePoint at) {
  Fact fact = make(FactKind::kRefund, std::move(attempt), std::move(payment_id), at);
  fact.refund_id = std::move(refund_id);
  fact.money = refunded;
  return fact;
}

Fact Fact::refund_total(AttemptKey attempt, std::string payment_id, Money total, TimePoint at) {
  Fact fact = make(FactKind::kRefundTotal, std::move(attempt), std::move(payment_id), at);
  fact.money = total;
  return fact;
}

Fact Fact::refund_failure(AttemptKey attempt, std::string payment_id, std::string refund_id,
                          std::optional<Money> refunded, TimePoint at) {
  Fact fact = make(FactKind::kRefundFailure, std::move(attempt), std::move(payment_id), at);
  fact.refund_id = std::move(refund_id);
  fact.money = refunded;
  return fact;
}

Fact Fact::close(AttemptKey attempt, TimePoint at) {
  return make(FactKind::kClose, std::move(attempt), {}, at);
}

Fact Fact::failure(AttemptKey attempt, TimePoint at) {
  return make(FactKind::kFailure, std::move(attempt), {}, at);
}

Fact Fact::dispute_change(AttemptKey attempt, std::string payment_id, std::string dispute_id,
                          DisputeState state, TimePoint at) {
  Fact fact = make(FactKind::kDispute, std::move(attempt), std::move(payment_id), at);
  fact.dispute_id = std::move(dispute_id);
  fact.dispute = state;
  return fact;
}

// Parts are joined by a tab, which no id may contain, so that two keys never run into each other.
std::string fact_key(const Fact& fact) {
  const std::string& account = fact.attempt.account.text();
  std::string key;
  key.reserve(account.size() + fact.payment_id.size() + fact.refund_id.size() + 24);
  key.append(account).append("\t");
  switch (fact.kind) {
    case FactKind::kPayment:
      return key.append("pay\t").append(fact.payment_id);
    case FactKind::kRefund:
      return key.append("refund\t").append(fact.payment_id).append("\t").append(fact.refund_id);
    case FactKind::kRefundTotal:
      key.append("refunds\t").append(fact.payment_id).append("\t");
      return fact.money ? key.append(std::to_string(fact.money->minor())) : key;
    case FactKind::kRefundFailure:
      return key.append("unrefund\t").append(fact.payment_id).append("\t").append(fact.refund_id);
    case FactKind::kClose:
      key.append("close\t");
      break;
    case FactKind::kFailure:
      key.append("fail\t");
      break;
    case FactKind::kDispute:
      return key.append("dispute\t")
          .append(fact.payment_id)
          .append("\t")
          .append(fact.dispute_id)
          .append("\t")
          .append(name(fact.dispute));
  }
  return key.append(fact.attempt.sub_merchant).append("\t").append(fact.attempt.number);
}

bool conflict(const Fact& kept, const Fact& other) {
  return kept.attempt != other.attempt || kept.money != other.money;
}

std::string subject(const Fact& fact) {
  std::string text = fact.attempt.account.text() + "/";
  if (fact.payment_id.empty()) return text + fact.attempt.number;
  text += fact.payment_id;
  return fact.refund_id.empty() ? text : text + "/" + fact.refund_id;
}

std::string_view name(FactKind kind) {
  switch (kind) {
    case FactKind::kPayment:
      return "payment";
    case FactKind::kRefund:
      return "refund";
    case FactKind::kRefundTotal:
      return "refund_total";
    case FactKind::kRefundFailure:
      return "refund_failure";
    case FactKind::kClose:
      return "close";
    case FactKind::kFailure:
      return "failure";
    case FactKind::kDispute:
      return "dispute";
  }
  return "";
}

std::string_view name(FactSource source) {
  switch (source) {
    case FactSource::kCallback:
      return "callback";
    case FactSource::kQuery:
      return "query";
    case FactSource::kBill:
      return "bill";
    case FactSource::kOperator:
      return "operator";
  }
  return "";
}

std::string_view name(DisputeState state) {
  switch (state) {
    case DisputeState::kNone:
      return "none";
    case DisputeState::kOpen:
      return "open";
    case DisputeState::kWon:
      return "won";
    case DisputeState::kLost:
      return "lost";
  }
  return "";
}

}  // namespace postern::core
