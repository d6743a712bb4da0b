// Properties: a body or header that WeChat Pay's key did not sign never verifies; a signed message,
// however strange, yields sound facts or an error.
#include <cstdint>
#include <string>

#include "channel/wechatpay_v3.h"
#include "fuzz/channel_fuzz.h"
#include "tests/channel/accounts.h"

namespace postern::channel {
namespace {

struct Setting {
  std::unique_ptr<Channel> channel = [] {
    FakeSettings settings = wechatpay_v3_account();
    settings.set("sub_merchants", std::vector<std::string>{"1900000110"});
    return must(make_wechatpay_v3(settings));
  }();
  WechatpayV3Message message = WechatpayV3Message::combined();
  HttpRequest request = message.request();
};

/// A message whose plaintext, envelope or both are edited, sealed and signed as WeChat Pay would.
[[nodiscard]] HttpRequest resigned(FuzzedDataProvider& input) {
  WechatpayV3Message message;
  switch (input.ConsumeIntegralInRange(0, 2)) {
    case 0:
      message = WechatpayV3Message::paid();
      break;
    case 1:
      message = WechatpayV3Message::refunded();
      break;
    default:
      message = WechatpayV3Message::combined();
  }
  if (input.ConsumeBool())
    message.event_type = input.PickValueInArray<const char*>(
        {"TRANSACTION.PAY_BACK", "TRANSACTION.FAIL", "PAYSCORE.USER_PAID", "REFUND.CLOSED", "X"});
  if (input.ConsumeBool()) message.plaintext = edited(message.plaintext, input);
  if (input.ConsumeBool()) {
    const std::string body = edited(message.body(), input);
    return message.request_with(body, body);
  }
  return message.request();
}

}  // namespace
}  // namespace postern::channel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::channel;
  static const Setting setting;
  FuzzedDataProvider input(data, size);
  const auto attack = input.ConsumeEnum<Attack>();
  postern::HttpRequest request = setting.request;
  switch (attack) {
    case Attack::kRawBody:
      request.body = input.ConsumeRemainingBytesAsString();
      break;
    case Attack::kEdited: {
      const std::string block = edited(setting.request.headers.block(), input);
      request.headers = postern::Headers::from_block(block);
      if (input.ConsumeBool()) request.body = edited(setting.request.body, input);
      break;
    }
    case Attack::kResigned:
      request = resigned(input);
      break;
  }
  const auto callback = setting.channel->verify(request, test_now());
  if (!callback) return 0;
  if (attack != Attack::kResigned) {
    POSTERN_REQUIRE(request.body == setting.request.body);
    for (const char* name : {"Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature"}) {
      POSTERN_REQUIRE(request.headers.only(name) == setting.request.headers.only(name));
    }
  }
  require_sound_facts(*setting.channel, *callback);
  return 0;
}
