// Goal: Alipay's channel takes a genuine notification, says what it says, and refuses every
// dishonest one (attacks A01 to A15, P01 to P16, S01 to S12; promises P3 and P4).
// Method: messages signed with a key made here, then bent in one place: unsigned changes must not
// verify, re-signed ones must be judged by what they say.

#include "channel/alipay.h"

#include <gtest/gtest.h>

#include <string>

#include "channel/alipay_openapi.h"
#include "channel/alipay_signature.h"
#include "channel/form.h"
#include "core/fact.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"
#include "tests/channel/accounts.h"

namespace postern::channel {
namespace {

using core::FactKind;
using Purpose = Statement::Purpose;

class Alipay : public testing::Test {
 protected:
  [[nodiscard]] std::string verdict(const AlipayMessage& message) const {
    return code_of(channel_->verify(message.request(), test_now()));
  }
  [[nodiscard]] std::string verdict(const std::string& body) const {
    return code_of(channel_->verify(form_request(body), test_now()));
  }
  [[nodiscard]] Result<Statement> statement(AlipayMessage message) const {
    const auto callback = channel_->verify(message.sign().request(), test_now());
    if (!callback) return std::unexpected(callback.error());
    return channel_->adapt(*callback);
  }
  [[nodiscard]] std::string adapted(const AlipayMessage& message) const {
    return code_of(statement(message));
  }
  void use(FakeSettings settings) { channel_ = must(make_alipay(settings)); }

  std::unique_ptr<Channel> channel_ = [] {
    FakeSettings settings = alipay_account();
    return must(make_alipay(settings));
  }();
};

[[nodiscard]] TimePoint at(std::string_view china_time) {
  return *parse_china_time(china_time);
}

// --- the genuine message ---------------------------------------------------------------------

TEST_F(Alipay, TellsAPayment) {
  const AlipayMessage message = AlipayMessage::paid().sign();
  const VerifiedCallback callback = must(channel_->verify(message.request(), test_now()));
  EXPECT_EQ(callback.scheme(), "RSA2/A");
  EXPECT_EQ(callback.key_id(), platform_key().public_key().fingerprint());
  EXPECT_EQ(callback.trust(), Trust::kSigned);
  EXPECT_EQ(callback.message_id(), "2026010500222100008061041447123456");
  EXPECT_EQ(callback.event_type(), "trade_status_sync");
  EXPECT_EQ(callback.received_at(), test_now());
  const Statement said = must(channel_->adapt(callback));
  EXPECT_EQ(said.purpose, Purpose::kFacts);
  EXPECT_EQ(said.summary, "trade_status_sync TRADE_SUCCESS");
  ASSERT_EQ(said.facts.size(), 1U);
  const core::Fact& fact = said.facts[0];
  EXPECT_EQ(fact.kind, FactKind::kPayment);
  EXPECT_EQ(fact.attempt, (core::AttemptKey{AccountName::trusted("shop"), "", "T1001"}));
  EXPECT_EQ(fact.payment_id, "2026010522001412341000123456");
  EXPECT_EQ(fact.money, core::Money::of(8888, must(core::Currency::parse("CNY"))));
  EXPECT_EQ(fact.occurred_at, at("2026-01-05 10:00:07"));
  EXPECT_EQ(fact.source, core::FactSource::kCallback);
}

TEST_F(Alipay, AnswersExactly) {
  EXPECT_EQ(channel_->channel_name(), "alipay");
  for (const auto& [ack, code, body] :
       {std::tuple{Ack::kAccepted, 200U, "success"}, std::tuple{Ack::kRefused, 400U, "fail"},
        std::tuple{Ack::kRetryLater, 503U, "fail"}}) {
    EXPECT_EQ(channel_->ack(ack).code, code);
    EXPECT_EQ(channel_->ack(ack).content_type, "text/plain");
    EXPECT_EQ(channel_->ack(ack).body, body);
    EXPECT_TRUE(channel_->ack(ack).headers.empty());
  }
}

TEST_F(Alipay, OrderOfFieldsDoesNotMatter) {
  const AlipayMessage message = AlipayMessage::paid().sign();
  std::string reversed;
  for (const auto& [name, value] : message.fields) {
    reversed = percent_encode(name) + "=" + percent_encode(value) +
               (reversed.empty() ? "" : "&" + reversed);
  }
  EXPECT_EQ(verdict(reversed), "ok");
}

TEST_F(Alipay, UnknownSignedFieldsAreWelcome) {
  EXPECT_EQ(verdict(AlipayMessage::paid().set("zz_new", "1").set("dback_status", "").sign()), "ok");
}

// --- the signature ---------------------------------------------------------------------------

TEST_F(Alipay, AnyUnsignedChangeIsRefused) {
  const AlipayMessage genuine = AlipayMessage::paid().sign();
  for (const auto& [name, value] : genuine.fields) {
    // sign_type is not covered by a payment's signature, but only RSA2 is let through.
    AlipayMessage changed = genuine;
    changed.set(name, value + "0");
    EXPECT_NE(verdict(changed), "ok") << name;
    if (name == "sign_type") continue;
    changed = genuine;
    EXPECT_NE(verdict(changed.remove(name)), "ok") << name;
  }
  AlipayMessage added = genuine;
  EXPECT_EQ(verdict(added.set("refund_fee", "88.88")), "signature_not_verified");
}

TEST_F(Alipay, EveryBitOfBodyAndSignatureCounts) {
  const std::string body = AlipayMessage::paid().sign().body();
  for (std::size_t i = 0; i < body.size(); i += 3) {
    std::string flipped = body;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 7)));
    // A flipped bit may spell the same byte: %2b for %2B.
    if (const auto read = parse_form(flipped);
        read && must(parse_form(body)).pairs() == read->pairs()) {
      continue;
    }
    EXPECT_NE(verdict(flipped), "ok") << i;
  }
}

TEST_F(Alipay, RefusesBadSignatures) {
  AlipayMessage message = AlipayMessage::paid().sign();
  const std::string genuine = message.fields["sign"];
  EXPECT_EQ(verdict(message.remove("sign")), "signature_missing");
  EXPECT_EQ(verdict(message.set("sign", "")), "signature_missing");
  const std::string url_safe = [&] {
    std::string text = genuine;
    for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
    return text;
  }();
  for (const std::string& sign :
       {std::string(" "), std::string("null"), std::string("{}"), genuine.substr(1),
        genuine.substr(0, genuine.size() - 1), genuine + "A", genuine + genuine, genuine + "=",
        " " + genuine, genuine + "\n", genuine.substr(0, 172) + "\n" + genuine.substr(172),
        url_safe, std::string(1'000'000, 'A')}) {
    const std::string code = verdict(message.set("sign", sign));
    EXPECT_TRUE(code == "signature_malformed" || code == "signature_not_verified") << code;
  }
  EXPECT_EQ(verdict(message.set("sign", genuine)), "ok");
}

TEST_F(Alipay, RefusesMalleableBase64) {
  // The last letter before "==" carries four bits that decode to nothing.
  AlipayMessage message = AlipayMessage::paid().sign();
  std::string& sign = message.fields["sign"];
  ASSERT_TRUE(sign.ends_with("=="));
  char& last = sign[sign.size() - 3];
  last = last == 'A' ? 'B' : static_cast<char>(last + 1);
  EXPECT_EQ(verdict(message), "signature_malformed");
}

TEST_F(Alipay, RefusesWrongSignaturesOfTheRightShape) {
  AlipayMessage message = AlipayMessage::paid().sign();
  for (const std::string& raw : {std::string(256, '\0'), std::string(256, '\xFF'),
                                 std::string(255, '\1'), std::string(257, '\1'), std::string()}) {
    EXPECT_NE(verdict(message.set("sign", crypto::base64_encode(raw))), "ok");
  }
  EXPECT_EQ(verdict(AlipayMessage::paid().sign(attacker_key())), "signature_not_verified");
  AlipayMessage other = AlipayMessage::paid().set("out_trade_no", "T1002").sign();
  EXPECT_EQ(verdict(message.set("sign", other.fields["sign"])), "signature_not_verified");
}

TEST_F(Alipay, AlgorithmComesFromTheSettings) {
  const auto sha1 = crypto::SignatureScheme::kRsaSha1;
  // A genuine key, but SHA-1 (A01), and SHA-1 that calls itself RSA2 (S09).
  EXPECT_EQ(verdict(AlipayMessage::paid().set("sign_type", "RSA").sign(platform_key(), sha1)),
            "algorithm_not_allowed");
  EXPECT_EQ(verdict(AlipayMessage::paid().sign(platform_key(), sha1)), "signature_not_verified");
  for (const char* type : {"rsa2", " RSA2", "RSA2 ", "MD5", "DSA", "SM2", "none", "", "RSA3"}) {
    EXPECT_EQ(verdict(AlipayMessage::paid().set("sign_type", type).sign()), "algorithm_not_allowed")
        << type;
  }
  use(alipay_account().set("algorithms", std::vector<std::string>{"RSA2", "RSA"}));
  EXPECT_EQ(verdict(AlipayMessage::paid().set("sign_type", "RSA").sign(platform_key(), sha1)),
            "ok");
  EXPECT_EQ(verdict(AlipayMessage::paid().sign()), "ok");
  use(alipay_account().set("algorithms", std::vector<std::string>{"RSA"}));
  EXPECT_EQ(verdict(AlipayMessage::paid().sign()), "algorithm_not_allowed");
  EXPECT_EQ(verdict(AlipayMessage::paid().remove("sign_type").sign(platform_key(), sha1)), "ok");
}

TEST_F(Alipay, WithoutSignTypeItIsRsa2) {
  // The official Node SDK's own test message lacks sign_type; the settings still decide.
  EXPECT_EQ(verdict(AlipayMessage::paid().remove("sign_type").sign()), "ok");
  EXPECT_EQ(verdict(AlipayMessage::paid()
                        .remove("sign_type")
                        .sign(platform_key(), crypto::SignatureScheme::kRsaSha1)),
            "signature_not_verified");
}

TEST_F(Alipay, RefusesADigestInPlaceOfASignature) {
  AlipayMessage message = AlipayMessage::paid().set("sign_type", "MD5");
  message.set("sign", crypto::base64_encode(crypto::digest(crypto::DigestAlgorithm::kMd5, "x")));
  EXPECT_EQ(verdict(message), "algorithm_not_allowed");
  EXPECT_EQ(verdict(message.set("sign_type", "RSA2")), "signature_not_verified");
}

TEST_F(Alipay, KnowsAllWaysToSign) {
  const auto signed_as = [&](AlipayMessage message, AlipayCover cover) {
    Fields fields;
    for (const auto& [name, value] : message.fields) (void)fields.add(name, value);
    const auto signature = platform_key().sign(crypto::SignatureScheme::kRsaSha256,
                                               alipay_signing_text(fields, cover));
    message.set("sign", crypto::base64_encode(must(signature)));
    const auto callback = channel_->verify(message.request(), test_now());
    return callback ? callback->scheme() : std::string(callback.error().code);
  };
  const AlipayMessage rich = AlipayMessage::paid().set("body", "").set("alipay_cert_sn", "12ab");
  EXPECT_EQ(signed_as(rich, AlipayCover::kA), "RSA2/A");
  EXPECT_EQ(signed_as(rich, AlipayCover::kB), "RSA2/B");
  EXPECT_EQ(signed_as(rich, AlipayCover::kC), "RSA2/C");
  EXPECT_EQ(signed_as(rich, AlipayCover::kD), "RSA2/D");
  EXPECT_EQ(signed_as(rich, AlipayCover::kDNoEmpty), "RSA2/D-");
  // Blank counts as empty for the Java SDK.
  EXPECT_EQ(signed_as(AlipayMessage::paid().set("body", " \t"), AlipayCover::kB), "RSA2/B");
}

TEST_F(Alipay, AcceptsAnyOfSeveralKeysWhileRotating) {
  const std::string current = platform_key().public_key().pem();
  const std::string next = next_platform_key().public_key().pem();
  EXPECT_EQ(verdict(AlipayMessage::paid().sign(next_platform_key())), "signature_not_verified");
  use(alipay_account().set("platform_keys", std::vector{current, next}));
  EXPECT_EQ(verdict(AlipayMessage::paid().sign()), "ok");
  const auto callback =
      must(channel_->verify(AlipayMessage::paid().sign(next_platform_key()).request(), test_now()));
  EXPECT_EQ(callback.key_id(), next_platform_key().public_key().fingerprint());
  use(alipay_account().set("platform_keys", std::vector{next}));
  EXPECT_EQ(verdict(AlipayMessage::paid().sign()), "signature_not_verified");
}

// --- the shape -------------------------------------------------------------------------------

TEST_F(Alipay, RefusesOtherShapes) {
  const std::string body = AlipayMessage::paid().sign().body();
  EXPECT_EQ(verdict(body), "ok");
  EXPECT_EQ(verdict(body + "&total_amount=0.01"), "key_duplicate");
  EXPECT_EQ(verdict("total_amount=0.01&" + body), "key_duplicate");
  EXPECT_EQ(verdict(body + "&sign=x"), "key_duplicate");
  EXPECT_EQ(verdict(body + "&"), "body_malformed");
  EXPECT_EQ(verdict("\xEF\xBB\xBF" + body), "body_malformed");
  EXPECT_EQ(verdict(""), "body_malformed");
  HttpRequest request = form_request(body);
  request.headers = {};
  EXPECT_EQ(code_of(channel_->verify(request, test_now())), "content_type_wrong");
  for (const char* type : {"multipart/form-data; boundary=x", "application/json", "text/plain",
                           "application/x-www-form-urlencoded; charset=utf-7"}) {
    request.headers = {};
    request.headers.add("Content-Type", type);
    EXPECT_EQ(code_of(channel_->verify(request, test_now())), "content_type_wrong") << type;
  }
}

TEST_F(Alipay, TheQueryIsNotTheBody) {
  HttpRequest request = AlipayMessage::paid().remove("total_amount").request();
  AlipayMessage complete = AlipayMessage::paid().sign();
  request.target += "?total_amount=88.88&sign=" + percent_encode(complete.fields["sign"]);
  EXPECT_EQ(code_of(channel_->verify(request, test_now())), "signature_missing");
}

TEST_F(Alipay, MergedOrSplitFieldsAreRefused) {
  // The signed text does not escape '&', so "subject=x&total_amount=1.00" can be split in two
  // (P13).
  AlipayMessage genuine = AlipayMessage::paid().set("subject", "x&total_amount=100.00").sign();
  EXPECT_EQ(verdict(genuine), "ok");
  AlipayMessage split = genuine;
  split.set("subject", "x");
  EXPECT_EQ(verdict(split.body() + "&total_amount=100.00"), "key_duplicate");
  // And two fields can be merged into one.
  AlipayMessage merged = AlipayMessage::paid().sign();
  merged.set("total_amount", "88.88&trade_no=" + merged.fields["trade_no"]).remove("trade_no");
  const auto callback = channel_->verify(merged.request(), test_now());
  ASSERT_TRUE(callback);
  EXPECT_EQ(code_of(channel_->adapt(*callback)), "body_malformed");
  merged = AlipayMessage::paid().set("passback_params", "x").sign();
  merged.set("out_trade_no", "T1001&passback_params=x").remove("passback_params");
  const auto renamed = channel_->verify(merged.request(), test_now());
  ASSERT_TRUE(renamed);
  EXPECT_EQ(code_of(channel_->adapt(*renamed)), "body_malformed");
  merged = AlipayMessage::paid().sign();
  merged.set("out_trade_no", "T1001&seller_id=2088101122136241").remove("seller_id");
  EXPECT_EQ(verdict(merged), "seller_mismatch");
}

TEST_F(Alipay, ReadsGbkAfterVerifying) {
  AlipayMessage message = AlipayMessage::paid().set("charset", "GBK");
  message.set("subject", "\xB2\xE2\xCA\xD4\xBF\x5C").sign();
  const auto callback = must(channel_->verify(message.request(), test_now()));
  EXPECT_EQ(std::get<Fields>(callback.content()).text("subject"), "测试縗");
  EXPECT_EQ(must(channel_->adapt(callback)).facts.size(), 1U);
}

TEST_F(Alipay, RefusesTextThatIsNotInItsCharset) {
  for (const char* subject : {"\xC0\xAE", "\xED\xA0\x80", "\xF8\x88\x80\x80\x80", "\xB2\xE2"}) {
    EXPECT_EQ(verdict(AlipayMessage::paid().set("subject", subject).sign()), "text_malformed");
  }
  EXPECT_EQ(verdict(AlipayMessage::paid().set("charset", "gbk").set("subject", "\xB2").sign()),
            "text_malformed");
  EXPECT_EQ(verdict(AlipayMessage::paid().set("charset", "utf-7").sign()), "charset_unknown");
  EXPECT_EQ(verdict(AlipayMessage::paid().remove("charset").sign()), "ok");
}

TEST_F(Alipay, ASynchronousReturnIsNoCallback) {
  // Genuinely signed, but it lacks what only a notification has (A12).
  AlipayMessage message = AlipayMessage::paid();
  message.remove("notify_id").remove("notify_type").remove("notify_time").remove("trade_status");
  message.set("method", "alipay.trade.page.pay.return").sign();
  EXPECT_EQ(verdict(message), "body_malformed");
  EXPECT_TRUE(verify_alipay_return(message.body(), platform_key().public_key()));
  EXPECT_FALSE(verify_alipay_return(message.body(), attacker_key().public_key()));
  EXPECT_EQ(verdict(AlipayMessage::paid().remove("notify_id").sign()), "body_malformed");
  EXPECT_EQ(verdict(AlipayMessage::paid().remove("notify_type").sign()), "body_malformed");
}

// --- identity --------------------------------------------------------------------------------

TEST_F(Alipay, RefusesAnotherAppOrSeller) {
  EXPECT_EQ(verdict(AlipayMessage::paid().set("app_id", "2021000000009999").sign()),
            "app_mismatch");
  EXPECT_EQ(verdict(AlipayMessage::paid().remove("app_id").sign()), "app_mismatch");
  EXPECT_EQ(verdict(AlipayMessage::paid().set("seller_id", "2088000000000009").sign()),
            "seller_mismatch");
  EXPECT_EQ(verdict(AlipayMessage::paid().remove("seller_id").sign()), "seller_mismatch");
  EXPECT_EQ(verdict(AlipayMessage::paid().set("seller_id", "").sign()), "seller_mismatch");
  EXPECT_EQ(verdict(AlipayMessage::paid().set("auth_app_id", "2021000000009999").sign()),
            "sub_merchant_mismatch");
  EXPECT_EQ(verdict(AlipayMessage::paid().remove("auth_app_id").sign()), "ok");
}

TEST_F(Alipay, IdentityIsLookedAtOnlyUnderAGoodSignature) {
  AlipayMessage message = AlipayMessage::paid().set("app_id", "2021000000009999");
  EXPECT_EQ(verdict(message.sign(attacker_key())), "signature_not_verified");
}

TEST_F(Alipay, ServiceProviderServesItsListOnly) {
  use(alipay_account()
          .remove("seller_id")
          .set("sellers", std::vector<std::string>{"2021000000000077:2088000000000077",
                                                   "2021000000000077:2088000000000078",
                                                   "2021000000000088:2088000000000088"}));
  const auto message = [](const char* auth_app_id, const char* seller_id) {
    return AlipayMessage::paid().set("auth_app_id", auth_app_id).set("seller_id", seller_id);
  };
  const Statement said = must(statement(message("2021000000000077", "2088000000000078")));
  EXPECT_EQ(said.facts.at(0).attempt.sub_merchant, "2088000000000078");
  EXPECT_EQ(adapted(message("2021000000000077", "2088000000000088")), "seller_mismatch");
  EXPECT_EQ(adapted(message("2021000000000099", "2088000000000077")), "sub_merchant_mismatch");
  EXPECT_EQ(adapted(message("2021000000000001", "2088101122136241")), "sub_merchant_mismatch");
  use(alipay_account().set("sellers",
                           std::vector<std::string>{"2021000000000077:2088000000000077"}));
  EXPECT_EQ(must(statement(AlipayMessage::paid())).facts.at(0).attempt.sub_merchant, "");
  EXPECT_EQ(must(statement(message("2021000000000077", "2088000000000077")))
                .facts.at(0)
                .attempt.sub_merchant,
            "2088000000000077");
}

// --- what it says ----------------------------------------------------------------------------

TEST_F(Alipay, FinishedIsTheSamePayment) {
  const Statement paid = must(statement(AlipayMessage::paid()));
  const Statement finished =
      must(statement(AlipayMessage::paid().set("trade_status", "TRADE_FINISHED")));
  EXPECT_EQ(core::fact_key(paid.facts.at(0)), core::fact_key(finished.facts.at(0)));
  EXPECT_FALSE(core::conflict(paid.facts[0], finished.facts[0]));
}

TEST_F(Alipay, RefundsAreCumulativeAndBringTheirPayment) {
  AlipayMessage message = AlipayMessage::paid().set("refund_fee", "20.00");
  message.set("gmt_refund", "2026-01-06 09:00:00.123").set("out_biz_no", "RF1");
  for (const char* status : {"TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"}) {
    const Statement said = must(statement(message.set("trade_status", status)));
    EXPECT_EQ(said.purpose, Purpose::kFacts);
    ASSERT_EQ(said.facts.size(), 2U);
    EXPECT_EQ(said.facts[0].kind, FactKind::kPayment);
    EXPECT_EQ(said.facts[0].money->minor(), 8888);
    EXPECT_EQ(said.facts[1].kind, FactKind::kRefundTotal);
    EXPECT_EQ(said.facts[1].money->minor(), 2000);
    EXPECT_EQ(said.facts[1].payment_id, said.facts[0].payment_id);
    EXPECT_EQ(said.facts[1].occurred_at, at("2026-01-06 09:00:00.123"));
  }
  EXPECT_EQ(must(statement(message.set("refund_fee", "0.00").set("trade_status", "TRADE_SUCCESS")))
                .facts.size(),
            1U);
}

TEST_F(Alipay, ClosedMeansThreeThings) {
  AlipayMessage closed = AlipayMessage::paid().set("trade_status", "TRADE_CLOSED");
  AlipayMessage unpaid = closed;
  unpaid.remove("gmt_payment").set("gmt_close", "2026-01-05 10:30:00");
  for (const char* refund_fee : {"", "0.00"}) {
    const Statement said = must(statement(unpaid.set("refund_fee", refund_fee)));
    ASSERT_EQ(said.facts.size(), 1U);
    EXPECT_EQ(said.facts[0].kind, FactKind::kClose);
    EXPECT_EQ(said.facts[0].occurred_at, at("2026-01-05 10:30:00"));
  }
  const Statement refunded = must(statement(AlipayMessage(closed).set("refund_fee", "88.88")));
  EXPECT_EQ(refunded.purpose, Purpose::kFacts);
  ASSERT_EQ(refunded.facts.size(), 2U);
  EXPECT_EQ(refunded.facts[1].money, refunded.facts[0].money);
  // Paid once, closed now, no sum: neither paid nor closed may be concluded.
  const Statement doubtful = must(statement(closed));
  EXPECT_EQ(doubtful.purpose, Purpose::kToBeConfirmed);
  EXPECT_EQ(doubtful.message_key, "2026010500222100008061041447123456");
  EXPECT_EQ(doubtful.facts.size(), 2U);
}

TEST_F(Alipay, OtherStatesAndMessagesAreRecordedAsNothing) {
  for (const char* status : {"WAIT_BUYER_PAY", "TRADE_PENDING", "trade_success", "", "PAID"}) {
    const Statement said = must(statement(AlipayMessage::paid().set("trade_status", status)));
    EXPECT_EQ(said.purpose, Purpose::kNothing) << status;
    EXPECT_TRUE(said.facts.empty());
    EXPECT_EQ(said.message_key, "2026010500222100008061041447123456");
  }
  const Statement other =
      must(statement(AlipayMessage::paid().set("notify_type", "servicemarket_order_notify")));
  EXPECT_EQ(other.purpose, Purpose::kNothing);
  EXPECT_EQ(other.summary, "servicemarket_order_notify TRADE_SUCCESS");
  AlipayMessage service = AlipayMessage::paid().set("notify_type", "fund_change");
  EXPECT_EQ(must(statement(service.remove("seller_id").remove("trade_status"))).purpose,
            Purpose::kNothing);
  EXPECT_EQ(adapted(service.set("seller_id", "2088000000000009")), "seller_mismatch");
}

TEST_F(Alipay, MoneyHasOneSpelling) {
  for (const char* sum :
       {"100", "100.0", "100.000", "1e2", " 100.00", "100,00", "+100.00", "-100.00", "1,00.00",
        "１００.00", "", "0100.00", ".50", "100.00 ", "92233720368547758.08", "88.88&x=1"}) {
    EXPECT_EQ(adapted(AlipayMessage::paid().set("total_amount", sum)), "body_malformed") << sum;
  }
  for (const char* sum : {"20", "-20.00", "1e1", "20.000"}) {
    EXPECT_EQ(adapted(AlipayMessage::paid().set("refund_fee", sum)), "body_malformed") << sum;
  }
  EXPECT_EQ(
      must(statement(AlipayMessage::paid().set("total_amount", "0.01"))).facts.at(0).money->minor(),
      1);
}

TEST_F(Alipay, CurrencyIsTheOneOfThePrice) {
  const auto currency = [&](AlipayMessage message) {
    return std::string(must(statement(std::move(message))).facts.at(0).money->currency().code());
  };
  EXPECT_EQ(currency(AlipayMessage::paid()), "CNY");
  EXPECT_EQ(currency(AlipayMessage::paid().set("trans_currency", "USD")), "USD");
  EXPECT_EQ(currency(AlipayMessage::paid().set("pay_currency", "USD")), "USD");
  EXPECT_EQ(currency(AlipayMessage::paid().set("trans_currency", "USD").set("pay_currency", "CNY")),
            "USD");
  EXPECT_EQ(adapted(AlipayMessage::paid().set("trans_currency", "usd")), "body_malformed");
}

TEST_F(Alipay, TimeFallsBackButIsNeverGuessed) {
  const auto time = [&](AlipayMessage message) {
    return must(statement(std::move(message))).facts.at(0).occurred_at;
  };
  AlipayMessage message = AlipayMessage::paid().remove("gmt_payment");
  EXPECT_EQ(time(message), at("2026-01-05 10:00:00"));
  EXPECT_EQ(time(message.remove("gmt_create")), at("2026-01-05 10:00:08"));
  EXPECT_EQ(time(message.remove("notify_time")), test_now());
  EXPECT_EQ(adapted(AlipayMessage::paid().set("gmt_payment", "2026-13-05 10:00:07")),
            "body_malformed");
}

TEST_F(Alipay, IdsHaveAGrammar) {
  for (const char* name : {"out_trade_no", "trade_no"}) {
    EXPECT_EQ(adapted(AlipayMessage::paid().remove(name)), "body_malformed") << name;
    for (const std::string& id : {std::string(), std::string("a\nb"), std::string("a\0b", 3),
                                  std::string(129, 'x'), std::string("a\x1B[2J")}) {
      EXPECT_EQ(adapted(AlipayMessage::paid().set(name, id)), "body_malformed") << name;
    }
  }
  const auto number = [&](const char* id) {
    return must(statement(AlipayMessage::paid().set("out_trade_no", id)))
        .facts.at(0)
        .attempt.number;
  };
  // Nothing is folded or trimmed: these are different orders.
  EXPECT_EQ(number("ABC"), "ABC");
  EXPECT_EQ(number("abc"), "abc");
  EXPECT_EQ(number("ABC "), "ABC ");
}

}  // namespace
}  // namespace postern::channel
