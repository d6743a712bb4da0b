// Goal: for every usual mistake between WeChat Pay v3 and us, the explanation names that mistake,
// and names it as proved.
// Method: make a genuine message, plant one mistake, see that verification fails, and ask why.
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "channel/charset.h"
#include "channel/json.h"
#include "channel/wechatpay_v2.h"
#include "channel/wechatpay_v3.h"
#include "tests/channel/certificates.h"
#include "tests/channel/explained.h"

namespace postern::channel {
namespace {

constexpr std::string_view kOtherApiKey = "OTHER_api_v3_key_of_32_bytes_abc";

[[nodiscard]] std::unique_ptr<Channel> make(FakeSettings settings = wechatpay_v3_account()) {
  return must(make_wechatpay_v3(settings));
}

/// Another account, with another platform key, API key, merchant and app.
[[nodiscard]] std::vector<OtherAccount> neighbour() {
  FakeSettings settings = wechatpay_v3_account();
  settings.set("mchid", "1900000999").set("app_id", "wx_second");
  settings.set("api_v3_key", std::string(kOtherApiKey));
  settings.set("platform_public_keys", std::vector{next_platform_key().public_key().pem()});
  settings.set("platform_public_key_ids", std::vector<std::string>{"PUB_KEY_ID_02"});
  return {{"second", make(settings)->belongings()}};
}

class ExplainWechatpayV3 : public ::testing::Test {
 protected:
  [[nodiscard]] HttpRequest with_body(std::string_view body) const {
    return WechatpayV3Message::paid().request_with(body, WechatpayV3Message::paid().body());
  }

  std::unique_ptr<Channel> channel_ = make();
  const HttpRequest genuine_ = WechatpayV3Message::paid().request();
};

TEST_F(ExplainWechatpayV3, AGenuineMessageIsGenuine) {
  const Explanation explanation = explain({genuine_, *channel_});
  EXPECT_EQ(explanation.verdict, "genuine");
  EXPECT_TRUE(explanation.findings.empty()) << causes(explanation);
  EXPECT_TRUE(explanation.string_to_sign.starts_with("1767578408\\nd8d2c0f7a9b14e0f\\n{\"id\":"))
      << explanation.string_to_sign;
  EXPECT_TRUE(explanation.string_to_sign.ends_with("}\\n"));
}

// P17
TEST_F(ExplainWechatpayV3, WhatSomebodyDecryptedIsNotShown) {
  const Explanation explanation =
      explain({with_body(WechatpayV3Message::paid().plaintext), *channel_});
  EXPECT_EQ(explanation.string_to_sign.find("openid"), std::string::npos);
  EXPECT_NE(explanation.string_to_sign.find(" bytes]"), std::string::npos);
}

TEST_F(ExplainWechatpayV3, KeyOfAnotherAccount) {
  expect_proved({WechatpayV3Message::paid().request(next_platform_key()), *channel_, neighbour()},
                Cause::kOtherAccountsKey);
}

TEST_F(ExplainWechatpayV3, KeyThatNobodyKnows) {
  expect_suspected({WechatpayV3Message::paid().request(attacker_key()), *channel_, neighbour()},
                   Cause::kUnknownKey);
}

TEST_F(ExplainWechatpayV3, KeyThatIsNotConfigured) {
  WechatpayV3Message message = WechatpayV3Message::paid();
  message.serial = "PUB_KEY_ID_0100000000000000000000000000000099";
  expect_proved({message.request(attacker_key()), *channel_}, Cause::kKeyNotConfigured);
}

TEST_F(ExplainWechatpayV3, KeysUnderEachOthersIds) {
  FakeSettings settings = wechatpay_v3_account();
  settings.set("platform_public_keys", std::vector{platform_key().public_key().pem(),
                                                   next_platform_key().public_key().pem()});
  settings.set("platform_public_key_ids",
               std::vector<std::string>{"PUB_KEY_ID_01", "PUB_KEY_ID_02"});
  const auto channel = make(settings);
  WechatpayV3Message message = WechatpayV3Message::paid();
  message.serial = "PUB_KEY_ID_02";
  expect_proved({message.request(platform_key()), *channel}, Cause::kWrongSerial);
}

TEST_F(ExplainWechatpayV3, CertificateThatHasExpired) {
  const auto day = std::chrono::hours(24);
  const std::string certificate =
      issue_certificate({"wechat", platform_key()}, {"wechat", platform_key()},
                        {test_now() - 400 * day, test_now() - day}, "5A");
  FakeSettings settings = wechatpay_v3_account();
  settings.remove("platform_public_keys").remove("platform_public_key_ids");
  settings.set("platform_certificates", std::vector{certificate});
  const auto channel = make(settings);
  WechatpayV3Message message = WechatpayV3Message::paid();
  message.serial = "5A";
  expect_proved({message.request(), *channel}, Cause::kCertificateNotValid);
}

TEST_F(ExplainWechatpayV3, ClockThatIsWrong) {
  Asked asked{genuine_, *channel_};
  asked.received_at = test_now() + std::chrono::minutes(11);
  expect_proved(asked, Cause::kClock);
  EXPECT_NE(explain(asked).findings[0].detail.find("662 s before"), std::string::npos);
  asked.received_at = test_now() - std::chrono::hours(8);
  expect_proved(asked, Cause::kClock);
  EXPECT_NE(explain(asked).findings[0].detail.find("China's time"), std::string::npos);
  asked.received_at.reset();
  EXPECT_EQ(explain(asked).verdict, "genuine") << "nobody knows when it came";
}

TEST_F(ExplainWechatpayV3, HeaderDropped) {
  expect_proved({with_header_renamed(genuine_, "Wechatpay-Serial", ""), *channel_},
                Cause::kHeaderMissing);
}

TEST_F(ExplainWechatpayV3, HeaderRenamedByAProxy) {
  for (const char* name : {"X-Wechatpay-Nonce", "Wechatpay_Nonce", "HTTP_WECHATPAY_NONCE"}) {
    expect_proved({with_header_renamed(genuine_, "Wechatpay-Nonce", name), *channel_},
                  Cause::kHeaderRenamed);
  }
}

TEST_F(ExplainWechatpayV3, HeaderDoubledByAProxy) {
  HttpRequest request = genuine_;
  request.headers.add("Wechatpay-Timestamp", "1767578408");
  expect_proved({request, *channel_}, Cause::kHeaderDoubled);
}

TEST_F(ExplainWechatpayV3, ContentTypeDropped) {
  expect_proved({with_header_renamed(genuine_, "Content-Type", ""), *channel_},
                Cause::kContentType);
}

TEST_F(ExplainWechatpayV3, JsonWrittenWithOtherWhiteSpace) {
  const std::string body =
      replaced(WechatpayV3Message::paid().body(), R"(","event_type":)", "\",\n  \"event_type\": ");
  const Asked asked{with_body(body), *channel_};
  expect_proved(asked, Cause::kReserialised);
  EXPECT_NE(explain(asked).difference.find("came as 0x0A (\\n)"), std::string::npos)
      << explain(asked).difference;
}

TEST_F(ExplainWechatpayV3, JsonWrittenInAnotherOrder) {
  const boost::json::object parsed = must(parse_json_object(WechatpayV3Message::paid().body()));
  boost::json::object sorted;
  for (const char* name :
       {"create_time", "event_type", "id", "resource", "resource_type", "summary"}) {
    sorted.emplace(name, parsed.at(name));
  }
  expect_proved({with_body(boost::json::serialize(sorted)), *channel_}, Cause::kReserialised);
}

TEST_F(ExplainWechatpayV3, JsonInAnOrderThatIsNotWechats) {
  // What was signed has its own order of members; what came is sorted.
  const boost::json::object parsed = must(parse_json_object(WechatpayV3Message::paid().body()));
  boost::json::object odd;
  for (const char* name :
       {"summary", "id", "resource", "event_type", "create_time", "resource_type"}) {
    odd.emplace(name, parsed.at(name));
  }
  const std::string came = WechatpayV3Message::paid().body();
  expect_proved(
      {WechatpayV3Message::paid().request_with(came, boost::json::serialize(odd)), *channel_},
      Cause::kReserialised);
}

TEST_F(ExplainWechatpayV3, SlashesEscaped) {
  std::string body =
      replaced(WechatpayV3Message::paid().body(), R"("summary":"s")", R"("summary":"a/b")");
  const HttpRequest request =
      WechatpayV3Message::paid().request_with(replaced(body, "a/b", "a\\/b"), body);
  expect_proved({request, *channel_}, Cause::kReserialised);
}

TEST_F(ExplainWechatpayV3, NewlineAdded) {
  expect_proved({with_body(WechatpayV3Message::paid().body() + "\r\n"), *channel_},
                Cause::kNewlineAdded);
}

TEST_F(ExplainWechatpayV3, NewlineDropped) {
  const std::string body = WechatpayV3Message::paid().body();
  expect_proved({WechatpayV3Message::paid().request_with(body, body + "\n"), *channel_},
                Cause::kNewlineDropped);
}

TEST_F(ExplainWechatpayV3, LineEndsConverted) {
  const std::string body =
      replaced(WechatpayV3Message::paid().body(), R"(,"resource":)", ",\n\"resource\":");
  expect_proved(
      {WechatpayV3Message::paid().request_with(replaced(body, "\n", "\r\n"), body), *channel_},
      Cause::kLineEnds);
}

TEST_F(ExplainWechatpayV3, ByteOrderMark) {
  expect_proved({with_body("\xEF\xBB\xBF" + WechatpayV3Message::paid().body()), *channel_},
                Cause::kByteOrderMark);
}

TEST_F(ExplainWechatpayV3, CharsetConverted) {
  const std::string body =
      replaced(WechatpayV3Message::paid().body(), R"("summary":"s")", R"("summary":"支付成功")");
  const HttpRequest request =
      WechatpayV3Message::paid().request_with(must(from_utf8(Charset::kGb18030, body)), body);
  expect_proved({request, *channel_}, Cause::kCharset);
}

TEST_F(ExplainWechatpayV3, BodyTruncated) {
  HttpRequest request = genuine_;
  request.headers.add("Content-Length", std::to_string(request.body.size()));
  request.body.resize(100);
  expect_proved({request, *channel_}, Cause::kBodyTruncated);
}

TEST_F(ExplainWechatpayV3, BodyOfWhichOnlyTheBeginningWasKept) {
  HttpRequest request = genuine_;
  const std::size_t whole = request.body.size();
  request.headers.add("Content-Length", std::to_string(whole));
  request.body.resize(100);
  const Explanation explanation = channel_->explain({.request = request,
                                                     .received_at = test_now(),
                                                     .now = test_now(),
                                                     .others = {},
                                                     .body_bytes = whole});
  ASSERT_EQ(explanation.findings.size(), 1u) << causes(explanation);
  EXPECT_EQ(explanation.findings[0].cause, Cause::kBodyNotKept);
}

TEST_F(ExplainWechatpayV3, SignatureWithBlanksForPluses) {
  HttpRequest request = genuine_;
  WechatpayV3Message message = WechatpayV3Message::paid();
  for (int i = 0; request.headers.only("Wechatpay-Signature")->find('+') == std::string_view::npos;
       ++i) {
    message.nonce = "n" + std::to_string(i);
    request = message.request();
  }
  std::string signature(*request.headers.only("Wechatpay-Signature"));
  std::ranges::replace(signature, '+', ' ');
  request = with_header_renamed(request, "Wechatpay-Signature", "");
  request.headers.add("Wechatpay-Signature", signature);
  expect_proved({request, *channel_}, Cause::kPlusBecameSpace);
}

TEST_F(ExplainWechatpayV3, WrongApiKey) {
  WechatpayV3Message message = WechatpayV3Message::paid();
  message.api_v3_key = std::string(kOtherApiKey);
  expect_proved({message.request(), *channel_}, Cause::kWrongApiKey);
  expect_proved({message.request(), *channel_, neighbour()}, Cause::kOtherAccountsApiKey);
}

TEST_F(ExplainWechatpayV3, ApiKeyOfV2InPlaceOfV3) {
  FakeSettings v2 = wechatpay_v2_account();
  v2.set("api_key", "0123456789abcdefABCDEFGHIJKLMNOP");
  WechatpayV3Message message = WechatpayV3Message::paid();
  message.api_v3_key = std::string(kOtherApiKey);
  expect_suspected(
      {message.request(), *channel_, {{"v2", must(make_wechatpay_v2(v2))->belongings()}}},
      Cause::kApiV2OrV3Key);
}

TEST_F(ExplainWechatpayV3, MessageOfAnotherMerchant) {
  WechatpayV3Message message = WechatpayV3Message::paid();
  message.replace("1900000109", "1900000999");
  const Asked asked{message.request(), *channel_, neighbour()};
  expect_proved(asked, Cause::kWrongMerchant);
  EXPECT_NE(explain(asked).findings[0].detail.find("account second's"), std::string::npos);
}

TEST_F(ExplainWechatpayV3, MessageOfAnotherApp) {
  WechatpayV3Message message = WechatpayV3Message::paid();
  message.replace("wxd678efh567hg6787", "wx_third");
  expect_proved({message.request(), *channel_}, Cause::kWrongApp);
}

TEST_F(ExplainWechatpayV3, SubMerchantThatIsNotListed) {
  FakeSettings settings = wechatpay_v3_account();
  settings.set("sub_merchants", std::vector<std::string>{"1900000201"});
  const auto channel = make(settings);
  WechatpayV3Message message = WechatpayV3Message::paid();
  message.replace(R"("mchid":"1900000109")", R"("mchid":"1900000109","sub_mchid":"1900000202")");
  expect_proved({message.request(), *channel}, Cause::kWrongSubMerchant);
}

TEST_F(ExplainWechatpayV3, ProbeOfThePlatform) {
  HttpRequest request = with_header_renamed(genuine_, "Wechatpay-Signature", "");
  request.headers.add("Wechatpay-Signature", "WECHATPAY/SIGNTEST/abc");
  expect_proved({request, *channel_}, Cause::kProbe);
}

TEST_F(ExplainWechatpayV3, ContentChanged) {
  // Nothing is said about the API key, although it does not open this.
  const std::string body = WechatpayV3Message::paid().body();
  const std::size_t at = body.find(R"("ciphertext":")") + 20;
  expect_proved(
      {with_body(std::string(body).replace(at, 1, body[at] == 'A' ? "B" : "A")), *channel_},
      Cause::kContentChanged);
  expect_proved({with_body(replaced(WechatpayV3Message::paid().body(), R"("summary":"s")",
                                    R"("summary":"t")")),
                 *channel_},
                Cause::kContentChanged);
}

}  // namespace
}  // namespace postern::channel
