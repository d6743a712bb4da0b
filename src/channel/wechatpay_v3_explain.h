#pragma once

#include <memory>

#include "channel/channel.h"
#include "channel/explanation.h"
#include "channel/wechatpay_v3_settings.h"

namespace postern::channel {

/// Makes a channel of other settings: to verify again as if a mistake had not been made. What it
/// attests goes nowhere.
using WechatpayV3Maker = std::unique_ptr<Channel> (*)(WechatpayV3Settings settings);

/// Why WeChat Pay v3's channel with `settings` refuses a request.
[[nodiscard]] Explanation explain_wechatpay_v3(const Question& question,
                                               const WechatpayV3Settings& settings,
                                               WechatpayV3Maker make);

[[nodiscard]] Belongings belongings_of(const WechatpayV3Settings& settings);

}  // namespace postern::channel
