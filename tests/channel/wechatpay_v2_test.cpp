// Goal: WeChat Pay's v2 channel takes a genuine notice, says what it says, and refuses every
// dishonest one (attacks W01 to W06, X01 to X12, S01 to S07; promises P3 and P4).
// Method: messages signed with a key made up here, then bent in one place: unsigned changes must
// not verify, re-signed ones must be judged by what they say.

#include "channel/wechatpay_v2.h"

#include <gtest/gtest.h>

#include <string>

#include "core/fact.h"
#include "crypto/cipher.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"
#include "tests/channel/accounts.h"

namespace postern::channel {
namespace {

using core::FactKind;
using Message = WechatpayV2Message;
using Purpose = Statement::Purpose;
using Type = WechatpayV2SignType;

class WechatpayV2 : public testing::Test {
 protected:
  [[nodiscard]] std::string verdict(const HttpRequest& request) const {
    return code_of(channel_->verify(request, test_now()));
  }
  [[nodiscard]] std::string verdict(const Message& message) const {
    return verdict(message.request());
  }
  /// Of a payment, signed anew; of a refund notice as it is.
  [[nodiscard]] Result<Statement> statement(Message message) const {
    const bool refund = message.body().find("<req_info>") != std::string::npos;
    const HttpRequest request = refund ? message.request() : message.sign().request();
    const auto callback = channel_->verify(request, test_now());
    if (!callback) return std::unexpected(callback.error());
    return channel_->adapt(*callback);
  }
  [[nodiscard]] std::string adapted(const Message& message) const {
    return code_of(statement(message));
  }
  void use(FakeSettings settings) { channel_ = must(make_wechatpay_v2(settings)); }
  void use_md5() { use(wechatpay_v2_account().set("sign_types", std::vector<std::string>{"MD5"})); }

  std::unique_ptr<Channel> channel_ = [] {
    FakeSettings settings = wechatpay_v2_account();
    return must(make_wechatpay_v2(settings));
  }();
};

/// A refund notice around any plaintext.
[[nodiscard]] Message refund_with(const std::string& plaintext, const std::string& api_key) {
  Message message = Message::refund();
  const Secret key(crypto::hex_encode(crypto::digest(crypto::DigestAlgorithm::kMd5, api_key)));
  return message.set("req_info",
                     crypto::base64_encode(must(crypto::aes_256_ecb_encrypt(key, plaintext))));
}

[[nodiscard]] Message combined(std::string list) {
  Message message;
  message.set("return_code", "SUCCESS").set("result_code", "SUCCESS");
  message.set("combine_appid", "wx2421b1c4370ec43b").set("combine_mch_id", "10000100");
  message.set("combine_out_trade_no", "C1").set("nonce_str", "n");
  return message.set("sub_order_list", std::move(list));
}

constexpr const char* kTwoOrders =
    R"({"order_num":2,"order_list":[{"mch_id":"10000100","out_trade_no":"SUB-1","total_fee":10,)"
    R"("transaction_id":"T1","time_end":"20260105100007"},{"mch_id":"10000101",)"
    R"("out_trade_no":"SUB-2","total_fee":20,"transaction_id":"T2"}]})";

[[nodiscard]] std::string two_orders(std::string_view from, std::string_view to) {
  std::string text = kTwoOrders;
  const std::size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return text.replace(place, from.size(), to);
}

// --- the genuine message ---------------------------------------------------------------------

TEST_F(WechatpayV2, TellsAPayment) {
  const VerifiedCallback callback =
      must(channel_->verify(Message::paid().sign().request(), test_now()));
  EXPECT_EQ(callback.scheme(), "HMAC-SHA256");
  EXPECT_EQ(callback.key_id(), wechatpay_v2_key_id(Secret(Message().api_key)));
  EXPECT_EQ(callback.trust(), Trust::kSigned);
  const Statement said = must(channel_->adapt(callback));
  EXPECT_EQ(said.purpose, Purpose::kFacts);
  ASSERT_EQ(said.facts.size(), 1U);
  const core::Fact& fact = said.facts[0];
  EXPECT_EQ(fact.kind, FactKind::kPayment);
  EXPECT_EQ(fact.attempt, (core::AttemptKey{AccountName::trusted("shop"), "", "T1001"}));
  EXPECT_EQ(fact.payment_id, "1004400740201409030005092168");
  // What was ordered, though a coupon paid a part: never cash_fee (W04).
  EXPECT_EQ(fact.money, core::Money::of(8888, must(core::Currency::parse("CNY"))));
  EXPECT_EQ(fact.occurred_at, *parse_china_time("2026-01-05 10:00:07"));
}

TEST_F(WechatpayV2, AnswersExactly) {
  EXPECT_EQ(channel_->channel_name(), "wechatpay-v2");
  EXPECT_EQ(channel_->ack(Ack::kAccepted).code, 200U);
  EXPECT_EQ(channel_->ack(Ack::kAccepted).body,
            "<xml><return_code><![CDATA[SUCCESS]]></return_code>"
            "<return_msg><![CDATA[OK]]></return_msg></xml>");
  for (const auto& [ack, code] : {std::pair{Ack::kRefused, 400U}, {Ack::kRetryLater, 503U}}) {
    EXPECT_EQ(channel_->ack(ack).code, code);
    EXPECT_EQ(channel_->ack(ack).body,
              "<xml><return_code><![CDATA[FAIL]]></return_code>"
              "<return_msg><![CDATA[ERROR]]></return_msg></xml>");
  }
  for (const Ack ack : {Ack::kAccepted, Ack::kRefused, Ack::kRetryLater}) {
    EXPECT_EQ(channel_->ack(ack).content_type, "text/xml");
  }
}

TEST_F(WechatpayV2, EmptyAndUnknownFieldsAreFine) {
  Message message = Message::paid().set("new_field", "1").sign();
  EXPECT_EQ(verdict(message.set("device_info2", "")), "ok");
  EXPECT_EQ(verdict(message.set("device_info2", " ")), "signature_not_verified");
}

// --- the signature ---------------------------------------------------------------------------

TEST_F(WechatpayV2, AnyUnsignedChangeIsRefused) {
  const Message genuine = Message::paid().sign();
  for (const auto& [name, value] : genuine.fields) {
    Message changed = genuine;
    EXPECT_NE(verdict(changed.set(name, value + "0")), "ok") << name;
    if (value.empty()) continue;
    changed = genuine;
    EXPECT_NE(verdict(changed.remove(name)), "ok") << name;
  }
  Message added = genuine;
  EXPECT_EQ(verdict(added.set("sub_mch_id", "1")), "signature_not_verified");
}

TEST_F(WechatpayV2, EveryBitOfTheBodyCounts) {
  const std::string body = Message::paid().sign().body();
  for (std::size_t i = 0; i < body.size(); ++i) {
    std::string flipped = body;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 7)));
    EXPECT_NE(verdict(xml_request(flipped)), "ok") << i;
  }
}

TEST_F(WechatpayV2, NoDowngrade) {
  EXPECT_EQ(verdict(Message::paid().sign(Type::kMd5)), "algorithm_not_allowed");
  EXPECT_EQ(verdict(Message::paid().set("sign_type", "MD5").sign(Type::kMd5)),
            "algorithm_not_allowed");
  use_md5();
  EXPECT_EQ(verdict(Message::paid().sign(Type::kMd5)), "ok");
  EXPECT_EQ(verdict(Message::paid().sign(Type::kHmacSha256)), "algorithm_not_allowed");
  use(wechatpay_v2_account().set("sign_types", std::vector<std::string>{"MD5", "HMAC-SHA256"}));
  EXPECT_EQ(verdict(Message::paid().sign(Type::kMd5)), "ok");
  EXPECT_EQ(verdict(Message::paid().sign(Type::kHmacSha256)), "ok");
  EXPECT_EQ(verdict(Message::paid().set("sign_type", "MD5").sign(Type::kMd5)), "ok");
  // What the message calls itself must be what it is.
  EXPECT_EQ(verdict(Message::paid().set("sign_type", "HMAC-SHA256").sign(Type::kMd5)),
            "algorithm_not_allowed");
  EXPECT_EQ(verdict(Message::paid().set("sign_type", "none").sign()), "algorithm_not_allowed");
}

TEST_F(WechatpayV2, RefusesBadSignatures) {
  Message message = Message::paid().sign();
  const std::string sign = message.fields.back().second;
  EXPECT_EQ(verdict(message.remove("sign")), "signature_missing");
  EXPECT_EQ(verdict(message.set("sign", "")), "signature_missing");
  std::string lower = sign;
  for (char& c : lower) c = c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  ASSERT_NE(lower, sign);
  EXPECT_EQ(verdict(message.set("sign", lower)), "signature_not_verified");
  EXPECT_EQ(verdict(message.set("sign", std::string(64, '0'))), "signature_not_verified");
  for (const std::string& text : {sign.substr(1), sign + "0", "0x" + sign, " " + sign, sign + sign,
                                  std::string("null"), std::string(100'000, 'A')}) {
    EXPECT_EQ(verdict(message.set("sign", text)), "signature_malformed") << text.size();
  }
  EXPECT_EQ(verdict(message.set("sign", sign.substr(0, 32))), "algorithm_not_allowed");
  Message other = Message::paid();
  other.api_key = "00000000000000000000000000000001";
  EXPECT_EQ(verdict(other.sign()), "signature_not_verified");
}

TEST_F(WechatpayV2, AcceptsAnyOfSeveralKeysWhileRotating) {
  use(wechatpay_v2_account().set("api_keys",
                                 std::vector<std::string>{"00000000000000000000000000000001"}));
  Message message = Message::paid();
  EXPECT_EQ(verdict(message.sign()), "ok");
  message.api_key = "00000000000000000000000000000001";
  const auto callback = must(channel_->verify(message.sign().request(), test_now()));
  EXPECT_EQ(callback.key_id(), wechatpay_v2_key_id(Secret(message.api_key)));
}

TEST_F(WechatpayV2, UnsignedFailuresAreRefused) {
  EXPECT_EQ(verdict(xml_request("<xml><return_code>FAIL</return_code></xml>")),
            "signature_missing");
  EXPECT_EQ(verdict(Message::paid().set("return_code", "FAIL").sign()), "signature_missing");
  EXPECT_EQ(verdict(Message::paid().remove("return_code").sign()), "signature_missing");
}

// --- the shape -------------------------------------------------------------------------------

TEST_F(WechatpayV2, RefusesOtherShapes) {
  const std::string body = Message::paid().sign().body();
  EXPECT_EQ(verdict(xml_request("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>" + body)),
            "body_malformed");
  EXPECT_EQ(verdict(xml_request(body + "<x/>")), "body_malformed");
  EXPECT_EQ(verdict(xml_request("")), "body_malformed");
  std::string twice = body;
  twice.insert(5, "<total_fee>1</total_fee>");
  EXPECT_EQ(verdict(xml_request(twice)), "key_duplicate");
  HttpRequest request = xml_request(body);
  for (const char* type :
       {"", "application/x-www-form-urlencoded", "text/html", "text/xml; charset=utf-7"}) {
    request.headers = {};
    request.headers.add("Content-Type", type);
    EXPECT_EQ(verdict(request), "content_type_wrong") << type;
  }
  request.headers = {};
  EXPECT_EQ(verdict(request), "content_type_wrong");
}

// --- identity --------------------------------------------------------------------------------

TEST_F(WechatpayV2, RefusesAnothersMessages) {
  EXPECT_EQ(adapted(Message::paid().set("mch_id", "10000101")), "merchant_mismatch");
  EXPECT_EQ(adapted(Message::paid().remove("mch_id")), "merchant_mismatch");
  EXPECT_EQ(adapted(Message::paid().set("appid", "wx0")), "app_mismatch");
  EXPECT_EQ(adapted(Message::paid().remove("appid")), "app_mismatch");
  EXPECT_EQ(adapted(Message::paid().set("sub_mch_id", "10000109")), "sub_merchant_mismatch");
  EXPECT_EQ(adapted(Message::paid().set("sub_mch_id", "")), "ok");
  EXPECT_EQ(adapted(Message::refund().set("mch_id", "10000101")), "merchant_mismatch");
  EXPECT_EQ(adapted(Message::refund().set("appid", "wx0")), "app_mismatch");
  EXPECT_EQ(adapted(Message::refund().set("sub_mch_id", "10000109")), "sub_merchant_mismatch");
}

TEST_F(WechatpayV2, AServiceProviderServesItsListOnly) {
  use(wechatpay_v2_account().set("sub_merchants", std::vector<std::string>{"10000109"}));
  const Statement said = must(statement(Message::paid().set("sub_mch_id", "10000109")));
  EXPECT_EQ(said.facts.at(0).attempt.sub_merchant, "10000109");
  EXPECT_EQ(adapted(Message::paid()), "sub_merchant_mismatch");
  EXPECT_EQ(adapted(Message::paid().set("sub_mch_id", "10000108")), "sub_merchant_mismatch");
  const Statement refund = must(statement(Message::refund().set("sub_mch_id", "10000109")));
  EXPECT_EQ(refund.facts.at(0).attempt.sub_merchant, "10000109");
}

// --- what it says ----------------------------------------------------------------------------

TEST_F(WechatpayV2, OnlySuccessIsAPayment) {
  for (const char* result : {"FAIL", "", "success", "USERPAYING"}) {
    const Statement said =
        must(statement(Message::paid().set("result_code", result).set("err_code", "SYSTEMERROR")));
    EXPECT_EQ(said.purpose, Purpose::kNothing) << result;
    EXPECT_TRUE(said.facts.empty());
    EXPECT_FALSE(said.message_key.empty());
  }
  EXPECT_EQ(must(statement(Message::paid().set("trade_state", "NOTPAY"))).purpose,
            Purpose::kNothing);
  // Copies of one notice have one key, others another.
  Message failed = Message::paid().set("result_code", "FAIL");
  const std::string key = must(statement(failed)).message_key;
  EXPECT_EQ(must(statement(failed.set("nonce_str", "other"))).message_key, key);
  EXPECT_NE(must(statement(failed.set("out_trade_no", "T1002"))).message_key, key);
}

TEST_F(WechatpayV2, MoneyIsDigits) {
  for (const char* fee :
       {"", "88.88", "-1", "+1", "1e2", " 1", "01", "0x1", "１", "9223372036854775808"}) {
    EXPECT_EQ(adapted(Message::paid().set("total_fee", fee)), "body_malformed") << fee;
  }
  const auto currency = [&](Message message) {
    return std::string(must(statement(std::move(message))).facts.at(0).money->currency().code());
  };
  EXPECT_EQ(currency(Message::paid().set("fee_type", "USD")), "USD");
  EXPECT_EQ(currency(Message::paid().remove("fee_type")), "CNY");
  EXPECT_EQ(adapted(Message::paid().set("fee_type", "cny")), "body_malformed");
}

TEST_F(WechatpayV2, IdsAndTimesHaveAGrammar) {
  for (const char* name : {"out_trade_no", "transaction_id"}) {
    EXPECT_EQ(adapted(Message::paid().remove(name)), "body_malformed") << name;
    EXPECT_EQ(adapted(Message::paid().set(name, std::string(129, 'x'))), "body_malformed");
    EXPECT_EQ(adapted(Message::paid().set(name, "a\nb")), "body_malformed");
  }
  EXPECT_EQ(adapted(Message::paid().set("time_end", "2026-01-05")), "body_malformed");
  EXPECT_EQ(must(statement(Message::paid().remove("time_end"))).facts.at(0).occurred_at,
            test_now());
}

// --- refund notices --------------------------------------------------------------------------

TEST_F(WechatpayV2, ARefundNoticeIsAHint) {
  const VerifiedCallback callback = must(channel_->verify(Message::refund().request(), test_now()));
  EXPECT_EQ(callback.trust(), Trust::kEncrypted);
  EXPECT_EQ(callback.scheme(), "AES-256-ECB");
  const Statement said = must(channel_->adapt(callback));
  EXPECT_EQ(said.purpose, Purpose::kToBeConfirmed);
  EXPECT_EQ(said.message_key, "50000408942018111907145868882 SUCCESS");
  ASSERT_EQ(said.facts.size(), 1U);
  EXPECT_EQ(said.facts[0].kind, FactKind::kRefund);
  EXPECT_EQ(said.facts[0].attempt.number, "T1001");
  EXPECT_EQ(said.facts[0].payment_id, "1004400740201409030005092168");
  EXPECT_EQ(said.facts[0].refund_id, "50000408942018111907145868882");
  EXPECT_EQ(said.facts[0].money->minor(), 2000);
  EXPECT_EQ(said.facts[0].occurred_at, *parse_china_time("2026-01-06 09:00:00"));
}

TEST_F(WechatpayV2, FailedRefundsAreHintsToo) {
  for (const char* status : {"CHANGE", "REFUNDCLOSE"}) {
    const Statement said = must(statement(Message::refund(status)));
    EXPECT_EQ(said.purpose, Purpose::kToBeConfirmed);
    EXPECT_EQ(said.facts.at(0).kind, FactKind::kRefundFailure) << status;
  }
  EXPECT_EQ(must(statement(Message::refund("PROCESSING"))).purpose, Purpose::kNothing);
}

TEST_F(WechatpayV2, ARefundNoticeCannotBecomeAPayment) {
  // Outer fields are not protected: whatever stands there, only a hint comes out.
  Message message = Message::refund();
  message.set("result_code", "SUCCESS").set("combine_mch_id", "10000100");
  EXPECT_NE(adapted(message), "ok");
  message.remove("combine_mch_id");
  EXPECT_EQ(must(statement(message)).purpose, Purpose::kToBeConfirmed);
  // And they cannot replace what was inside.
  EXPECT_EQ(adapted(message.set("refund_fee", "1")), "key_duplicate");
}

TEST_F(WechatpayV2, RefusesRefundNoticesItCannotOpen) {
  const std::string key = Message().api_key;
  const std::string sealed = Message::refund().fields.back().second;
  std::vector<std::string> codes;
  for (const std::string& text :
       {std::string("not base64"), sealed.substr(0, sealed.size() - 4), sealed + "AAAA",
        sealed.substr(24), std::string("AAAA"), std::string(100'000, 'A')}) {
    EXPECT_EQ(verdict(Message::refund().set("req_info", text)), "decryption_failed");
  }
  EXPECT_EQ(verdict(refund_with("<root></root>", "00000000000000000000000000000001")),
            "decryption_failed");
  for (const char* plaintext :
       {"", "x", "<xml/>", "<!DOCTYPE root><root/>", "<root><a>1</a><a>2</a></root>",
        "<root><a><b/></a></root>", "<root>\xB2\xE2</root>"}) {
    EXPECT_EQ(verdict(refund_with(plaintext, key)), "decryption_failed") << plaintext;
  }
  EXPECT_EQ(adapted(refund_with("<root></root>", key)), "body_malformed");
}

TEST_F(WechatpayV2, OpensRefundsWithAnyKeyWhileRotating) {
  use(wechatpay_v2_account().set("api_keys",
                                 std::vector<std::string>{"00000000000000000000000000000001"}));
  EXPECT_EQ(verdict(Message::refund()), "ok");
  EXPECT_EQ(verdict(refund_with("<root><a>1</a></root>", "00000000000000000000000000000001")),
            "ok");
}

TEST_F(WechatpayV2, AKeyIsRightOnlyIfWhatItOpensCanBeRead) {
  // Once in 256 times a wrong key finds its padding in order. Here it is tried first.
  const std::string wrong = Message().api_key;
  const std::string right = "00000000000000000000000000000001";
  use(wechatpay_v2_account().set("api_keys", std::vector{right}));
  int met = 0;
  for (int i = 1000; i < 9999 && met < 2; ++i) {
    // 16 bytes and 15 more, so that the number changes the block that ends with the padding.
    const Message message =
        refund_with("<root><aaaaaaa/><b" + std::to_string(i) + "/></root>", right);
    const std::string req_info = message.fields.back().second;
    if (!decrypt_wechatpay_v2_refund(req_info, Secret(wrong))) continue;
    ++met;
    EXPECT_EQ(verdict(message), "ok");
  }
  EXPECT_EQ(met, 2);
}

// --- combined payments -----------------------------------------------------------------------

TEST_F(WechatpayV2, CombinedPaymentsSettleEachOrder) {
  use(wechatpay_v2_account().set("sub_merchants", std::vector<std::string>{"10000101"}));
  const Statement said = must(statement(combined(kTwoOrders)));
  ASSERT_EQ(said.facts.size(), 2U);
  EXPECT_EQ(said.facts[0].attempt.number, "SUB-1");
  EXPECT_EQ(said.facts[0].attempt.sub_merchant, "");
  EXPECT_EQ(said.facts[0].money->minor(), 10);
  EXPECT_EQ(said.facts[0].occurred_at, *parse_china_time("2026-01-05 10:00:07"));
  EXPECT_EQ(said.facts[1].attempt.sub_merchant, "10000101");
  EXPECT_EQ(said.facts[1].occurred_at, test_now());
  EXPECT_TRUE(said.left_out.empty());
}

TEST_F(WechatpayV2, ABadPartSpoilsOnlyItself) {
  const auto left_out = [&](std::string list) {
    const Statement said = must(statement(combined(std::move(list))));
    EXPECT_EQ(said.facts.size(), 1U);
    return said.left_out.at(0);
  };
  EXPECT_EQ(left_out(kTwoOrders), "SUB-2: sub_merchant_mismatch");
  use(wechatpay_v2_account().set("sub_merchants", std::vector<std::string>{"10000101"}));
  EXPECT_EQ(left_out(two_orders(":20,", ":\"20\",")), "SUB-2: body_malformed");
  EXPECT_EQ(left_out(two_orders(":10,", ":10.5,")), "SUB-1: body_malformed");
  EXPECT_EQ(left_out(two_orders("\"T1\"", "1")), "SUB-1: body_malformed");
}

TEST_F(WechatpayV2, RefusesCombinedPaymentsOfOthersAndBrokenLists) {
  Message message = combined(kTwoOrders);
  EXPECT_EQ(adapted(Message(message).set("combine_mch_id", "10000101")), "merchant_mismatch");
  EXPECT_EQ(adapted(Message(message).remove("combine_mch_id")), "merchant_mismatch");
  EXPECT_EQ(adapted(Message(message).set("combine_appid", "wx0")), "app_mismatch");
  EXPECT_EQ(adapted(combined(two_orders("10000100", "10000199"))), "sub_merchant_mismatch");
  EXPECT_EQ(adapted(combined(two_orders("\"order_num\":2", "\"order_num\":3"))), "body_malformed");
  EXPECT_EQ(adapted(combined(two_orders("\"out_trade_no\"", "\"mch_id\""))), "key_duplicate");
  EXPECT_EQ(adapted(combined("[]")), "body_malformed");
  EXPECT_EQ(adapted(Message(message).remove("sub_order_list")), "body_malformed");
  EXPECT_EQ(adapted(combined(two_orders(":10,", ":\"10\","))), "body_malformed");
  EXPECT_EQ(must(statement(Message(message).set("result_code", "FAIL"))).purpose,
            Purpose::kNothing);
}

// --- settings --------------------------------------------------------------------------------

[[nodiscard]] std::string make(FakeSettings settings) {
  return code_of(make_wechatpay_v2(settings));
}

TEST(WechatpayV2Settings, NeedsIdsAndAKey) {
  EXPECT_EQ(make(wechatpay_v2_account()), "ok");
  EXPECT_EQ(make(wechatpay_v2_account().remove("mch_id")), "setting_missing");
  EXPECT_EQ(make(wechatpay_v2_account().remove("api_key")), "setting_missing");
  EXPECT_EQ(make(wechatpay_v2_account().remove("app_id")), "setting_malformed");
  for (const char* key :
       {"", "changeme", "                                ", "00000000000000000000000000000000"}) {
    EXPECT_EQ(make(wechatpay_v2_account().set("api_key", key)), "setting_malformed") << key;
  }
  for (const char* type : {"", "md5", "SHA256", "none"}) {
    EXPECT_EQ(make(wechatpay_v2_account().set("sign_types", std::vector<std::string>{type})),
              "setting_malformed");
  }
}

TEST(WechatpayV2Settings, AsksForEveryKeyItKnows) {
  FakeSettings settings = wechatpay_v2_account();
  settings.set("app_ids", std::vector<std::string>{"wx1"});
  settings.set("api_keys", std::vector<std::string>{});
  settings.set("sign_types", std::vector<std::string>{"MD5"});
  settings.set("sub_merchants", std::vector<std::string>{});
  settings.set("typo", "x");
  EXPECT_TRUE(make_wechatpay_v2(settings));
  EXPECT_EQ(settings.never_read(), std::vector<std::string>{"typo"});
}

}  // namespace
}  // namespace postern::channel
