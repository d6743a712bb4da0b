// Properties: an explanation agrees with the verification; what it shows names no key and holds no
// control character; a refusal has at least one finding; whatever is asked, an answer comes.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "channel/alipay.h"
#include "channel/wechatpay_v2.h"
#include "channel/wechatpay_v3.h"
#include "fuzz/channel_fuzz.h"
#include "tests/channel/accounts.h"

namespace postern::channel {
namespace {

constexpr std::array<std::string_view, 2> kApiKeys = {"0123456789abcdefABCDEFGHIJKLMNOP",
                                                      "8934e7d15453e97507ef794cf7b0519d"};

/// A channel and a genuine request for it.
struct Setting {
  std::unique_ptr<Channel> channel;
  HttpRequest genuine;
};

[[nodiscard]] std::array<Setting, 3> make_settings() {
  FakeSettings alipay = alipay_account();
  FakeSettings v3 = wechatpay_v3_account();
  FakeSettings v2 = wechatpay_v2_account();
  return {{{must(make_alipay(alipay)), AlipayMessage::paid().sign().request()},
           {must(make_wechatpay_v3(v3)), WechatpayV3Message::paid().request()},
           {must(make_wechatpay_v2(v2)), WechatpayV2Message::paid().sign().request()}}};
}

/// Whether the fuzzer wrote a key into the request itself, as it does once it has seen one.
[[nodiscard]] bool holds_key(std::string_view text) {
  return std::ranges::any_of(
      kApiKeys, [&](std::string_view key) { return text.find(key) != std::string_view::npos; });
}

void require_showable(std::string_view text) {
  POSTERN_REQUIRE(!holds_key(text));
  POSTERN_REQUIRE(std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7F;
  }));
}

void require_sound(const Setting& setting, const HttpRequest& request) {
  const Explanation explanation = setting.channel->explain({.request = request,
                                                            .received_at = test_now(),
                                                            .now = test_now(),
                                                            .others = {},
                                                            .body_bytes = request.body.size()});
  const auto verified = setting.channel->verify(request, test_now());
  POSTERN_REQUIRE(explanation.verdict ==
                  (verified ? std::string_view("genuine") : verified.error().code));
  POSTERN_REQUIRE(explanation.findings.empty() == verified.has_value());
  require_showable(explanation.string_to_sign);
  require_showable(explanation.difference);
  require_showable(explanation.expected);
  for (const Finding& finding : explanation.findings) require_showable(finding.detail);
}

}  // namespace
}  // namespace postern::channel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  using namespace postern::channel;
  static const std::array<channel::Setting, 3> settings = make_settings();
  FuzzedDataProvider input(data, size);
  const channel::Setting& setting =
      settings[input.ConsumeIntegralInRange<std::size_t>(0, settings.size() - 1)];
  HttpRequest request = setting.genuine;
  if (input.ConsumeBool()) request.target += "?" + input.ConsumeRandomLengthString(64);
  if (input.ConsumeBool()) {
    request.headers = Headers::from_block(edited(request.headers.block(), input));
  }
  request.body =
      input.ConsumeBool() ? edited(request.body, input) : input.ConsumeRemainingBytesAsString();
  if (holds_key(request.target + request.headers.block() + request.body)) return 0;
  require_sound(setting, request);
  return 0;
}
