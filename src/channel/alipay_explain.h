#pragma once

#include <memory>

#include "channel/alipay_settings.h"
#include "channel/channel.h"
#include "channel/explanation.h"

namespace postern::channel {

/// Makes a channel of other settings: to verify again as if a mistake had not been made. What it
/// attests goes nowhere.
using AlipayMaker = std::unique_ptr<Channel> (*)(AlipaySettings settings);

/// Why Alipay's channel with `settings` refuses a request.
[[nodiscard]] Explanation explain_alipay(const Question& question, const AlipaySettings& settings,
                                         AlipayMaker make);

[[nodiscard]] Belongings belongings_of(const AlipaySettings& settings);

}  // namespace postern::channel
