// Goal: for every usual mistake between Alipay and us, the explanation names that mistake, and
// names it as proved.
// Method: make a genuine message, plant one mistake, see that verification fails, and ask why. What
// is planted is done here by other code than what undoes it.
#include <gtest/gtest.h>

#include "channel/alipay.h"
#include "channel/charset.h"
#include "channel/pairs.h"
#include "tests/channel/explained.h"

namespace postern::channel {
namespace {

[[nodiscard]] std::unique_ptr<Channel> make(FakeSettings settings = alipay_account()) {
  return must(make_alipay(settings));
}

/// A payment whose values hold what is easily spoiled.
[[nodiscard]] AlipayMessage rich() {
  AlipayMessage message = AlipayMessage::paid();
  message.set("subject", "C++ & Co 年费")
      .set("body", "")
      .set("buyer_logon_id", "138****1234")
      .set("passback_params", "color%3Dred%26size%3D10")
      .set("fund_bill_list", R"([{"amount":"88.88","fundChannel":"ALIPAYACCOUNT"}])");
  return message;
}

[[nodiscard]] std::vector<OtherAccount> neighbour(const crypto::PrivateKey& key,
                                                  std::string app_id = "2021000000000002") {
  FakeSettings settings = alipay_account();
  settings.set("app_id", std::move(app_id)).set("seller_id", "2088000000000002");
  settings.set("platform_keys", std::vector{key.public_key().pem()});
  return {{"second", make(settings)->belongings()}};
}

class ExplainAlipay : public ::testing::Test {
 protected:
  std::unique_ptr<Channel> channel_ = make();
};

TEST_F(ExplainAlipay, AGenuineMessageIsGenuine) {
  const Explanation explanation = explain({rich().sign().request(), *channel_});
  EXPECT_EQ(explanation.verdict, "genuine");
  EXPECT_TRUE(explanation.findings.empty()) << causes(explanation);
  EXPECT_NE(explanation.expected.find(platform_key().public_key().fingerprint()),
            std::string::npos);
}

// P17
TEST_F(ExplainAlipay, PersonalDataIsMaskedAndControlsAreVisible) {
  AlipayMessage message = rich();
  message.set("trade_no", "1\x1B[2J").sign();
  const Explanation explanation = explain({message.request(), *channel_});
  EXPECT_NE(explanation.string_to_sign.find("&buyer_logon_id=[11 bytes]&"), std::string::npos)
      << explanation.string_to_sign;
  EXPECT_NE(explanation.string_to_sign.find("out_trade_no=T1001&"), std::string::npos);
  EXPECT_NE(explanation.string_to_sign.find("trade_no=1\\x1B[2J"), std::string::npos);
  EXPECT_EQ(explanation.string_to_sign.find("138"), std::string::npos);
}

TEST_F(ExplainAlipay, ApplicationKeyInPlaceOfThePlatforms) {
  FakeSettings settings = alipay_account();
  settings.set("application_key", std::string(attacker_key().pem().reveal()));
  const auto channel = make(settings);
  expect_proved({rich().sign(attacker_key()).request(), *channel}, Cause::kApplicationKey);
}

TEST_F(ExplainAlipay, KeyOfAnotherAccount) {
  expect_proved(
      {rich().sign(next_platform_key()).request(), *channel_, neighbour(next_platform_key())},
      Cause::kOtherAccountsKey);
}

TEST_F(ExplainAlipay, NotifyUrlOfAnotherAccount) {
  AlipayMessage message = rich();
  message.set("app_id", "2021000000000002").sign();
  const Asked asked{message.request(), *channel_, neighbour(platform_key())};
  expect_proved(asked, Cause::kWrongApp);
  EXPECT_NE(explain(asked).findings[0].detail.find("account second's"), std::string::npos);
}

TEST_F(ExplainAlipay, WrongSeller) {
  expect_proved({rich().set("seller_id", "2088000000000009").sign().request(), *channel_},
                Cause::kWrongSeller);
}

TEST_F(ExplainAlipay, KeyThatNobodyKnows) {
  expect_suspected({rich().sign(attacker_key()).request(), *channel_}, Cause::kUnknownKey);
}

TEST_F(ExplainAlipay, MessageOfTheSandbox) {
  AlipayMessage message = rich();
  message.set("app_id", "9021000000000001").sign(attacker_key());
  expect_suspected({message.request(), *channel_}, Cause::kSandbox);
}

TEST_F(ExplainAlipay, RsaWhereRsa2IsExpected) {
  AlipayMessage message = rich();
  message.set("sign_type", "RSA").sign(platform_key(), crypto::SignatureScheme::kRsaSha1);
  expect_proved({message.request(), *channel_}, Cause::kRsaOrRsa2);
}

TEST_F(ExplainAlipay, Rsa2ThatIsReallySha1) {
  AlipayMessage message = rich();
  message.sign(platform_key(), crypto::SignatureScheme::kRsaSha1);
  expect_proved({message.request(), *channel_}, Cause::kRsaOrRsa2);
}

TEST_F(ExplainAlipay, BodyDecodedOnTheWay) {
  std::string body;
  for (const auto& [name, value] : rich().sign().fields) {
    body += (body.empty() ? "" : "&") + name + "=" + value;
  }
  expect_proved({form_request(body), *channel_}, Cause::kDecodedOnTheWay);
}

TEST_F(ExplainAlipay, ValueDecodedTwice) {
  AlipayMessage message = rich().sign();
  message.set("passback_params", "color=red&size=10");
  expect_proved({message.request(), *channel_}, Cause::kDecodedTwice);
}

TEST_F(ExplainAlipay, BodyEncodedTwice) {
  AlipayMessage message = rich().sign();
  for (auto& [name, value] : message.fields) value = percent_encode(value);
  expect_proved({message.request(), *channel_}, Cause::kEncodedTwice);
}

TEST_F(ExplainAlipay, PlusOfTheSignatureTurnedIntoABlank) {
  AlipayMessage message = rich();
  // Some signatures hold no '+': another number gives another signature.
  for (int i = 0; message.fields["sign"].find('+') == std::string::npos; ++i) {
    message.set("notify_id", "n" + std::to_string(i)).sign();
  }
  std::ranges::replace(message.fields["sign"], '+', ' ');
  expect_proved({message.request(), *channel_}, Cause::kPlusBecameSpace);
}

TEST_F(ExplainAlipay, PlusOfAValueTurnedIntoABlank) {
  AlipayMessage message = rich().set("subject", "a+b c").sign();
  expect_proved({message.set("subject", "a b c").request(), *channel_}, Cause::kPlusBecameSpace);
}

TEST_F(ExplainAlipay, BlankKeptAsPlus) {
  AlipayMessage message = rich().set("subject", "Annual plan").sign();
  for (auto& [name, value] : message.fields) {
    if (name != "sign") std::ranges::replace(value, ' ', '+');
  }
  expect_proved({message.request(), *channel_}, Cause::kSpaceBecamePlus);
}

TEST_F(ExplainAlipay, EmptyFieldDropped) {
  const Asked asked{rich().sign().remove("body").request(), *channel_};
  expect_proved(asked, Cause::kEmptyFieldDropped);
  EXPECT_EQ(explain(asked).difference, "body was signed (0 bytes) and did not come");
}

TEST_F(ExplainAlipay, TwoEmptyFieldsDropped) {
  AlipayMessage message = rich().set("store_id", "").sign();
  expect_proved({message.remove("body").remove("store_id").request(), *channel_},
                Cause::kEmptyFieldDropped);
}

TEST_F(ExplainAlipay, ConstantFieldDropped) {
  expect_proved({rich().sign().remove("version").request(), *channel_}, Cause::kFieldDropped);
}

TEST_F(ExplainAlipay, FieldAdded) {
  expect_proved({rich().sign().set("tenant", "7").request(), *channel_}, Cause::kFieldAdded);
}

TEST_F(ExplainAlipay, QueryMergedIntoTheForm) {
  HttpRequest request = rich().sign().set("shop", "7").request();
  request.target += "?shop=7";
  expect_proved({request, *channel_}, Cause::kQueryMerged);
}

TEST_F(ExplainAlipay, FieldsDoubled) {
  const std::string body = rich().sign().body();
  expect_proved({form_request(body + "&" + body), *channel_}, Cause::kFieldsDoubled);
}

TEST_F(ExplainAlipay, QuotesEscapedForHtml) {
  AlipayMessage message = rich().sign();
  message.set("fund_bill_list",
              "[{&quot;amount&quot;:&quot;88.88&quot;,&quot;fundChannel&quot;:&quot;"
              "ALIPAYACCOUNT&quot;}]");
  expect_proved({message.request(), *channel_}, Cause::kHtmlEscaped);
}

TEST_F(ExplainAlipay, QuotesEscapedWithBackslashes) {
  AlipayMessage message = rich().sign();
  message.set("fund_bill_list", R"([{\"amount\":\"88.88\",\"fundChannel\":\"ALIPAYACCOUNT\"}])");
  expect_proved({message.request(), *channel_}, Cause::kBackslashesAdded);
}

TEST_F(ExplainAlipay, JsonInAValueWrittenAnew) {
  AlipayMessage message = rich().sign();
  message.set("fund_bill_list", R"([{"amount": "88.88", "fundChannel": "ALIPAYACCOUNT"}])");
  expect_proved({message.request(), *channel_}, Cause::kReserialised);
}

TEST_F(ExplainAlipay, ValueTrimmed) {
  AlipayMessage message = rich().set("subject", "Annual plan ").sign();
  expect_proved({message.set("subject", "Annual plan").request(), *channel_}, Cause::kTrimmed);
}

TEST_F(ExplainAlipay, GbkTranscodedToUtf8) {
  AlipayMessage message = rich();
  message.set("charset", "GBK").set("subject", must(from_utf8(Charset::kGb18030, "年费"))).sign();
  const Asked asked{message.set("subject", "年费").request(), *channel_};
  expect_proved(asked, Cause::kCharset);
  EXPECT_EQ(explain(asked).difference,
            "in subject: byte 1 of 6 came as 0xE5 (\\xE5); what was signed has 4 bytes and there "
            "0xC4 (\\xC4)");
}

TEST_F(ExplainAlipay, Utf8ReadAsLatin1) {
  AlipayMessage message = rich().set("subject", "年").sign();
  expect_proved({message.set("subject", "\xC3\xA5\xC2\xB9\xC2\xB4").request(), *channel_},
                Cause::kCharset);
}

TEST_F(ExplainAlipay, LineEndsConverted) {
  AlipayMessage message = rich().set("body", "one\ntwo").sign();
  expect_proved({message.set("body", "one\r\ntwo").request(), *channel_}, Cause::kLineEnds);
}

TEST_F(ExplainAlipay, NewlineAddedBehindTheBody) {
  expect_proved({form_request(rich().sign().body() + "\n"), *channel_}, Cause::kNewlineAdded);
}

TEST_F(ExplainAlipay, ByteOrderMark) {
  expect_proved({form_request("\xEF\xBB\xBF" + rich().sign().body()), *channel_},
                Cause::kByteOrderMark);
}

TEST_F(ExplainAlipay, ContentTypeChanged) {
  HttpRequest request = rich().sign().request();
  request.headers = {};
  request.headers.add("Content-Type", "text/plain");
  expect_proved({request, *channel_}, Cause::kContentType);
}

TEST_F(ExplainAlipay, BodyTruncated) {
  HttpRequest request = rich().sign().request();
  request.headers.add("Content-Length", std::to_string(request.body.size()));
  request.body.resize(request.body.size() / 2);
  expect_proved({request, *channel_}, Cause::kBodyTruncated);
}

TEST_F(ExplainAlipay, SignatureInTheAlphabetForUrls) {
  AlipayMessage message = rich().sign();
  std::string& sign = message.fields["sign"];
  std::ranges::replace(sign, '+', '-');
  std::ranges::replace(sign, '/', '_');
  std::erase(sign, '=');
  expect_proved({message.request(), *channel_}, Cause::kSignatureEncoding);
}

TEST_F(ExplainAlipay, SignatureWithLineBreaks) {
  AlipayMessage message = rich().sign();
  message.fields["sign"].insert(76, "\r\n");
  expect_proved({message.request(), *channel_}, Cause::kSignatureEncoding);
}

TEST_F(ExplainAlipay, SumChangedOnTheWay) {
  expect_proved({rich().sign().set("total_amount", "0.01").request(), *channel_},
                Cause::kContentChanged);
}

TEST_F(ExplainAlipay, ReturnOfTheBuyersBrowser) {
  AlipayMessage message = rich();
  message.remove("notify_id").remove("notify_type").set("method", "alipay.trade.page.pay.return");
  expect_proved({message.sign().request(), *channel_}, Cause::kSynchronousReturn);
}

TEST_F(ExplainAlipay, NoSignature) {
  expect_proved({rich().request(), *channel_}, Cause::kNotSigned);
}

TEST_F(ExplainAlipay, TwoMistakesAtOnceAreBothNamed) {
  AlipayMessage message = rich().sign(next_platform_key());
  const Explanation explanation =
      explain({form_request("\xEF\xBB\xBF" + message.remove("body").body()), *channel_,
               neighbour(next_platform_key())});
  ASSERT_EQ(explanation.findings.size(), 3u) << causes(explanation);
  EXPECT_EQ(explanation.findings[0].cause, Cause::kOtherAccountsKey);
  EXPECT_EQ(explanation.findings[1].cause, Cause::kByteOrderMark);
  EXPECT_EQ(explanation.findings[2].cause, Cause::kEmptyFieldDropped);
}

TEST_F(ExplainAlipay, AFormMadeToKeepUsBusyComesToAnEnd) {
  Pairs pairs;
  for (int i = 0; i < 200; ++i) pairs.emplace_back("f" + std::to_string(i), "a b c d e f g h i j");
  std::size_t fields_tried = 0;
  const auto guess = guess_pairs(pairs, {}, [&](const Pairs& tried) {
    fields_tried += tried.size();
    return false;
  });
  EXPECT_FALSE(guess);
  EXPECT_GT(fields_tried, 100'000u);
  EXPECT_LT(fields_tried, 200'000u);
}

TEST_F(ExplainAlipay, BodiesOfNoFormAreUnreadable) {
  for (const char* body : {"", "hello", "{}", "a=b&&c", "%"}) {
    const Explanation explanation = explain({form_request(body), *channel_});
    EXPECT_NE(explanation.verdict, "genuine");
    EXPECT_FALSE(explanation.findings.empty()) << body;
  }
}

}  // namespace
}  // namespace postern::channel
