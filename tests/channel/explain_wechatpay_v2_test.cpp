// Goal: for every usual mistake between WeChat Pay v2 and us, the explanation names that mistake,
// and names it as proved where a MAC can prove it.
// Method: make a genuine notice, plant one mistake, see that verification fails, and ask why.
#include <gtest/gtest.h>

#include "channel/charset.h"
#include "channel/wechatpay_v2.h"
#include "channel/wechatpay_v3.h"
#include "crypto/encoding.h"
#include "tests/channel/explained.h"

namespace postern::channel {
namespace {

constexpr std::string_view kOtherApiKey = "OTHER_api_key_of_32_bytes_abcdef";

[[nodiscard]] std::unique_ptr<Channel> make(FakeSettings settings = wechatpay_v2_account()) {
  return must(make_wechatpay_v2(settings));
}

[[nodiscard]] std::vector<OtherAccount> neighbour() {
  FakeSettings settings = wechatpay_v2_account();
  settings.set("mch_id", "10000999").set("app_id", "wx_second");
  settings.set("api_key", std::string(kOtherApiKey));
  return {{"second", make(settings)->belongings()}};
}

[[nodiscard]] WechatpayV2Message paid() {
  return WechatpayV2Message::paid().set("openid", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o");
}

class ExplainWechatpayV2 : public ::testing::Test {
 protected:
  std::unique_ptr<Channel> channel_ = make();
};

TEST_F(ExplainWechatpayV2, AGenuineNoticeIsGenuine) {
  const Explanation explanation = explain({paid().sign().request(), *channel_});
  EXPECT_EQ(explanation.verdict, "genuine");
  EXPECT_TRUE(explanation.findings.empty()) << causes(explanation);
}

// P17
TEST_F(ExplainWechatpayV2, NeitherKeyNorBuyerIsShown) {
  const Explanation explanation = explain({paid().sign().request(), *channel_});
  EXPECT_NE(explanation.string_to_sign.find("&openid=[28 bytes]&"), std::string::npos)
      << explanation.string_to_sign;
  EXPECT_TRUE(explanation.string_to_sign.ends_with("&key=[the API key]"));
  for (const std::string& text : {explanation.string_to_sign, explanation.expected}) {
    EXPECT_EQ(text.find("8934e7d1"), std::string::npos);
  }
  EXPECT_EQ(explanation.string_to_sign.find("device_info"), std::string::npos) << "it is empty";
}

TEST_F(ExplainWechatpayV2, Md5WhereHmacIsExpected) {
  expect_proved({paid().sign(WechatpayV2SignType::kMd5).request(), *channel_}, Cause::kMd5OrHmac);
}

TEST_F(ExplainWechatpayV2, HmacWhereMd5IsExpected) {
  FakeSettings settings = wechatpay_v2_account();
  settings.set("sign_types", std::vector<std::string>{"MD5"});
  const auto channel = make(settings);
  expect_proved({paid().sign().request(), *channel}, Cause::kMd5OrHmac);
}

TEST_F(ExplainWechatpayV2, KeyOfAnotherAccount) {
  WechatpayV2Message message = paid();
  message.api_key = std::string(kOtherApiKey);
  expect_proved({message.sign().request(), *channel_, neighbour()}, Cause::kOtherAccountsApiKey);
}

TEST_F(ExplainWechatpayV2, KeyThatNobodyKnows) {
  WechatpayV2Message message = paid();
  message.api_key = std::string(kOtherApiKey);
  expect_suspected({message.sign().request(), *channel_}, Cause::kWrongApiKey);
}

TEST_F(ExplainWechatpayV2, ApiKeyOfV3InPlaceOfV2) {
  FakeSettings v3 = wechatpay_v3_account();
  v3.set("api_v3_key", "8934e7d15453e97507ef794cf7b0519d");
  WechatpayV2Message message = paid();
  message.api_key = std::string(kOtherApiKey);
  expect_suspected(
      {message.sign().request(), *channel_, {{"v3", must(make_wechatpay_v3(v3))->belongings()}}},
      Cause::kApiV2OrV3Key);
}

TEST_F(ExplainWechatpayV2, SignatureInLowerCase) {
  WechatpayV2Message message = paid().sign();
  std::string sign = message.fields.back().second;
  std::ranges::transform(sign, sign.begin(), [](unsigned char c) { return std::tolower(c); });
  expect_proved({message.set("sign", sign).request(), *channel_}, Cause::kSignatureLowerCase);
}

TEST_F(ExplainWechatpayV2, SignTypeDropped) {
  WechatpayV2Message message = paid().set("sign_type", "HMAC-SHA256").sign();
  expect_proved({message.remove("sign_type").request(), *channel_}, Cause::kFieldDropped);
}

TEST_F(ExplainWechatpayV2, FieldAdded) {
  expect_proved({paid().sign().set("tenant", "7").request(), *channel_}, Cause::kFieldAdded);
}

TEST_F(ExplainWechatpayV2, QueryMergedIntoTheNotice) {
  HttpRequest request = paid().sign().set("shop", "7").request();
  request.target += "?shop=7";
  expect_proved({request, *channel_}, Cause::kQueryMerged);
}

TEST_F(ExplainWechatpayV2, ValueWithWhiteSpaceAround) {
  WechatpayV2Message message = paid().sign();
  for (auto& [name, value] : message.fields) {
    if (name != "sign" && !value.empty()) value = "\n  " + value + "\n";
  }
  expect_proved({message.request(), *channel_}, Cause::kWhiteSpaceAdded);
}

TEST_F(ExplainWechatpayV2, ValueTrimmed) {
  WechatpayV2Message message = paid().set("attach", "shop 7 ").sign();
  expect_proved({message.set("attach", "shop 7").request(), *channel_}, Cause::kTrimmed);
}

TEST_F(ExplainWechatpayV2, ValueEscapedTwice) {
  WechatpayV2Message message = paid().set("attach", "a&b<c").sign();
  expect_proved({message.set("attach", "a&amp;b&lt;c").request(), *channel_}, Cause::kHtmlEscaped);
}

TEST_F(ExplainWechatpayV2, PlusTurnedIntoABlank) {
  WechatpayV2Message message = paid().set("attach", "a+b").sign();
  expect_proved({message.set("attach", "a b").request(), *channel_}, Cause::kPlusBecameSpace);
}

TEST_F(ExplainWechatpayV2, NoticeInGbk) {
  const std::string xml =
      "<?xml version=\"1.0\" encoding=\"GBK\"?>" + paid().set("attach", "年费").sign().body();
  expect_proved({xml_request(must(from_utf8(Charset::kGb18030, xml))), *channel_}, Cause::kCharset);
}

TEST_F(ExplainWechatpayV2, NoticeTurnedIntoJson) {
  std::string body = R"({"xml":{)";
  for (const auto& [name, value] : paid().sign().fields) {
    if (!body.ends_with('{')) body += ",";
    body += "\"" + name + "\":\"" + value + "\"";
  }
  HttpRequest request = xml_request(body + "}}");
  expect_proved({request, *channel_}, Cause::kSentAsJson);
}

TEST_F(ExplainWechatpayV2, NoticeWithItsBracketsEscaped) {
  std::string body;
  for (const char c : paid().sign().body()) {
    body += c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  }
  expect_proved({xml_request(body), *channel_}, Cause::kHtmlEscaped);
}

TEST_F(ExplainWechatpayV2, NoticePercentEncoded) {
  expect_proved({xml_request(percent_encode(paid().sign().body())), *channel_},
                Cause::kEncodedTwice);
}

TEST_F(ExplainWechatpayV2, WhiteSpaceInFront) {
  expect_proved({xml_request("\n" + paid().sign().body()), *channel_}, Cause::kNewlineAdded);
}

TEST_F(ExplainWechatpayV2, ByteOrderMark) {
  expect_proved({xml_request("\xEF\xBB\xBF" + paid().sign().body()), *channel_},
                Cause::kByteOrderMark);
}

TEST_F(ExplainWechatpayV2, ContentTypeChanged) {
  HttpRequest request = paid().sign().request();
  request.headers = {};
  request.headers.add("Content-Type", "text/plain");
  expect_proved({request, *channel_}, Cause::kContentType);
}

TEST_F(ExplainWechatpayV2, BodyTruncated) {
  HttpRequest request = paid().sign().request();
  request.headers.add("Content-Length", std::to_string(request.body.size()));
  request.body.resize(100);
  expect_proved({request, *channel_}, Cause::kBodyTruncated);
}

TEST_F(ExplainWechatpayV2, NoticeOfAnotherMerchant) {
  const Asked asked{paid().set("mch_id", "10000999").sign().request(), *channel_, neighbour()};
  expect_proved(asked, Cause::kWrongMerchant);
  EXPECT_NE(explain(asked).findings[0].detail.find("account second's"), std::string::npos);
}

TEST_F(ExplainWechatpayV2, FailureThatIsNotSigned) {
  expect_proved({WechatpayV2Message{{{"return_code", "FAIL"}}}.request(), *channel_},
                Cause::kNotSigned);
}

TEST_F(ExplainWechatpayV2, RefundUnderAnotherKey) {
  WechatpayV2Message message = WechatpayV2Message::refund();
  FakeSettings settings = wechatpay_v2_account();
  settings.set("api_key", std::string(kOtherApiKey));
  const auto channel = make(settings);
  expect_suspected({message.request(), *channel}, Cause::kWrongApiKey);
  expect_proved({message.request(), *channel, {{"first", channel_->belongings()}}},
                Cause::kOtherAccountsApiKey);
}

TEST_F(ExplainWechatpayV2, RefundWithLineBreaks) {
  WechatpayV2Message message = WechatpayV2Message::refund();
  message.fields.back().second.insert(64, "\n");
  expect_proved({message.request(), *channel_}, Cause::kSignatureEncoding);
}

TEST_F(ExplainWechatpayV2, SumChangedOnTheWayIsNotMistakenForAnythingProved) {
  const Explanation explanation =
      explain({paid().sign().set("total_fee", "1").request(), *channel_});
  ASSERT_EQ(explanation.findings.size(), 2u) << causes(explanation);
  for (const Finding& finding : explanation.findings) {
    EXPECT_EQ(finding.certainty, Certainty::kSuspected);
  }
}

}  // namespace
}  // namespace postern::channel
