#pragma once

#include <string>
#include <vector>

#include "tests/channel/fake_settings.h"
#include "tests/channel/messages.h"

namespace postern::channel {

/// Settings of the account that AlipayMessage::paid is for.
[[nodiscard]] inline FakeSettings alipay_account() {
  FakeSettings settings;
  settings.set("app_id", "2021000000000001").set("seller_id", "2088101122136241");
  settings.set("platform_keys", std::vector{platform_key().public_key().pem()});
  return settings;
}

/// Settings of the account that WechatpayV3Message::paid is for.
[[nodiscard]] inline FakeSettings wechatpay_v3_account() {
  FakeSettings settings;
  settings.set("mchid", "1900000109").set("app_id", "wxd678efh567hg6787");
  settings.set("api_v3_key", "0123456789abcdefABCDEFGHIJKLMNOP");
  settings.set("platform_public_keys", std::vector{platform_key().public_key().pem()});
  settings.set("platform_public_key_ids",
               std::vector<std::string>{"PUB_KEY_ID_0100000000000000000000000000000001"});
  return settings;
}

/// Settings of the account that WechatpayV2Message::paid is for.
[[nodiscard]] inline FakeSettings wechatpay_v2_account() {
  FakeSettings settings;
  settings.set("mch_id", "10000100").set("app_id", "wx2421b1c4370ec43b");
  settings.set("api_key", "8934e7d15453e97507ef794cf7b0519d");
  return settings;
}

}  // namespace postern::channel
