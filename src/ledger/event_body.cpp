// The event's JSON is made of fixed members in a fixed order; Boost.JSON writes and escapes it.
#include "ledger/event_body.h"

#include <boost/json.hpp>

namespace postern::ledger {
namespace {

namespace json = boost::json;

[[nodiscard]] json::value money(const std::optional<core::Money>& sum,
                                const json::storage_ptr& sp) {
  if (!sum) return json::value(nullptr, sp);
  return json::object({{"minor", sum->minor()}, {"currency", sum->currency().code()}}, sp);
}

[[nodiscard]] json::object order_object(const core::OrderKey& key, const core::Order& order,
                                        const json::storage_ptr& sp) {
  return json::object({{"merchant", key.merchant.text()},
                       {"merchant_order_id", key.id.text()},
                       {"state", core::name(order.state)},
                       {"dispute", core::name(order.dispute)},
                       {"amount_checked", order.expected.has_value()},
                       {"expected", money(order.expected, sp)},
                       {"paid", money(order.paid, sp)},
                       {"refunded", money(order.refunded, sp)}},
                      sp);
}

}  // namespace

std::string event_body(core::EventType type, std::int64_t sequence, TimePoint now,
                       const core::OrderKey& key, const core::Order& order, const core::Fact& fact,
                       const std::string& channel) {
  alignas(std::max_align_t) unsigned char buffer[6144];
  json::monotonic_resource memory(buffer, sizeof buffer);
  const json::storage_ptr sp(&memory);

  json::object data(sp);
  data.emplace("sequence", sequence);
  data.emplace("account", fact.attempt.account.text());
  data.emplace("channel", channel);
  if (!fact.attempt.sub_merchant.empty()) data.emplace("sub_merchant", fact.attempt.sub_merchant);
  data.emplace("order", order_object(key, order, sp));
  if (!fact.payment_id.empty()) {
    json::object payment({{"channel_payment_id", fact.payment_id}}, sp);
    payment.emplace("number", fact.attempt.number);
    if (fact.kind == core::FactKind::kPayment) {
      payment.emplace("money", money(fact.money, sp));
      payment.emplace("paid_at", format_rfc3339(fact.occurred_at));
    }
    data.emplace("payment", std::move(payment));
  }
  if (fact.kind == core::FactKind::kRefund || fact.kind == core::FactKind::kRefundTotal ||
      fact.kind == core::FactKind::kRefundFailure) {
    json::object refund(sp);
    if (!fact.refund_id.empty()) refund.emplace("channel_refund_id", fact.refund_id);
    refund.emplace(fact.kind == core::FactKind::kRefundTotal ? "total" : "money",
                   money(fact.money, sp));
    refund.emplace("at", format_rfc3339(fact.occurred_at));
    data.emplace("refund", std::move(refund));
  }
  data.emplace("source", core::name(fact.source));

  json::object root(sp);
  root.emplace("type", core::name(type));
  root.emplace("timestamp", format_rfc3339(now));
  root.emplace("data", std::move(data));
  return json::serialize(root);
}

}  // namespace postern::ledger
