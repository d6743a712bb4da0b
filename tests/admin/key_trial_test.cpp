// Goal: before a new key is switched on, an operator learns which of the callbacks that were
// accepted it would have accepted; nothing of the key comes back or stays.
// Method: the real WeChat Pay v2 channel while its key is replaced; callbacks signed by the old and
// the new key in the real store, asked about over HTTP.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "channel/wechatpay_v2.h"
#include "channel/wechatpay_v2_signature.h"
#include "tests/admin/api_under_test.h"
#include "tests/channel/fake_settings.h"

namespace postern::admin::testing {
namespace {

namespace json = boost::json;

const std::string kOldKey = "8934e7d15453e97507ef794cf7b0519d";
const std::string kNewKey = "OTHER_api_key_of_32_bytes_abcdef";

[[nodiscard]] std::string key_id(const std::string& key) {
  return channel::wechatpay_v2_key_id(Secret(key));
}

/// The body of a notice for order `number`.
[[nodiscard]] std::string notice(const std::string& api_key, const std::string& number) {
  channel::Fields fields;
  for (const auto& [name, value] : {std::pair<std::string, std::string>("return_code", "SUCCESS"),
                                    {"appid", "wx2421b1c4370ec43b"},
                                    {"mch_id", "10000100"},
                                    {"out_trade_no", number}}) {
    EXPECT_TRUE(fields.add(name, value));
  }
  std::string body = "<xml>";
  for (const auto& [name, value] : fields.pairs()) {
    body += fmt::format("<{0}>{1}</{0}>", name, value);
  }
  return body + fmt::format("<sign>{}</sign></xml>",
                            channel::sign_wechatpay_v2(
                                fields, channel::WechatpayV2SignType::kHmacSha256, Secret(api_key))
                                .value());
}

class AdminKeyTrial : public ::testing::Test {
 protected:
  AdminKeyTrial() {
    channel::FakeSettings settings("wechat");
    settings.set("mch_id", "10000100").set("app_id", "wx2421b1c4370ec43b");
    settings.set("api_key", kOldKey).set("api_keys", std::vector{kNewKey});
    api_.channels.set(Channels{{"wechat", channel::make_wechatpay_v2(settings).value()}});
  }

  void keep(const std::string& api_key, const std::string& number) {
    (void)api_.record(api_.payment(number, 100, "wechat"), notice(api_key, number),
                      "Content-Type: text/xml\r\n", key_id(api_key));
  }
  Answer ask(json::object body) {
    return api_.send("POST", "/v1/accounts/wechat/keys/try", json::serialize(body));
  }

  ApiUnderTest api_;
};

TEST_F(AdminKeyTrial, CountsWhatTheNewKeyAloneWouldVerify) {
  for (int i = 0; i < 3; ++i) keep(kOldKey, fmt::format("OLD-{}", i));
  for (int i = 0; i < 2; ++i) keep(kNewKey, fmt::format("NEW-{}", i));
  const Answer answer = ask({{"setting", "api_key"}, {"key", kNewKey}});
  ASSERT_EQ(answer.code, 200u) << answer.response.body;
  EXPECT_EQ(answer.body.at("looked_at").to_number<int>(), 5);
  EXPECT_EQ(answer.body.at("would_verify").to_number<int>(), 2);
  EXPECT_EQ(answer.body.at("would_not_verify").to_number<int>(), 3);
  EXPECT_EQ(answer.body.at("keys").as_array().at(0).as_string(), key_id(kNewKey));
  for (const json::value& value : answer.body.at("signed_by").as_array()) {
    const bool is_new = value.at("key_id").as_string() == key_id(kNewKey);
    EXPECT_EQ(value.at("would_verify").to_number<int>(), is_new ? 2 : 0);
    EXPECT_EQ(value.at("would_not_verify").to_number<int>(), is_new ? 0 : 3);
  }
  const json::array& failing = answer.body.at("first_failing").as_array();
  ASSERT_EQ(failing.size(), 3u);
  EXPECT_EQ(failing[0].at("code").as_string(), "signature_not_verified");
  EXPECT_EQ(failing[0].at("cause").as_string(), "other_accounts_api_key");
  EXPECT_NE(std::string(failing[0].at("detail").as_string()).find(key_id(kOldKey)),
            std::string::npos);
  EXPECT_EQ(answer.response.body.find(kNewKey), std::string::npos) << "the key came back";
  EXPECT_EQ(answer.response.body.find(kOldKey), std::string::npos);
}

TEST_F(AdminKeyTrial, LooksAtTheNewestOnly) {
  for (int i = 0; i < 150; ++i) keep(i < 30 ? kNewKey : kOldKey, fmt::format("T-{}", i));
  Answer answer = ask({{"setting", "api_key"}, {"key", kOldKey}, {"last", 120}});
  EXPECT_EQ(answer.body.at("looked_at").to_number<int>(), 120);
  EXPECT_EQ(answer.body.at("would_not_verify").to_number<int>(), 0);
  answer = ask({{"setting", "api_key"}, {"key", kOldKey}});
  EXPECT_EQ(answer.body.at("looked_at").to_number<int>(), 150);
  EXPECT_EQ(answer.body.at("would_not_verify").to_number<int>(), 30);
  EXPECT_EQ(answer.body.at("first_failing").as_array().size(), 10u);
}

TEST_F(AdminKeyTrial, RefusesWhatIsNoKeyAndRepeatsNothingOfIt) {
  const std::string short_key = "much-too-short-0123";
  Answer answer = ask({{"setting", "api_key"}, {"key", short_key}});
  EXPECT_EQ(answer.error(), "key_refused");
  EXPECT_EQ(answer.response.body.find(short_key), std::string::npos);
  EXPECT_EQ(ask({{"setting", "mch_id"}, {"key", kNewKey}}).error(), "key_refused");
  EXPECT_EQ(ask({{"setting", "api_key"}}).error(), "request_malformed");
  for (const int last : {0, -1, 10'001}) {
    EXPECT_EQ(ask({{"setting", "api_key"}, {"key", kNewKey}, {"last", last}}).error(),
              "request_malformed");
  }
  EXPECT_EQ(api_.send("POST", "/v1/accounts/nobody/keys/try", "{}").error(), "account_unknown");
  EXPECT_EQ(api_.send("POST", "/v1/accounts/wechat/keys/try", "{}", "").code, 401u);
}

}  // namespace
}  // namespace postern::admin::testing
