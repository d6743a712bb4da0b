#pragma once

#include <map>
#include <string>

#include "base/current.h"
#include "base/id.h"

namespace postern::admin {

/// Whether an account collects for several sub-merchants, so that an attempt has to say for which.
enum class SubMerchants : unsigned char { kNone, kListed };

/// A configured account, as far as registering orders needs to know it.
struct AccountInfo {
  MerchantName merchant;
  SubMerchants sub_merchants = SubMerchants::kNone;
};

using Accounts = std::map<std::string, AccountInfo, std::less<>>;

/// Whose orders they are where nobody says.
inline constexpr std::string_view kDefaultMerchant = "default";

}  // namespace postern::admin
