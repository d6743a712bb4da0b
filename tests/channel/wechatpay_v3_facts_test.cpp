// Goal: a verified WeChat Pay v3 message yields the facts its event stands for, about our orders
// only, and a bad part of a combined payment spoils only itself (attacks W14 to W17; promise P4).
// Method: re-signed messages whose plaintext is changed in one place.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "channel/wechatpay_v3.h"
#include "core/fact.h"
#include "tests/channel/accounts.h"

namespace postern::channel {
namespace {

using core::FactKind;
using Purpose = Statement::Purpose;
using Message = WechatpayV3Message;

class WechatpayV3Facts : public testing::Test {
 protected:
  [[nodiscard]] Result<Statement> statement(const Message& message) const {
    const auto callback = channel_->verify(message.request(), test_now());
    if (!callback) return std::unexpected(callback.error());
    return channel_->adapt(*callback);
  }
  [[nodiscard]] std::string code(const Message& message) const {
    return code_of(statement(message));
  }
  [[nodiscard]] core::Fact only_fact(const Message& message) const {
    const Statement said = must(statement(message));
    EXPECT_EQ(said.purpose, Purpose::kFacts);
    EXPECT_EQ(said.facts.size(), 1U);
    return said.facts.at(0);
  }
  void expect_nothing(const Message& message) const {
    const Statement said = must(statement(message));
    EXPECT_EQ(said.purpose, Purpose::kNothing) << message.plaintext;
    EXPECT_TRUE(said.facts.empty());
    EXPECT_EQ(said.message_key, "a1f5b3c2-0000-5000-8000-000000000001");
    EXPECT_TRUE(said.summary.starts_with(message.event_type)) << said.summary;
  }
  void use(FakeSettings settings) { channel_ = must(make_wechatpay_v3(settings)); }
  void use_service_provider() {
    use(wechatpay_v3_account().set("sub_merchants",
                                   std::vector<std::string>{"1900000110", "1900000111"}));
  }

  std::unique_ptr<Channel> channel_ = [] {
    FakeSettings settings = wechatpay_v3_account();
    return must(make_wechatpay_v3(settings));
  }();
};

[[nodiscard]] Message partner_paid() {
  Message message = Message::paid();
  message.replace(R"("appid":"wxd678efh567hg6787","mchid":"1900000109")",
                  R"("sp_appid":"wxd678efh567hg6787","sp_mchid":"1900000109",)"
                  R"("sub_appid":"wx5","sub_mchid":"1900000110")");
  return message;
}

[[nodiscard]] Message event(std::string event_type, std::string plaintext) {
  Message message;
  message.event_type = std::move(event_type);
  message.plaintext = std::move(plaintext);
  return message;
}

// --- identity --------------------------------------------------------------------------------

TEST_F(WechatpayV3Facts, RefusesAnothersMessages) {
  EXPECT_EQ(code(Message::paid().replace("1900000109", "1900000108")), "merchant_mismatch");
  EXPECT_EQ(code(Message::paid().replace("\"mchid\"", "\"mchid_\"")), "merchant_mismatch");
  EXPECT_EQ(code(Message::paid().replace("\"1900000109\"", "1900000109")), "body_malformed");
  EXPECT_EQ(code(Message::paid().replace("\"1900000109\"", "[\"1900000109\"]")), "body_malformed");
  EXPECT_EQ(code(Message::paid().replace("wxd678efh567hg6787", "wx0")), "app_mismatch");
  EXPECT_EQ(code(Message::paid().replace("\"appid\"", "\"appid_\"")), "app_mismatch");
  EXPECT_EQ(code(Message::refunded().replace("1900000109", "1900000108")), "merchant_mismatch");
  EXPECT_EQ(code(Message::refunded().replace("\"mchid\"", "\"appid\":\"wx0\",\"mchid\"")),
            "app_mismatch");
  use(wechatpay_v3_account().set("app_ids", std::vector<std::string>{"wx0", "wx1"}));
  EXPECT_EQ(code(Message::paid().replace("wxd678efh567hg6787", "wx1")), "ok");
}

TEST_F(WechatpayV3Facts, ADirectAccountRefusesServiceProviders) {
  EXPECT_EQ(code(partner_paid()), "sub_merchant_mismatch");
  EXPECT_EQ(code(partner_paid().replace("\"sub_mchid\"", "\"x\"")), "sub_merchant_mismatch");
  EXPECT_EQ(code(Message::paid().replace("\"trade_type\"", "\"sub_mchid\":\"1\",\"trade_type\"")),
            "sub_merchant_mismatch");
}

TEST_F(WechatpayV3Facts, AServiceProviderServesItsListOnly) {
  use_service_provider();
  EXPECT_EQ(only_fact(partner_paid()).attempt.sub_merchant, "1900000110");
  EXPECT_EQ(code(partner_paid().replace("1900000110", "1900000199")), "sub_merchant_mismatch");
  EXPECT_EQ(code(partner_paid().replace("1900000109", "1900000108")), "merchant_mismatch");
  EXPECT_EQ(code(Message::paid()), "sub_merchant_mismatch");
  const Message refund = Message::refunded().replace(
      "\"mchid\":\"1900000109\"", R"("sp_mchid":"1900000109","sub_mchid":"1900000111")");
  EXPECT_EQ(only_fact(refund).attempt.sub_merchant, "1900000111");
  // Two numbers of which one is ours are not both ours.
  EXPECT_EQ(code(partner_paid().replace("\"sub_appid\"", "\"mchid\":\"1\",\"sub_appid\"")),
            "merchant_mismatch");
}

// --- payments --------------------------------------------------------------------------------

TEST_F(WechatpayV3Facts, OnlySuccessIsAPayment) {
  for (const char* state : {"NOTPAY", "REFUND", "CLOSED", "success", "USERPAYING", ""}) {
    expect_nothing(Message::paid().replace("\"SUCCESS\"", fmt::format("\"{}\"", state)));
  }
  expect_nothing(Message::paid().replace("\"trade_state\"", "\"state\""));
  expect_nothing(event("TRANSACTION.OTHER", Message::paid().plaintext));
}

TEST_F(WechatpayV3Facts, MoneyIsAWholeNumberOfFen) {
  for (const char* total : {"\"8888\"", "8888.0", "8888.5", "88e2", "-1", "null", "true", "[8888]",
                            "{\"a\":1}", "9223372036854775808"}) {
    EXPECT_EQ(code(Message::paid().replace("8888", total)), "body_malformed") << total;
  }
  EXPECT_EQ(code(Message::paid().replace("8888", "-0")), "body_malformed");
  EXPECT_EQ(code(Message::paid().replace("\"total\"", "\"Total\"")), "body_malformed");
  EXPECT_EQ(code(Message::paid().replace("\"total\"", "\"payer_total\"")), "key_duplicate");
  EXPECT_EQ(code(Message::paid().replace("\"amount\"", "\"amounts\"")), "body_malformed");
  EXPECT_EQ(only_fact(Message::paid().replace("8888", "0")).money->minor(), 0);
}

TEST_F(WechatpayV3Facts, CurrencyIsReadOrYuan) {
  EXPECT_EQ(only_fact(Message::paid().replace("\"CNY\"", "\"USD\"")).money->currency().code(),
            "USD");
  EXPECT_EQ(
      only_fact(Message::paid().replace(",\"currency\":\"CNY\"", "")).money->currency().code(),
      "CNY");
  for (const char* currency : {"\"cny\"", "\"XXXX\"", "156", "null"}) {
    EXPECT_EQ(code(Message::paid().replace("\"CNY\"", currency)), "body_malformed") << currency;
  }
}

TEST_F(WechatpayV3Facts, IdsAndTimesHaveAGrammar) {
  EXPECT_EQ(code(Message::paid().replace("\"T1001\"", "1001")), "body_malformed");
  EXPECT_EQ(code(Message::paid().replace("T1001", "")), "body_malformed");
  EXPECT_EQ(code(Message::paid().replace("T1001", "a\\u0000b")), "body_malformed");
  EXPECT_EQ(code(Message::paid().replace("T1001", "a\\nb")), "body_malformed");
  EXPECT_EQ(code(Message::paid().replace("T1001", std::string(129, 'x'))), "body_malformed");
  EXPECT_EQ(code(Message::paid().replace("\"transaction_id\"", "\"x\"")), "body_malformed");
  EXPECT_EQ(only_fact(Message::paid().replace("T1001", "Ｔ１００１")).attempt.number, "Ｔ１００１");
  EXPECT_EQ(code(Message::paid().replace("2026-01-05T10:00:07+08:00", "yesterday")),
            "body_malformed");
  EXPECT_EQ(only_fact(Message::paid().replace("\"success_time\"", "\"x\"")).occurred_at,
            *parse_rfc3339("2026-01-05T10:00:08+08:00"));
}

TEST_F(WechatpayV3Facts, ParkingAndCampusHaveTheirOwnEvents) {
  const std::string plaintext =
      R"({"appid":"wxd678efh567hg6787","mchid":"1900000109","out_trade_no":"P1",)"
      R"("trade_scene":"PARKING","trade_state":"%","create_time":"2026-01-05T10:00:00+08:00",)"
      R"("amount":{"total":100,"currency":"CNY"}})";
  const auto parking = [&](std::string type, std::string_view state) {
    Message message = event(std::move(type), plaintext);
    return message.replace("%", state);
  };
  const auto with_id = [](Message message) {
    return message.replace("\"trade_scene\"", R"("transaction_id":"42","trade_scene")");
  };
  EXPECT_EQ(only_fact(parking("TRANSACTION.FAIL", "FAIL")).kind, FactKind::kFailure);
  EXPECT_EQ(only_fact(parking("TRANSACTION.INDUSTRY_FAILED", "PAY_FAIL")).kind, FactKind::kFailure);
  EXPECT_EQ(only_fact(with_id(parking("TRANSACTION.INDUSTRY_SUCCESS", "SUCCESS"))).kind,
            FactKind::kPayment);
  const core::Fact repaid = only_fact(with_id(parking("TRANSACTION.PAY_BACK", "PAY_BACK")));
  EXPECT_EQ(repaid.kind, FactKind::kPayment);
  EXPECT_EQ(repaid.payment_id, "42");
  // Without its number a repayment names no payment; the payment itself was told before.
  expect_nothing(parking("TRANSACTION.PAY_BACK", "PAY_BACK"));
  expect_nothing(with_id(parking("TRANSACTION.FAIL", "SUCCESS")));
  expect_nothing(with_id(parking("TRANSACTION.SUCCESS", "FAIL")));
  expect_nothing(with_id(parking("TRANSACTION.INDUSTRY_SUCCESS", "PAY_FAIL")));
}

TEST_F(WechatpayV3Facts, PayscoreIsPaidByOneOrSeveralTransactions) {
  const Message message = event(
      "PAYSCORE.USER_PAID",
      R"({"appid":"wxd678efh567hg6787","mchid":"1900000109","out_order_no":"PS1","state":"DONE",)"
      R"("total_amount":40000,"order_id":"15646","collection":{"state":"USER_PAID",)"
      R"("total_amount":40000,"paid_amount":40000,"details":[{"seq":1,"amount":40000,)"
      R"("paid_time":"20260105100007","transaction_id":"4200"}]}})");
  const core::Fact paid = only_fact(message);
  EXPECT_EQ(paid.attempt.number, "PS1");
  EXPECT_EQ(paid.payment_id, "4200");
  EXPECT_EQ(paid.money->minor(), 40000);
  EXPECT_EQ(paid.occurred_at, *parse_rfc3339("2026-01-05T10:00:07+08:00"));
  EXPECT_EQ(only_fact(Message(message).replace("}]", "},{\"seq\":2,\"transaction_id\":\"4201\"}]"))
                .payment_id,
            "15646");
  EXPECT_EQ(only_fact(Message(message).replace(",\"transaction_id\":\"4200\"", "")).payment_id,
            "15646");
  // The sum is what was paid: if it is not what was ordered, the ledger will see it.
  EXPECT_EQ(only_fact(Message(message).replace("\"paid_amount\":40000", "\"paid_amount\":30000"))
                .money->minor(),
            30000);
  expect_nothing(Message(message).replace("\"USER_PAID\"", "\"USER_PAYING\""));
  expect_nothing(Message(message).replace("\"DONE\"", "\"DOING\""));
  expect_nothing(Message(message).replace("\"collection\"", "\"collect\""));
  EXPECT_EQ(code(Message(message).replace("\"20260105100007\"", "\"2026\"")), "body_malformed");
}

// --- refunds ---------------------------------------------------------------------------------

TEST_F(WechatpayV3Facts, RefundsAreSingle) {
  const core::Fact refund = only_fact(Message::refunded());
  EXPECT_EQ(refund.kind, FactKind::kRefund);
  EXPECT_EQ(refund.attempt.number, "T1001");
  EXPECT_EQ(refund.payment_id, "4200002026010512345678901234");
  EXPECT_EQ(refund.refund_id, "50300002026010612345678901");
  EXPECT_EQ(refund.money->minor(), 2000);
  EXPECT_EQ(refund.money->currency().code(), "CNY");
  EXPECT_EQ(refund.occurred_at, *parse_rfc3339("2026-01-06T09:00:00+08:00"));
}

TEST_F(WechatpayV3Facts, RefundsFailInTwoWays) {
  for (const char* state : {"ABNORMAL", "CLOSED"}) {
    Message message = Message::refunded();
    message.event_type = fmt::format("REFUND.{}", state);
    message.replace("\"SUCCESS\"", fmt::format("\"{}\"", state));
    const core::Fact failure = only_fact(message);
    EXPECT_EQ(failure.kind, FactKind::kRefundFailure);
    EXPECT_EQ(failure.money->minor(), 2000);
    EXPECT_EQ(only_fact(message.replace("\"success_time\"", "\"x\"")).occurred_at,
              *parse_rfc3339("2026-01-05T10:00:08+08:00"));
  }
  Message contradictory = Message::refunded();
  contradictory.event_type = "REFUND.ABNORMAL";
  expect_nothing(contradictory);
  expect_nothing(Message::refunded().replace("\"SUCCESS\"", "\"PROCESSING\""));
  EXPECT_EQ(code(Message::refunded().replace("\"refund\":2000", "\"refund\":\"2000\"")),
            "body_malformed");
  EXPECT_EQ(code(Message::refunded().replace("\"refund_id\"", "\"x\"")), "body_malformed");
}

// --- combined payments -----------------------------------------------------------------------

TEST_F(WechatpayV3Facts, CombinedPaymentsSettleEachOrder) {
  use_service_provider();
  const Statement said = must(statement(Message::combined()));
  ASSERT_EQ(said.facts.size(), 2U);
  EXPECT_EQ(said.facts[0].attempt.number, "SUB-1");
  EXPECT_EQ(said.facts[0].attempt.sub_merchant, "");
  EXPECT_EQ(said.facts[0].money->minor(), 1000);
  EXPECT_EQ(said.facts[1].attempt.number, "SUB-2");
  EXPECT_EQ(said.facts[1].attempt.sub_merchant, "1900000110");
  EXPECT_EQ(said.facts[1].payment_id, "T2");
  EXPECT_TRUE(said.left_out.empty());
}

TEST_F(WechatpayV3Facts, ABadPartSpoilsOnlyItself) {
  use_service_provider();
  const auto left_out = [&](const Message& message) {
    const Statement said = must(statement(message));
    EXPECT_EQ(said.purpose, Purpose::kFacts);
    EXPECT_EQ(said.facts.size(), 1U);
    EXPECT_EQ(said.left_out.size(), 1U);
    EXPECT_NE(said.summary.find(said.left_out.at(0)), std::string::npos);
    return said.left_out.at(0);
  };
  EXPECT_EQ(left_out(Message::combined().replace("1900000110", "1900000199")),
            "SUB-2: sub_merchant_mismatch");
  EXPECT_EQ(left_out(Message::combined().replace("1000,", "\"1000\",")), "SUB-1: body_malformed");
  EXPECT_EQ(left_out(Message::combined().replace("\"T2\"", "\"\"")), "SUB-2: body_malformed");
  EXPECT_EQ(left_out(Message::combined().replace("\"SUCCESS\"", "\"NOTPAY\"")), "SUB-1: not_paid");
  EXPECT_EQ(left_out(Message::combined().replace("SUB-2", "SUB\\n2")),
            "(unreadable): body_malformed");
  EXPECT_EQ(left_out(Message::combined().replace(
                "\"mchid\":\"1900000109\"", R"("mchid":"1900000109","sub_mchid":"1900000199")")),
            "SUB-1: sub_merchant_mismatch");
  // Without a list, the other merchant's part is left out and ours is told.
  use(wechatpay_v3_account());
  EXPECT_EQ(left_out(Message::combined()), "SUB-2: sub_merchant_mismatch");
}

TEST_F(WechatpayV3Facts, CombinedPaymentsOfOthersAreRefused) {
  EXPECT_EQ(code(Message::combined().replace("\"combine_mchid\":\"1900000109\"",
                                             "\"combine_mchid\":\"1900000110\"")),
            "merchant_mismatch");
  EXPECT_EQ(code(Message::combined().replace("\"combine_mchid\"", "\"x\"")), "merchant_mismatch");
  EXPECT_EQ(code(Message::combined().replace("wxd678efh567hg6787", "wx0")), "app_mismatch");
  EXPECT_EQ(
      code(Message::combined().replace("\"mchid\":\"1900000109\"", "\"mchid\":\"1900000199\"")),
      "sub_merchant_mismatch");
  EXPECT_EQ(code(Message::combined()
                     .replace("\"sub_orders\":[", "\"sub_orders\":{\"a\":[")
                     .replace("]}", "]}}")),
            "body_malformed");
}

TEST_F(WechatpayV3Facts, ACombinedPaymentWithoutAReadablePartIsMalformed) {
  Message message = Message::combined();
  message.replace("\"T1\"", "1").replace("\"T2\"", "2");
  use_service_provider();
  EXPECT_EQ(code(message), "body_malformed");
  Message unpaid = Message::combined();
  unpaid.replace("\"SUCCESS\"", "\"NOTPAY\"").replace("\"SUCCESS\"", "\"NOTPAY\"");
  const Statement said = must(statement(unpaid));
  EXPECT_EQ(said.purpose, Purpose::kNothing);
  EXPECT_EQ(said.left_out.size(), 2U);
}

// --- other events ----------------------------------------------------------------------------

TEST_F(WechatpayV3Facts, OtherEventsAreRecordedAsNothing) {
  for (const char* type :
       {"PAYSCORE.USER_CONFIRM", "PAYSCORE.USER_OPEN_SERVICE", "MCHTRANSFER.BILL.FINISHED",
        "COMPLAINT.CREATE", "COUPON.USE", "RECHARGE.SUCCESS", "ENTRUST.SIGN", "X"}) {
    expect_nothing(event(type, R"({"mchid":"1900000109","out_trade_no":"T1001"})"));
    expect_nothing(event(type, R"({"complaint_id":"1"})"));
    EXPECT_EQ(code(event(type, R"({"mchid":"1900000108"})")), "merchant_mismatch");
    EXPECT_EQ(code(event(type, R"({"mch_id":"1900000108"})")), "merchant_mismatch");
    EXPECT_EQ(code(event(type, R"({"mchid":"1900000109","appid":"wx0"})")), "app_mismatch");
  }
}

TEST_F(WechatpayV3Facts, ProfitSharingIsAboutOthers) {
  const std::string plaintext = R"({"mchid":"1900000108","transaction_id":"4","order_id":"3"})";
  expect_nothing(event("PROFITSHARING.SUCCESS", plaintext));
  Message message = event("TRANSACTION.SUCCESS", plaintext);
  message.original_type = "profitsharing";
  expect_nothing(message);
}

}  // namespace
}  // namespace postern::channel
