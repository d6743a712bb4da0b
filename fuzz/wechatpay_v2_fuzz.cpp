// Properties: fields that the API key did not sign never verify as something else than what it
// signed; a refund notice yields hints only; a signed message, however strange, yields sound facts
// or an error.
#include <cstdint>
#include <string>

#include "channel/wechatpay_v2.h"
#include "channel/xml.h"
#include "fuzz/channel_fuzz.h"
#include "tests/channel/accounts.h"

namespace postern::channel {
namespace {

struct Setting {
  std::unique_ptr<Channel> channel = [] {
    FakeSettings settings = wechatpay_v2_account();
    return must(make_wechatpay_v2(settings));
  }();
  std::string payment = WechatpayV2Message::paid().sign().body();
  std::string refund = WechatpayV2Message::refund().body();
  Statement genuine = must(channel->adapt(must(channel->verify(xml_request(payment), test_now()))));
};

/// The edited document, signed anew if it is one at all.
[[nodiscard]] std::string resigned(FuzzedDataProvider& input) {
  const auto fields = parse_flat_xml(edited(WechatpayV2Message::paid().body(), input), "xml");
  if (!fields) return {};
  WechatpayV2Message message;
  for (const auto& [name, value] : fields->pairs()) message.set(name, std::string(value));
  if (input.ConsumeBool()) {
    message.set("combine_mch_id", "10000100").set("combine_appid", "wx2421b1c4370ec43b");
    message.set("sub_order_list",
                edited(R"({"order_num":1,"order_list":[{"mch_id":"10000100","out_trade_no":"S",)"
                       R"("total_fee":10,"transaction_id":"T","time_end":"20260105100007"}]})",
                       input));
  }
  return message.remove("sign").sign().body();
}

}  // namespace
}  // namespace postern::channel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::channel;
  static const Setting setting;
  FuzzedDataProvider input(data, size);
  const auto attack = input.ConsumeEnum<Attack>();
  std::string body;
  switch (attack) {
    case Attack::kRawBody:
      body = input.ConsumeRemainingBytesAsString();
      break;
    case Attack::kEdited:
      body = edited(input.ConsumeBool() ? setting.payment : setting.refund, input);
      break;
    case Attack::kResigned:
      body = resigned(input);
      break;
  }
  const auto callback = setting.channel->verify(xml_request(body), test_now());
  if (!callback) return 0;
  if (callback->trust() == Trust::kEncrypted) {
    const auto statement = setting.channel->adapt(*callback);
    POSTERN_REQUIRE(!statement || statement->purpose != Statement::Purpose::kFacts);
    return 0;
  }
  if (attack != Attack::kResigned) {
    require_only_genuine_facts(*setting.channel, *callback, setting.genuine);
  }
  require_sound_facts(*setting.channel, *callback);
  return 0;
}
