// Properties: bytes that Alipay's key did not sign never verify as something else than what it
// signed; a signed message, however strange, yields sound facts or an error.
#include <cstdint>
#include <string>

#include "channel/alipay.h"
#include "channel/form.h"
#include "fuzz/channel_fuzz.h"
#include "tests/channel/accounts.h"

namespace postern::channel {
namespace {

struct Setting {
  std::unique_ptr<Channel> channel = [] {
    FakeSettings settings = alipay_account();
    return must(make_alipay(settings));
  }();
  std::string body = AlipayMessage::paid().sign().body();
  Statement genuine = must(channel->adapt(must(channel->verify(form_request(body), test_now()))));
};

/// The edited form, signed anew if it is a form at all.
[[nodiscard]] std::string resigned(FuzzedDataProvider& input) {
  AlipayMessage message;
  const auto fields = parse_form(edited(AlipayMessage::paid().body(), input));
  if (!fields) return {};
  for (const auto& [name, value] : fields->pairs()) message.fields[std::string(name)] = value;
  message.fields.erase("sign");
  return message.sign().body();
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
      body = edited(setting.body, input);
      break;
    case Attack::kResigned:
      body = resigned(input);
      break;
  }
  const auto callback = setting.channel->verify(form_request(body), test_now());
  if (!callback) return 0;
  if (attack == Attack::kResigned) {
    require_sound_facts(*setting.channel, *callback);
  } else {
    require_only_genuine_facts(*setting.channel, *callback, setting.genuine);
  }
  return 0;
}
