// Goal: the JSON of an event is, byte for byte, what Boost.JSON makes of the same members, whatever
// the texts in it hold. Method: every kind of fact with plain and hostile texts, compared with a
// tree of values that is serialised.
#include "ledger/event_body.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace postern::ledger {
namespace {

namespace json = boost::json;

[[nodiscard]] json::value money(const std::optional<core::Money>& sum) {
  if (!sum) return nullptr;
  return json::object({{"minor", sum->minor()}, {"currency", sum->currency().code()}});
}

[[nodiscard]] json::object order_object(const core::OrderKey& key, const core::Order& order) {
  return json::object({{"merchant", key.merchant.text()},
                       {"merchant_order_id", key.id.text()},
                       {"state", core::name(order.state)},
                       {"dispute", core::name(order.dispute)},
                       {"amount_checked", order.expected.has_value()},
                       {"expected", money(order.expected)},
                       {"paid", money(order.paid)},
                       {"refunded", money(order.refunded)}});
}

[[nodiscard]] std::string by_tree(core::EventType type, std::int64_t sequence, TimePoint now,
                                  const core::OrderKey& key, const core::Order& order,
                                  const core::Fact& fact, const std::string& channel) {
  json::object data{
      {"sequence", sequence}, {"account", fact.attempt.account.text()}, {"channel", channel}};
  if (!fact.attempt.sub_merchant.empty()) data.emplace("sub_merchant", fact.attempt.sub_merchant);
  data.emplace("order", order_object(key, order));
  if (!fact.payment_id.empty()) {
    json::object payment{{"channel_payment_id", fact.payment_id}, {"number", fact.attempt.number}};
    if (fact.kind == core::FactKind::kPayment) {
      payment.emplace("money", money(fact.money));
      payment.emplace("paid_at", format_rfc3339(fact.occurred_at));
    }
    data.emplace("payment", std::move(payment));
  }
  if (fact.kind == core::FactKind::kRefund || fact.kind == core::FactKind::kRefundTotal ||
      fact.kind == core::FactKind::kRefundFailure) {
    json::object refund;
    if (!fact.refund_id.empty()) refund.emplace("channel_refund_id", fact.refund_id);
    refund.emplace(fact.kind == core::FactKind::kRefundTotal ? "total" : "money",
                   money(fact.money));
    refund.emplace("at", format_rfc3339(fact.occurred_at));
    data.emplace("refund", std::move(refund));
  }
  data.emplace("source", core::name(fact.source));
  json::object root{{"type", core::name(type)}, {"timestamp", format_rfc3339(now)}};
  root.emplace("data", std::move(data));
  return json::serialize(root);
}

[[nodiscard]] TimePoint at(std::int64_t ms) {
  return TimePoint(std::chrono::milliseconds(ms));
}

[[nodiscard]] core::Money yuan(std::int64_t minor) {
  return core::Money::of(minor, core::Currency::parse("CNY").value());
}

[[nodiscard]] std::vector<core::Fact> facts_about(const core::AttemptKey& attempt,
                                                  const std::string& id) {
  const TimePoint then = at(1'767'578'400'123);
  return {core::Fact::payment(attempt, id, yuan(8888), then),
          core::Fact::refund(attempt, id, id, yuan(1), then),
          core::Fact::refund_total(attempt, id, yuan(8888), then),
          core::Fact::refund_failure(attempt, id, "", std::nullopt, then),
          core::Fact::close(attempt, then),
          core::Fact::failure(attempt, then),
          core::Fact::dispute_change(attempt, id, id, core::DisputeState::kOpen, then)};
}

TEST(EventBody, IsWhatATreeOfValuesGives) {
  const std::vector<std::string> texts = {
      "T1001", R"(quo"te)", R"(back\slash)", "/slash", "\xE5\x95\x86\xE6\x88\xB7",
      "\x7F",  "\x01\x1f",  "\b\f\n\r\t",    "<&'>",   std::string("nul\0in", 6)};
  core::Order bare;
  core::Order full;
  full.state = core::OrderState::kPartiallyRefunded;
  full.dispute = core::DisputeState::kLost;
  full.expected = yuan(8888);
  full.paid = yuan(8888);
  full.refunded = yuan(0);
  for (const std::string& text : texts) {
    for (const std::string& sub_merchant : {std::string(), text}) {
      const core::AttemptKey attempt{AccountName::trusted(text), sub_merchant, text};
      const core::OrderKey key{MerchantName::trusted(text), MerchantOrderId::trusted(text)};
      for (const core::Fact& fact : facts_about(attempt, text)) {
        for (const core::Order& order : {bare, full}) {
          const auto type = core::EventType::kPaid;
          EXPECT_EQ(event_body(type, -7, at(5), key, order, fact, text),
                    by_tree(type, -7, at(5), key, order, fact, text));
        }
      }
    }
  }
}

}  // namespace
}  // namespace postern::ledger
