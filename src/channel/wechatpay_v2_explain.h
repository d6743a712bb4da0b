#pragma once

#include <memory>

#include "channel/channel.h"
#include "channel/explanation.h"
#include "channel/wechatpay_v2_settings.h"

namespace postern::channel {

/// Makes a channel of other settings: to verify again as if a mistake had not been made. What it
/// attests goes nowhere.
using WechatpayV2Maker = std::unique_ptr<Channel> (*)(WechatpayV2Settings settings);

/// Why WeChat Pay v2's channel with `settings` refuses a request.
[[nodiscard]] Explanation explain_wechatpay_v2(const Question& question,
                                               const WechatpayV2Settings& settings,
                                               WechatpayV2Maker make);

[[nodiscard]] Belongings belongings_of(const WechatpayV2Settings& settings);

}  // namespace postern::channel
