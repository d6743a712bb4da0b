// Goal: a platform is asked in its own way, and only what it has provably answered about what was
// asked becomes a fact (P9, attack F11).
//
// Method: answers signed with a key made here, one thing wrong in each; the requests are taken
// apart again and their signatures verified with the public half of the key that made them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "channel/alipay_query.h"
#include "channel/alipay_signature.h"
#include "channel/form.h"
#include "channel/json.h"
#include "channel/wechatpay_v2_query.h"
#include "channel/wechatpay_v3_api.h"
#include "channel/wechatpay_v3_query.h"
#include "channel/xml.h"
#include "crypto/encoding.h"
#include "tests/channel/accounts.h"
#include "tests/channel/messages.h"

namespace postern::channel {
namespace {

using core::FactKind;
using State = QueryAnswer::State;

const Query kPayment{.attempt = {AccountName::trusted("shop"), "", "T1001"}, .refund_number = ""};
const Query kRefund{.attempt = {AccountName::trusted("shop"), "", "T1001"}, .refund_number = "R7"};

[[nodiscard]] QueryStamp stamp() {
  return {.now = test_now(), .nonce = "0123456789abcdef0123456789abcdef"};
}

/// "code", or "state kind,kind".
[[nodiscard]] std::string told(const Result<QueryAnswer>& answer) {
  if (!answer) return std::string(answer.error().code);
  std::string text = answer->state == State::kFinal ? "final" : "pending";
  for (const core::Fact& fact : answer->facts) {
    EXPECT_EQ(fact.source, core::FactSource::kQuery);
    text += fmt::format(" {}", core::name(fact.kind));
  }
  return text;
}

// Alipay ----------------------------------------------------------------------------------------

struct AlipayQuery : testing::Test {
  AlipaySettings settings = [] {
    FakeSettings fake = alipay_account();
    return must(read_alipay_settings(fake));
  }();

  /// `part` as the platform would send it, signed by `key`.
  [[nodiscard]] std::string told(const Query& query, const std::string& part,
                                 const crypto::PrivateKey& key = platform_key(),
                                 unsigned code = 200) {
    const std::string member = query.refund_number.empty()
                                   ? "alipay_trade_query_response"
                                   : "alipay_trade_fastpay_refund_query_response";
    const std::string sign =
        crypto::base64_encode(must(key.sign(crypto::SignatureScheme::kRsaSha256, part)));
    const HttpResponse response{
        .code = code,
        .content_type = "application/json",
        .body = fmt::format(R"({{"{}":{},"sign":"{}"}})", member, part, sign),
        .headers = {}};
    return channel::told(alipay_query_answer(query, response, settings, test_now()));
  }
};

TEST_F(AlipayQuery, AsksByASignedForm) {
  settings.application_key = next_platform_key();
  for (const Query& query : {kPayment, kRefund}) {
    const QueryCall call = must(alipay_query_call(query, settings, {}, stamp()));
    EXPECT_EQ(call.origin, "https://openapi.alipay.com");
    EXPECT_EQ(call.request.target, "/gateway.do?charset=utf-8");
    const Fields form = must(parse_form(call.request.body));
    EXPECT_EQ(form.text("timestamp"), "2026-01-05 10:00:10");
    EXPECT_EQ(form.text("method"), query.refund_number.empty()
                                       ? "alipay.trade.query"
                                       : "alipay.trade.fastpay.refund.query");
    const auto content = must(parse_json_object(form.text("biz_content")));
    EXPECT_EQ(json_text(content, "out_trade_no"), "T1001");
    EXPECT_EQ(json_text(content, "out_request_no"), query.refund_number);
    // Everything but `sign` is signed, sign_type included.
    EXPECT_TRUE(next_platform_key().public_key().verify(
        crypto::SignatureScheme::kRsaSha256, alipay_signing_text(form, AlipayCover::kC),
        must(crypto::base64_decode(form.text("sign")))));
  }
  settings.application_key.reset();
  EXPECT_EQ(code_of(alipay_query_call(kPayment, settings, {}, stamp())), "application_key_missing");
}

TEST_F(AlipayQuery, TellsWhatBecameOfTheTrade) {
  const auto trade = [&](std::string_view status, std::string_view more = "") {
    return told(kPayment,
                fmt::format(R"({{"code":"10000","out_trade_no":"T1001","trade_no":"2026",)"
                            R"("total_amount":"88.88","trade_status":"{}"{}}})",
                            status, more));
  };
  const std::string_view paid = R"(,"send_pay_date":"2026-01-05 10:00:07")";
  EXPECT_EQ(trade("TRADE_SUCCESS", paid), "final payment");
  EXPECT_EQ(trade("TRADE_FINISHED", paid), "final payment");
  EXPECT_EQ(trade("TRADE_CLOSED"), "final close");
  EXPECT_EQ(trade("TRADE_CLOSED", paid), "final payment refund_total");
  EXPECT_EQ(trade("WAIT_BUYER_PAY"), "pending");
  EXPECT_EQ(trade("SOMETHING_NEW"), "pending");
  EXPECT_EQ(told(kPayment, R"({"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST"})"), "pending");
  EXPECT_EQ(told(kPayment, R"({"code":"40004","sub_code":"ACQ.SYSTEM_ERROR"})"),
            "platform_unavailable");
  EXPECT_EQ(told(kPayment, R"({"code":"40002","sub_code":"isv.invalid-signature"})"),
            "query_refused");
}

TEST_F(AlipayQuery, TellsWhatBecameOfTheRefund) {
  const std::string done =
      R"({"code":"10000","out_trade_no":"T1001","out_request_no":"R7","trade_no":"2026",)"
      R"("refund_amount":"20.00","refund_status":"REFUND_SUCCESS"})";
  EXPECT_EQ(told(kRefund, done), "final refund");
  EXPECT_EQ(told(kRefund, R"({"code":"10000","msg":"Success"})"), "pending");
  Query other = kRefund;
  other.refund_number = "R8";
  EXPECT_EQ(told(other, done), "answer_about_another");
}

TEST_F(AlipayQuery, BelievesNothingElse) {
  const std::string paid =
      R"({"code":"10000","out_trade_no":"T1001","trade_no":"2026","total_amount":"88.88",)"
      R"("trade_status":"TRADE_SUCCESS"})";
  EXPECT_EQ(told(kPayment, paid), "final payment");
  EXPECT_EQ(told(kPayment, paid, attacker_key()), "signature_not_verified");
  EXPECT_EQ(told(kPayment, paid, platform_key(), 502), "platform_unavailable");
  Query other = kPayment;
  other.attempt.number = "T1002";
  EXPECT_EQ(told(other, paid), "answer_about_another");
  const HttpResponse bare{.code = 200,
                          .content_type = {},
                          .body = fmt::format(R"({{"alipay_trade_query_response":{}}})", paid),
                          .headers = {}};
  EXPECT_EQ(channel::told(alipay_query_answer(kPayment, bare, settings, test_now())),
            "signature_missing");
}

// WeChat Pay v3 ---------------------------------------------------------------------------------

struct WechatpayV3Query : testing::Test {
  WechatpayV3Settings settings = [] {
    FakeSettings fake = wechatpay_v3_account();
    return must(read_wechatpay_v3_settings(fake));
  }();
  std::string timestamp = "1767578408";
  std::string serial = "PUB_KEY_ID_0100000000000000000000000000000001";

  [[nodiscard]] HttpResponse answer(const std::string& body, unsigned code = 200,
                                    const crypto::PrivateKey& key = platform_key()) {
    const std::string signature = crypto::base64_encode(must(key.sign(
        crypto::SignatureScheme::kRsaSha256, fmt::format("{}\nn0nce\n{}\n", timestamp, body))));
    return {.code = code,
            .content_type = "application/json",
            .body = body,
            .headers = {{"Wechatpay-Timestamp", timestamp},
                        {"wechatpay-nonce", "n0nce"},
                        {"Wechatpay-Signature", signature},
                        {"Wechatpay-Serial", serial}}};
  }
  [[nodiscard]] std::string told(const Query& query, const HttpResponse& response) {
    return channel::told(wechatpay_v3_query_answer(query, response, settings, test_now()));
  }
  [[nodiscard]] static std::string transaction(std::string_view state,
                                               std::string_view number = "T1001",
                                               std::string_view mchid = "1900000109") {
    return fmt::format(R"({{"mchid":"{}","appid":"wxd678efh567hg6787","out_trade_no":"{}",)"
                       R"("transaction_id":"4200","trade_state":"{}","amount":{{"total":8888,)"
                       R"("currency":"CNY"}},"success_time":"2026-01-05T10:00:07+08:00"}})",
                       mchid, number, state);
  }
};

TEST_F(WechatpayV3Query, AsksByASignedGet) {
  const WechatpayV3Caller caller{.serial_no = "ABC123", .key = next_platform_key()};
  Query strange = kPayment;
  strange.attempt.number = "T/1?x";
  const QueryCall call = must(wechatpay_v3_query_call(strange, settings, caller, stamp()));
  EXPECT_EQ(call.request.target, "/v3/pay/transactions/out-trade-no/T%2F1%3Fx?mchid=1900000109");
  const std::string header(call.request.headers.only("authorization").value_or(""));
  const std::size_t at = header.find("signature=\"") + 11;
  const std::string signature = header.substr(at, header.find('"', at) - at);
  EXPECT_TRUE(next_platform_key().public_key().verify(
      crypto::SignatureScheme::kRsaSha256,
      fmt::format("GET\n{}\n1767578410\n{}\n\n", call.request.target, stamp().nonce),
      must(crypto::base64_decode(signature))))
      << header;
  EXPECT_NE(header.find("serial_no=\"ABC123\""), std::string::npos);
  EXPECT_EQ(must(wechatpay_v3_query_call(kRefund, settings, caller, stamp())).request.target,
            "/v3/refund/domestic/refunds/R7");
}

TEST_F(WechatpayV3Query, TellsWhatBecameOfTheTransaction) {
  EXPECT_EQ(told(kPayment, answer(transaction("SUCCESS"))), "final payment");
  EXPECT_EQ(told(kPayment, answer(transaction("REFUND"))), "final payment");
  EXPECT_EQ(told(kPayment, answer(transaction("CLOSED"))), "final close");
  EXPECT_EQ(told(kPayment, answer(transaction("REVOKED"))), "final close");
  EXPECT_EQ(told(kPayment, answer(transaction("PAYERROR"))), "final failure");
  EXPECT_EQ(told(kPayment, answer(transaction("NOTPAY"))), "pending");
  EXPECT_EQ(told(kPayment, answer(transaction("USERPAYING"))), "pending");
  EXPECT_EQ(told(kPayment, answer(R"({"code":"ORDER_NOT_EXIST","message":"x"})", 404)), "pending");
  EXPECT_EQ(told(kPayment, answer(R"({"code":"SIGN_ERROR","message":"x"})", 401)), "query_refused");
  EXPECT_EQ(told(kPayment, answer("", 503)), "platform_unavailable");
}

TEST_F(WechatpayV3Query, TellsWhatBecameOfTheRefund) {
  const auto refund = [](std::string_view status) {
    return fmt::format(R"({{"refund_id":"50","out_refund_no":"R7","transaction_id":"4200",)"
                       R"("out_trade_no":"T1001","status":"{}","amount":{{"total":8888,)"
                       R"("refund":2000,"currency":"CNY"}}}})",
                       status);
  };
  EXPECT_EQ(told(kRefund, answer(refund("SUCCESS"))), "final refund");
  EXPECT_EQ(told(kRefund, answer(refund("ABNORMAL"))), "final refund_failure");
  EXPECT_EQ(told(kRefund, answer(refund("CLOSED"))), "final refund_failure");
  EXPECT_EQ(told(kRefund, answer(refund("PROCESSING"))), "pending");
  EXPECT_EQ(told(kRefund, answer(R"({"code":"RESOURCE_NOT_EXISTS"})", 404)), "pending");
  Query other = kRefund;
  other.refund_number = "R8";
  EXPECT_EQ(told(other, answer(refund("SUCCESS"))), "answer_about_another");
}

TEST_F(WechatpayV3Query, BelievesNothingElse) {
  const std::string paid = transaction("SUCCESS");
  EXPECT_EQ(told(kPayment, answer(paid, 200, attacker_key())), "signature_not_verified");
  EXPECT_EQ(told(kPayment, answer(transaction("SUCCESS", "T1002"))), "answer_about_another");
  EXPECT_EQ(told(kPayment, answer(transaction("SUCCESS", "T1001", "1900000110"))),
            "merchant_mismatch");
  HttpResponse changed = answer(paid);
  changed.body.insert(changed.body.find("8888"), "1");
  EXPECT_EQ(told(kPayment, changed), "signature_not_verified");
  HttpResponse bare = answer(paid);
  bare.headers.clear();
  EXPECT_EQ(told(kPayment, bare), "signature_missing");
  HttpResponse twice = answer(paid);
  twice.headers.push_back(twice.headers[2]);
  EXPECT_EQ(told(kPayment, twice), "signature_missing");
  // A 404 that somebody in between made up must not keep an order waiting for ever.
  HttpResponse unsigned_404 = answer(R"({"code":"ORDER_NOT_EXIST"})", 404, attacker_key());
  EXPECT_EQ(told(kPayment, unsigned_404), "signature_not_verified");
  timestamp = "1767578000";
  EXPECT_EQ(told(kPayment, answer(paid)), "timestamp_outside_window");
  timestamp = "1767578408";
  serial = "PUB_KEY_ID_0100000000000000000000000000000002";
  EXPECT_EQ(told(kPayment, answer(paid)), "key_unknown");
}

// WeChat Pay v2 ---------------------------------------------------------------------------------

struct WechatpayV2Query : testing::Test {
  WechatpayV2Settings settings = [] {
    FakeSettings fake = wechatpay_v2_account();
    return must(read_wechatpay_v2_settings(fake));
  }();

  /// A signed answer of `fields` beside the ones that all have.
  [[nodiscard]] HttpResponse answer(
      const std::vector<std::pair<std::string, std::string>>& fields) const {
    WechatpayV2Message message;
    message.fields = {{"return_code", "SUCCESS"},      {"result_code", "SUCCESS"},
                      {"appid", "wx2421b1c4370ec43b"}, {"mch_id", "10000100"},
                      {"out_trade_no", "T1001"},       {"transaction_id", "4200"}};
    for (const auto& [name, value] : fields) message.set(name, value);
    message.sign(settings.sign_types.front());
    return {.code = 200, .content_type = "text/xml", .body = message.body(), .headers = {}};
  }
  [[nodiscard]] std::string told(const Query& query, const HttpResponse& response) const {
    return channel::told(wechatpay_v2_query_answer(query, response, settings, test_now()));
  }
};

TEST_F(WechatpayV2Query, AsksBySignedXml) {
  Query strange = kPayment;
  strange.attempt.number = "T<&>1";
  const QueryCall call = must(wechatpay_v2_query_call(strange, settings, {}, stamp()));
  EXPECT_EQ(call.request.target, "/pay/orderquery");
  const Fields fields = must(parse_flat_xml(call.request.body, "xml"));
  EXPECT_EQ(fields.text("out_trade_no"), "T<&>1");
  EXPECT_TRUE(verify_wechatpay_v2(fields, settings.api_keys.texts, settings.sign_types));
  EXPECT_EQ(must(wechatpay_v2_query_call(kRefund, settings, {}, stamp())).request.target,
            "/pay/refundquery");
}

TEST_F(WechatpayV2Query, TellsWhatBecameOfTheOrder) {
  const auto order = [&](const char* state) {
    return told(
        kPayment,
        answer({{"trade_state", state}, {"total_fee", "8888"}, {"time_end", "20260105100007"}}));
  };
  EXPECT_EQ(order("SUCCESS"), "final payment");
  EXPECT_EQ(order("REFUND"), "final payment");
  EXPECT_EQ(order("CLOSED"), "final close");
  EXPECT_EQ(order("REVOKED"), "final close");
  EXPECT_EQ(order("NOTPAY"), "pending");
  EXPECT_EQ(order("PAYERROR"), "pending");
  EXPECT_EQ(told(kPayment, answer({{"result_code", "FAIL"}, {"err_code", "ORDERNOTEXIST"}})),
            "pending");
  EXPECT_EQ(told(kPayment, answer({{"result_code", "FAIL"}, {"err_code", "SYSTEMERROR"}})),
            "platform_unavailable");
}

TEST_F(WechatpayV2Query, TellsWhatBecameOfTheRefund) {
  const auto refund = [&](const char* status) {
    return told(kRefund, answer({{"out_refund_no_0", "R6"},
                                 {"out_refund_no_1", "R7"},
                                 {"refund_id_1", "50"},
                                 {"refund_fee_1", "2000"},
                                 {"refund_status_1", status},
                                 {"refund_success_time_1", "2026-01-05 10:00:07"}}));
  };
  EXPECT_EQ(refund("SUCCESS"), "final refund");
  EXPECT_EQ(refund("REFUNDCLOSE"), "final refund_failure");
  EXPECT_EQ(refund("CHANGE"), "final refund_failure");
  EXPECT_EQ(refund("PROCESSING"), "pending");
  EXPECT_EQ(told(kRefund, answer({{"out_refund_no_0", "R6"}})), "answer_about_another");
  EXPECT_EQ(told(kRefund, answer({{"result_code", "FAIL"}, {"err_code", "REFUNDNOTEXIST"}})),
            "pending");
}

TEST_F(WechatpayV2Query, BelievesNothingElse) {
  const HttpResponse paid = answer({{"trade_state", "SUCCESS"}, {"total_fee", "8888"}});
  EXPECT_EQ(told(kPayment, paid), "final payment");
  HttpResponse changed = paid;
  changed.body.replace(changed.body.find("8888"), 4, "8889");
  EXPECT_EQ(told(kPayment, changed), "signature_not_verified");
  EXPECT_EQ(told(kPayment, answer({{"out_trade_no", "T1002"}, {"trade_state", "NOTPAY"}})),
            "answer_about_another");
  EXPECT_EQ(told(kPayment, answer({{"mch_id", "10000101"}, {"trade_state", "NOTPAY"}})),
            "merchant_mismatch");
  const HttpResponse unsigned_failure{
      .code = 200,
      .content_type = "text/xml",
      .body = "<xml><return_code>FAIL</return_code><trade_state>CLOSED</trade_state></xml>",
      .headers = {}};
  EXPECT_EQ(told(kPayment, unsigned_failure), "query_refused");
}

}  // namespace
}  // namespace postern::channel
