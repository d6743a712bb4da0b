// Goal: an operator learns why a callback was refused, by its id; nobody learns secrets; and the
// ring of refused ones stays within its bounds. Method: the real WeChat Pay v2 channel; requests
// put into the real ring and the real store, asked about over HTTP.
#include <gtest/gtest.h>

#include <boost/json/array.hpp>

#include "channel/wechatpay_v2.h"
#include "channel/wechatpay_v2_signature.h"
#include "tests/admin/api_under_test.h"
#include "tests/channel/fake_settings.h"

namespace postern::admin::testing {
namespace {

namespace json = boost::json;
using channel::FakeSettings;
using channel::WechatpayV2SignType;

constexpr std::string_view kApiKey = "8934e7d15453e97507ef794cf7b0519d";
constexpr std::string_view kSecondKey = "OTHER_api_key_of_32_bytes_abcdef";

[[nodiscard]] std::shared_ptr<const channel::Channel> make_channel(std::string_view api_key) {
  FakeSettings settings;
  settings.set("mch_id", "10000100").set("app_id", "wx2421b1c4370ec43b");
  settings.set("api_key", std::string(api_key));
  return channel::make_wechatpay_v2(settings).value();
}

[[nodiscard]] HttpRequest signed_by(std::string_view api_key, WechatpayV2SignType type) {
  channel::Fields fields;
  for (const auto& [name, value] :
       {std::pair("return_code", "SUCCESS"), std::pair("appid", "wx2421b1c4370ec43b"),
        std::pair("mch_id", "10000100"), std::pair("openid", "o-of-a-buyer"),
        std::pair("nonce_str", "n")}) {
    EXPECT_TRUE(fields.add(name, value));
  }
  const std::string sign =
      channel::sign_wechatpay_v2(fields, type, Secret(std::string(api_key))).value();
  HttpRequest request{.method = "POST", .target = "/payment/wechat/callback"};
  request.headers.add("Content-Type", "text/xml");
  request.body = "<xml>";
  for (const auto& [name, value] : fields.pairs()) {
    request.body +=
        "<" + std::string(name) + ">" + std::string(value) + "</" + std::string(name) + ">";
  }
  request.body += "<sign>" + sign + "</sign></xml>";
  return request;
}

[[nodiscard]] std::string text(const json::object& object, std::string_view name) {
  return std::string(object.at(name).as_string());
}

class AdminExplanations : public ::testing::Test {
 protected:
  AdminExplanations() {
    api_.channels.set(
        Channels{{"wechat", make_channel(kApiKey)}, {"second", make_channel(kSecondKey)}});
  }
  void refuse(HttpRequest request) {
    api_.rejected.add("wechat", {.received_at = api_.clock().now(),
                                 .request = std::move(request),
                                 .code = "signature_not_verified",
                                 .detail = "no key fits"});
  }
  ApiUnderTest api_;
};

TEST_F(AdminExplanations, NameTheCauseOfARefusedCallbackByItsId) {
  refuse(signed_by(kApiKey, WechatpayV2SignType::kMd5));
  refuse(signed_by(kSecondKey, WechatpayV2SignType::kHmacSha256));
  const json::array listed = api_.get("/v1/rejected/wechat").body.at("rejected").as_array();
  ASSERT_EQ(listed.size(), 2u);
  const auto cause = [&](const json::value& entry) {
    const Answer answer = api_.get("/v1/rejected/" + text(entry.as_object(), "id") + "/explain");
    EXPECT_EQ(answer.code, 200u);
    return answer.body.at("findings").as_array().at(0).as_object();
  };
  EXPECT_EQ(text(cause(listed[0]), "cause"), "other_accounts_api_key");
  EXPECT_EQ(text(cause(listed[1]), "cause"), "md5_or_hmac");
  EXPECT_EQ(text(cause(listed[1]), "certainty"), "proved");
  EXPECT_NE(text(cause(listed[1]), "what_to_do").find("sign_types"), std::string::npos);
}

// P17
TEST_F(AdminExplanations, TellNeitherKeysNorBuyers) {
  refuse(signed_by(kSecondKey, WechatpayV2SignType::kMd5));
  const Answer answer = api_.get("/v1/rejected/rej_1/explain");
  ASSERT_EQ(answer.code, 200u);
  for (const std::string_view secret : {kApiKey, kSecondKey, std::string_view("o-of-a-buyer")}) {
    EXPECT_EQ(answer.response.body.find(secret), std::string::npos) << secret;
  }
  EXPECT_NE(text(answer.body, "string_to_sign").find("openid=[12 bytes]"), std::string::npos);
}

TEST_F(AdminExplanations, NameTheCauseOfAKeptCallbackUnderTodaysConfiguration) {
  (void)api_.record(api_.payment("T1", 100, "wechat"), "not XML at all");
  const json::array listed = api_.get("/v1/callbacks").body.at("callbacks").as_array();
  const std::string id = text(listed.at(0).as_object(), "id");
  const Answer answer = api_.get("/v1/callbacks/" + id + "/explain");
  ASSERT_EQ(answer.code, 200u);
  EXPECT_EQ(text(answer.body, "verdict"), "content_type_wrong");
  api_.channels.set(Channels{});
  EXPECT_EQ(api_.get("/v1/callbacks/" + id + "/explain").error(), "account_unknown");
}

TEST_F(AdminExplanations, OfNoOneAreNotFound) {
  refuse(signed_by(kApiKey, WechatpayV2SignType::kMd5));
  for (const char* id : {"rej_0", "rej_2", "rej_", "rej_1x", "1", "wechat"}) {
    EXPECT_EQ(api_.get("/v1/rejected/" + std::string(id) + "/explain").error(),
              "callback_not_found")
        << id;
  }
  EXPECT_EQ(api_.get("/v1/callbacks/cb_x_1/explain").error(), "callback_not_found");
  EXPECT_EQ(api_.send("GET", "/v1/rejected/rej_1/explain", "", "").code, 401u);
}

// P5
TEST_F(AdminExplanations, OfALongBodySayThatOnlyItsBeginningWasKept) {
  HttpRequest request = signed_by(kApiKey, WechatpayV2SignType::kMd5);
  request.body += std::string(100'000, ' ');
  const std::size_t bytes = request.body.size();
  refuse(std::move(request));
  const ingest::RejectedCallback kept = api_.rejected.of("wechat").front();
  EXPECT_EQ(kept.body_bytes, bytes);
  EXPECT_EQ(kept.request.body.size(), ingest::RejectedRing::kBodyBytesMax);
  EXPECT_LT(kept.request.body.capacity(), 2 * ingest::RejectedRing::kBodyBytesMax);
  const Answer answer = api_.get("/v1/rejected/rej_1/explain");
  EXPECT_EQ(text(answer.body.at("findings").as_array().at(0).as_object(), "cause"),
            "body_not_kept");
}

TEST_F(AdminExplanations, OfAnOldOneAreGoneWithIt) {
  for (std::size_t i = 0; i <= ingest::RejectedRing::kKeptPerAccount; ++i) {
    refuse(signed_by(kApiKey, WechatpayV2SignType::kMd5));
  }
  EXPECT_EQ(api_.get("/v1/rejected/rej_1/explain").code, 404u);
  EXPECT_EQ(api_.get("/v1/rejected/rej_2/explain").code, 200u);
}

}  // namespace
}  // namespace postern::admin::testing
