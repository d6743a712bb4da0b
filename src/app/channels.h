#pragma once

#include <span>
#include <string_view>

#include "channel/channel.h"

namespace postern::app {

/// A platform's protocol that an account can be configured for.
struct ChannelEntry {
  std::string_view name;             ///< what `channel = "..."` says
  std::string_view default_account;  ///< the account's name where there is only one
  /// The setting that lists the merchants a service provider collects for; where it is given, the
  /// number of an attempt does not say whose it is.
  std::string_view sub_merchants_key;
  channel::ChannelFactory make;
};

/// The one table of channels: a new platform is one line here.
[[nodiscard]] std::span<const ChannelEntry> channels();

/// nullptr where there is none.
[[nodiscard]] const ChannelEntry* find_channel(std::string_view name);

}  // namespace postern::app
