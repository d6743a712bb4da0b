// Goal: WeChat Pay's v3 channel takes a genuine callback, says what it says, and refuses every
// dishonest one (attacks W07 to W17, H47, J01 to J08, S01 to S12; promises P3 and P4).
// Method: messages signed and sealed with keys made here, then bent in one place: unsigned changes
// must not verify, re-signed ones must be judged by what they say.

#include "channel/wechatpay_v3.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/value.hpp>
#include <string>

#include "channel/json.h"
#include "core/fact.h"
#include "crypto/certificate.h"
#include "crypto/encoding.h"
#include "tests/channel/accounts.h"

namespace postern::channel {
namespace {

using core::FactKind;
using Purpose = Statement::Purpose;
using Message = WechatpayV3Message;

class WechatpayV3 : public testing::Test {
 protected:
  [[nodiscard]] std::string verdict(const HttpRequest& request) const {
    return code_of(channel_->verify(request, test_now()));
  }
  [[nodiscard]] std::string verdict(const Message& message) const {
    return verdict(message.request());
  }
  [[nodiscard]] Result<Statement> statement(const Message& message) const {
    const auto callback = channel_->verify(message.request(), test_now());
    if (!callback) return std::unexpected(callback.error());
    return channel_->adapt(*callback);
  }
  [[nodiscard]] std::string adapted(const Message& message) const {
    return code_of(statement(message));
  }
  void use(FakeSettings settings) { channel_ = must(make_wechatpay_v3(settings)); }

  std::unique_ptr<Channel> channel_ = [] {
    FakeSettings settings = wechatpay_v3_account();
    return must(make_wechatpay_v3(settings));
  }();
};

[[nodiscard]] core::Money cny(std::int64_t minor) {
  return core::Money::of(minor, must(core::Currency::parse("CNY")));
}

/// `request` with the header `name` replaced; removed where `value` is empty.
[[nodiscard]] HttpRequest with_header(const HttpRequest& request, std::string_view name,
                                      std::string_view value) {
  HttpRequest changed = request;
  changed.headers = {};
  for (const std::string_view known : {"Content-Type", "Wechatpay-Timestamp", "Wechatpay-Nonce",
                                       "Wechatpay-Serial", "Wechatpay-Signature"}) {
    if (known != name) changed.headers.add(known, *request.headers.only(known));
  }
  if (!value.empty()) changed.headers.add(name, value);
  return changed;
}

// --- the genuine message ---------------------------------------------------------------------

TEST_F(WechatpayV3, TellsAPayment) {
  const VerifiedCallback callback = must(channel_->verify(Message::paid().request(), test_now()));
  EXPECT_EQ(callback.key_id(), "PUB_KEY_ID_0100000000000000000000000000000001");
  EXPECT_EQ(callback.scheme(), "WECHATPAY2-SHA256-RSA2048");
  EXPECT_EQ(callback.trust(), Trust::kSigned);
  EXPECT_EQ(callback.message_id(), "a1f5b3c2-0000-5000-8000-000000000001");
  EXPECT_EQ(callback.event_type(), "TRANSACTION.SUCCESS");
  const Statement said = must(channel_->adapt(callback));
  EXPECT_EQ(said.purpose, Purpose::kFacts);
  EXPECT_EQ(said.summary, "TRANSACTION.SUCCESS SUCCESS");
  ASSERT_EQ(said.facts.size(), 1U);
  const core::Fact& fact = said.facts[0];
  EXPECT_EQ(fact.kind, FactKind::kPayment);
  EXPECT_EQ(fact.attempt, (core::AttemptKey{AccountName::trusted("shop"), "", "T1001"}));
  EXPECT_EQ(fact.payment_id, "4200002026010512345678901234");
  // What was ordered, not what the payer paid after discounts.
  EXPECT_EQ(fact.money, cny(8888));
  EXPECT_EQ(fact.occurred_at, *parse_rfc3339("2026-01-05T10:00:07+08:00"));
}

TEST_F(WechatpayV3, AnswersExactly) {
  EXPECT_EQ(channel_->channel_name(), "wechatpay-v3");
  EXPECT_EQ(channel_->ack(Ack::kAccepted).code, 204U);
  EXPECT_EQ(channel_->ack(Ack::kAccepted).body, "");
  for (const auto& [ack, code] : {std::pair{Ack::kRefused, 401U}, {Ack::kRetryLater, 503U}}) {
    EXPECT_EQ(channel_->ack(ack).code, code);
    EXPECT_EQ(channel_->ack(ack).content_type, "application/json");
    EXPECT_EQ(channel_->ack(ack).body,
              "{\"code\":\"FAIL\",\"message\":\"\xE5\xA4\xB1\xE8\xB4\xA5\"}");
  }
}

// --- headers ---------------------------------------------------------------------------------

TEST_F(WechatpayV3, RefusesMissingAndRepeatedHeaders) {
  const HttpRequest genuine = Message::paid().request();
  for (const char* name :
       {"Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature"}) {
    EXPECT_EQ(verdict(with_header(genuine, name, "")), "header_missing") << name;
    HttpRequest repeated = genuine;
    std::string lower(name);
    lower[0] = 'w';
    repeated.headers.add(lower, *genuine.headers.only(name));
    EXPECT_EQ(verdict(repeated), "header_duplicate") << name;
  }
  Message message = Message::paid();
  message.more_headers = {{"Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048"}};
  EXPECT_EQ(verdict(message), "ok");
  message.more_headers.push_back(message.more_headers.front());
  EXPECT_EQ(verdict(message), "header_duplicate");
}

TEST_F(WechatpayV3, RefusesOtherSignatureTypes) {
  for (const char* type : {"WECHATPAY2-SM2-WITH-SM3", "WECHATPAY2-RSA2048-SHA1", "none", "", "x"}) {
    Message message = Message::paid();
    message.more_headers = {{"Wechatpay-Signature-Type", type}};
    EXPECT_EQ(verdict(message), "algorithm_not_allowed") << type;
  }
}

TEST_F(WechatpayV3, RefusesOtherContentTypes) {
  const HttpRequest genuine = Message::paid().request();
  for (const char* type : {"", "text/plain", "text/xml", "application/json; charset=utf-7"}) {
    EXPECT_EQ(verdict(with_header(genuine, "Content-Type", type)), "content_type_wrong") << type;
  }
}

TEST_F(WechatpayV3, TimestampHasAWindow) {
  const auto at = [&](std::int64_t now_ms, const std::string& timestamp) {
    Message message = Message::paid();
    message.timestamp = timestamp;
    return code_of(
        channel_->verify(message.request(), TimePoint(std::chrono::milliseconds(now_ms))));
  };
  EXPECT_EQ(at(1'767'578'408'000, "1767578408"), "ok");
  EXPECT_EQ(at(1'767'578'707'999, "1767578408"), "ok");
  EXPECT_EQ(at(1'767'578'708'000, "1767578408"), "timestamp_outside_window");
  EXPECT_EQ(at(1'767'578'108'001, "1767578408"), "ok");
  EXPECT_EQ(at(1'767'578'108'000, "1767578408"), "timestamp_outside_window");
  for (const char* timestamp : {"1000000000", "999999999999"}) {
    EXPECT_EQ(at(1'767'578'408'000, timestamp), "timestamp_outside_window") << timestamp;
  }
  for (const char* timestamp :
       {"1767578408000", "-1767578408", "+1767578408", " 1767578408", "1767578408 ", "1e9", "0x1",
        "01767578408", "1767578408.0", "", "0", "99999999999999999999"}) {
    const std::string code = at(1'767'578'408'000, timestamp);
    EXPECT_EQ(code, "timestamp_malformed") << timestamp;
  }
}

TEST_F(WechatpayV3, NonceHasAGrammar) {
  for (const std::string& nonce :
       {std::string(129, 'n'), std::string(1024, 'n'), std::string("a\tb"), std::string("a\x7F"),
        std::string("a\nb"), std::string("\xE4\xB8\xAD"), std::string()}) {
    Message message = Message::paid();
    message.nonce = nonce;
    EXPECT_EQ(verdict(message), "nonce_malformed") << nonce;
  }
  Message message = Message::paid();
  message.nonce = std::string(128, 'n');
  EXPECT_EQ(verdict(message), "ok");
}

TEST_F(WechatpayV3, PartsCannotTradeBytes) {
  // The signed text of timestamp "1767578408", nonce "a" and a body that begins with a line can be
  // cut in other places; the grammars leave one cut only (W12).
  Message message = Message::paid();
  message.nonce = "a\nb";
  HttpRequest request = message.request();
  EXPECT_EQ(verdict(request), "nonce_malformed");
  request = with_header(request, "Wechatpay-Nonce", "a");
  request.body = "b\n" + request.body;
  EXPECT_EQ(verdict(request), "body_malformed");
}

TEST_F(WechatpayV3, KeyIsTheOneNamed) {
  Message message = Message::paid();
  message.serial = "pub_key_id_0100000000000000000000000000000001";
  EXPECT_EQ(verdict(message), "ok");
  for (const char* serial : {"PUB_KEY_ID_0100000000000000000000000000000002", "5157F09EFDC096DE",
                             "", "PUB_KEY_ID_01000000000000000000000000000000010", "PUB_KEY_ID_"}) {
    message.serial = serial;
    EXPECT_EQ(verdict(message), "key_unknown") << serial;
  }
}

TEST_F(WechatpayV3, CertificatesAndKeysStandSideBySide) {
  const auto certificate = must(crypto::Certificate::self_signed(
      next_platform_key(), "Tenpay", "5157F09EFDC096DE15EBE81A47057A72AABBCCDD",
      test_now() - std::chrono::hours(1), test_now() + std::chrono::hours(1)));
  use(wechatpay_v3_account().set("platform_certificates", std::vector{certificate.pem()}));
  Message message = Message::paid();
  EXPECT_EQ(verdict(message), "ok");
  message.serial = "5157f09efdc096de15ebe81a47057a72aabbccdd";
  EXPECT_EQ(verdict(message.request(next_platform_key())), "ok");
  // Each verifies only what names it.
  EXPECT_EQ(verdict(message.request(platform_key())), "signature_not_verified");
  EXPECT_EQ(verdict(Message::paid().request(next_platform_key())), "signature_not_verified");
  const auto at = [&](TimePoint now) {
    Message timely = message;
    timely.timestamp =
        std::to_string(std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count());
    return code_of(channel_->verify(timely.request(next_platform_key()), now));
  };
  EXPECT_EQ(at(test_now() + std::chrono::minutes(59)), "ok");
  EXPECT_EQ(at(test_now() + std::chrono::hours(1)), "certificate_expired");
  EXPECT_EQ(at(test_now() - std::chrono::minutes(61)), "certificate_expired");
}

// --- the signature ---------------------------------------------------------------------------

TEST_F(WechatpayV3, AnyUnsignedChangeIsRefused) {
  const HttpRequest genuine = Message::paid().request();
  for (std::size_t i = 0; i < genuine.body.size(); i += 3) {
    HttpRequest flipped = genuine;
    flipped.body[i] = static_cast<char>(flipped.body[i] ^ (1 << (i % 8)));
    EXPECT_EQ(verdict(flipped), "signature_not_verified") << i;
  }
  EXPECT_EQ(verdict(with_header(genuine, "Wechatpay-Nonce", "other")), "signature_not_verified");
  EXPECT_EQ(verdict(with_header(genuine, "Wechatpay-Timestamp", "1767578409")),
            "signature_not_verified");
  HttpRequest padded = genuine;
  padded.body += "\n";
  EXPECT_EQ(verdict(padded), "signature_not_verified");
  EXPECT_EQ(verdict(Message::paid().request(attacker_key())), "signature_not_verified");
}

TEST_F(WechatpayV3, RefusesBadSignatures) {
  const HttpRequest genuine = Message::paid().request();
  const std::string sign{*genuine.headers.only("Wechatpay-Signature")};
  for (const std::string& text :
       {std::string("null"), std::string("{}"), sign.substr(1), sign + "A", sign + sign, sign + "=",
        sign.substr(0, sign.size() - 2), sign.substr(0, 100) + "\t" + sign.substr(100),
        std::string(1'000'000, 'A'), crypto::base64_encode(std::string(256, '\0')),
        crypto::base64_encode(std::string(257, '\1'))}) {
    const std::string code = verdict(with_header(genuine, "Wechatpay-Signature", text));
    EXPECT_TRUE(code == "signature_malformed" || code == "signature_not_verified") << code;
  }
  HttpRequest blank = with_header(genuine, "Wechatpay-Signature", "");
  blank.headers.add("Wechatpay-Signature", "");
  EXPECT_EQ(verdict(blank), "signature_missing");
}

TEST_F(WechatpayV3, ProbesAreRefusedUnderTheirOwnCode) {
  const HttpRequest genuine = Message::paid().request();
  const std::string sign{*genuine.headers.only("Wechatpay-Signature")};
  EXPECT_EQ(verdict(with_header(genuine, "Wechatpay-Signature", "WECHATPAY/SIGNTEST/" + sign)),
            "probe");
  Message message = Message::paid();
  message.serial = "ANY";
  EXPECT_EQ(
      verdict(with_header(message.request(), "Wechatpay-Signature", "WECHATPAY/SIGNTEST/" + sign)),
      "probe");
}

// --- envelope and sealing --------------------------------------------------------------------

TEST_F(WechatpayV3, RefusesMalformedEnvelopes) {
  const Message message = Message::paid();
  const std::string body = message.body();
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string text = body;
    const std::size_t place = text.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    text.replace(place, from.size(), to);
    return verdict(message.request_with(text, text));
  };
  EXPECT_EQ(changed("\"summary\"", "\"id\""), "key_duplicate");
  EXPECT_EQ(changed("\"original_type\"", "\"nonc\\u0065\""), "key_duplicate");
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"id\"", "\"ID\""},
           {"\"event_type\":\"TRANSACTION.SUCCESS\"", "\"event_type\":1"},
           {"\"resource_type\":\"encrypt-resource\"", "\"resource_type\":\"plain\""},
           {"\"resource\":", "\"Resource\":"},
           {"\"nonce\":\"fdasflkja484\"", "\"nonce\":\"\""},
           {"\"nonce\":\"fdasflkja484\"", "\"nonce\":null"},
           {"\"ciphertext\"", "\"ciphertex\""},
           {"\"associated_data\":\"transaction\"", "\"associated_data\":1"},
           {"{", "[{"},
           {"}}", "}}x"}}) {
    EXPECT_EQ(changed(from, to), "body_malformed") << from;
  }
  for (const char* text : {"", "null", "[]", "{}", "\xEF\xBB\xBF{}", "{\"resource\":{}}"}) {
    EXPECT_EQ(verdict(message.request_with(text, text)), "body_malformed") << text;
  }
  EXPECT_EQ(changed("fdasflkja484", "fdasflkja48"), "decryption_failed");
  EXPECT_EQ(changed("fdasflkja484", "fdasflkja4845"), "decryption_failed");
  EXPECT_EQ(changed("\"associated_data\":\"transaction\"", "\"associated_data\":\"refund\""),
            "decryption_failed");
  EXPECT_EQ(changed("\"associated_data\":\"transaction\"", "\"x\":1"), "decryption_failed");
}

TEST_F(WechatpayV3, RefusesOtherSealing) {
  for (const char* algorithm : {"AEAD_AES_128_GCM", "none", "", "aead_aes_256_gcm"}) {
    Message message = Message::paid();
    message.algorithm = algorithm;
    EXPECT_EQ(verdict(message), "algorithm_not_allowed") << algorithm;
  }
  Message message = Message::paid();
  message.api_v3_key = "FEDCBA9876543210fedcba9876543210";
  EXPECT_EQ(verdict(message), "decryption_failed");
  const std::string body = Message::paid().body();
  for (const char* ciphertext : {"", "AAAA", "AAAAAAAAAAAAAAAAAAAA", "A===", "not base64"}) {
    std::string text = body;
    const std::size_t begin = text.find("\"ciphertext\":\"") + 14;
    text.replace(begin, text.find('"', begin) - begin, ciphertext);
    EXPECT_EQ(verdict(message.request_with(text, text)), "body_malformed") << ciphertext;
  }
  // The tag is the last 16 bytes; a changed one opens nothing.
  std::string text = body;
  const std::size_t end = text.find('"', text.find("\"ciphertext\":\"") + 14);
  text[end - 8] = text[end - 8] == 'A' ? 'B' : 'A';
  EXPECT_EQ(verdict(message.request_with(text, text)), "decryption_failed");
}

TEST_F(WechatpayV3, AssociatedDataMayBeAbsentOrEmpty) {
  Message message = Message::paid();
  message.associated_data = "";
  EXPECT_EQ(verdict(message), "ok");
  for (const char* instead : {"\"associated_data\":null", "\"x\":1"}) {
    std::string text = message.body();
    const std::string_view from = "\"associated_data\":\"\"";
    text.replace(text.find(from), from.size(), instead);
    EXPECT_EQ(verdict(message.request_with(text, text)), "ok") << instead;
  }
}

TEST_F(WechatpayV3, OpensWithAnyKeyWhileRotating) {
  use(wechatpay_v3_account().set("api_v3_keys",
                                 std::vector<std::string>{"FEDCBA9876543210fedcba9876543210"}));
  Message message = Message::paid();
  EXPECT_EQ(verdict(message), "ok");
  message.api_v3_key = "FEDCBA9876543210fedcba9876543210";
  EXPECT_EQ(verdict(message), "ok");
}

TEST_F(WechatpayV3, ContentIsTheEnvelopeWithThePlaintext) {
  const VerifiedCallback callback = must(channel_->verify(Message::paid().request(), test_now()));
  const auto& envelope = std::get<boost::json::object>(callback.content());
  EXPECT_EQ(json_text(envelope, "create_time"), "2026-01-05T10:00:08+08:00");
  const auto* resource = json_object(envelope, "resource");
  ASSERT_NE(resource, nullptr);
  EXPECT_FALSE(resource->contains("ciphertext"));
  EXPECT_EQ(json_text(*json_object(*resource, "plaintext"), "out_trade_no"), "T1001");
}

// --- settings --------------------------------------------------------------------------------

[[nodiscard]] std::string make(FakeSettings settings) {
  return code_of(make_wechatpay_v3(settings));
}

TEST(WechatpayV3Settings, NeedsIdsAndKeys) {
  EXPECT_EQ(make(wechatpay_v3_account()), "ok");
  EXPECT_EQ(make(wechatpay_v3_account().remove("mchid")), "setting_missing");
  EXPECT_EQ(make(wechatpay_v3_account().remove("api_v3_key")), "setting_missing");
  EXPECT_EQ(make(wechatpay_v3_account().remove("app_id")), "setting_malformed");
  EXPECT_EQ(make(wechatpay_v3_account().remove("platform_public_key_ids")), "setting_malformed");
  FakeSettings no_keys = wechatpay_v3_account();
  no_keys.remove("platform_public_keys").remove("platform_public_key_ids");
  EXPECT_EQ(make(no_keys), "setting_malformed");
}

TEST(WechatpayV3Settings, RefusesWeakAndMixedUpKeys) {
  for (const char* key : {"", "changeme", "0123456789abcdef", "                                ",
                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "0123456789abcdefABCDEFGHIJKLMNOPQ",
                          "0123456789abcdefABCDEFGHIJKLMNO\n"}) {
    EXPECT_EQ(make(wechatpay_v3_account().set("api_v3_key", key)), "setting_malformed") << key;
  }
  for (const char* id : {"", "PUB_KEY_ID_", "0100000000000000000000000000000001"}) {
    EXPECT_EQ(
        make(wechatpay_v3_account().set("platform_public_key_ids", std::vector<std::string>{id})),
        "setting_malformed")
        << id;
  }
  const std::string key = platform_key().public_key().pem();
  EXPECT_EQ(make(wechatpay_v3_account()
                     .set("platform_public_keys", std::vector{key, key})
                     .set("platform_public_key_ids",
                          std::vector<std::string>{"PUB_KEY_ID_a1", "pub_key_id_A1"})),
            "setting_malformed");
  EXPECT_EQ(make(wechatpay_v3_account()
                     .set("platform_public_keys", std::vector{key, key})
                     .set("platform_public_key_ids",
                          std::vector<std::string>{"PUB_KEY_ID_a1", "PUB_KEY_ID_A1"})),
            "setting_malformed");
  EXPECT_EQ(
      make(wechatpay_v3_account().set("platform_certificates", std::vector<std::string>{"x"})),
      "setting_malformed");
}

TEST(WechatpayV3Settings, AsksForEveryKeyItKnows) {
  FakeSettings settings = wechatpay_v3_account();
  settings.set("app_ids", std::vector<std::string>{"wx1"});
  settings.set("api_v3_keys", std::vector<std::string>{});
  settings.set("platform_certificates", std::vector<std::string>{});
  settings.set("sub_merchants", std::vector<std::string>{});
  settings.set("typo", "x");
  EXPECT_TRUE(make_wechatpay_v3(settings));
  EXPECT_EQ(settings.never_read(), std::vector<std::string>{"typo"});
}

}  // namespace
}  // namespace postern::channel
