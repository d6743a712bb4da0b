#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "channel/settings.h"

namespace postern::app {

/// What can be said of a key without giving it away.
struct KeySummary {
  std::string setting;      ///< such as "platform_keys"
  std::string description;  ///< such as "RSA 2048 public key, fingerprint 0123456789abcdef"
  std::string id;           ///< fingerprint, serial number or key id
  /// Its window, cut to the life of its certificate.
  channel::KeyWindow counts = {};
};

/// Describes what `secret` holds; of anything but certificates and RSA keys only the length.
[[nodiscard]] KeySummary summarize_key(std::string_view setting, const Secret& secret,
                                       const channel::KeyWindow& window = {});

}  // namespace postern::app
