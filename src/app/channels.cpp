#include "app/channels.h"

#include <algorithm>

#include "channel/alipay.h"
#include "channel/wechatpay_v2.h"
#include "channel/wechatpay_v3.h"

namespace postern::app {
namespace {

constexpr ChannelEntry kChannels[] = {
    {"alipay", "alipay", "sellers", channel::make_alipay},
    {"wechatpay-v3", "wechat", "sub_merchants", channel::make_wechatpay_v3},
    {"wechatpay-v2", "wechat-v2", "sub_merchants", channel::make_wechatpay_v2},
};

}  // namespace

std::span<const ChannelEntry> channels() {
  return kChannels;
}

const ChannelEntry* find_channel(std::string_view name) {
  const auto* found = std::ranges::find(kChannels, name, &ChannelEntry::name);
  return found == std::end(kChannels) ? nullptr : found;
}

}  // namespace postern::app
