#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "channel/settings.h"

namespace postern::app {

/// What can be said of a key without giving it away.
struct KeySummary {
  std::string setting;      ///< such as "platform_keys"
  std::string description;  ///< such as "RSA 2048 public key, fingerprint 0123456789abcdef"
  /// Fingerprint or serial number; empty for what has neither, such as an API key.
  std::string id;
  /// When it stops counting: the end of its window or of its certificate, whichever comes first.
  std::optional<TimePoint> expires_at;
};

/// Describes what `secret` holds; of anything but certificates and RSA keys only the length.
[[nodiscard]] KeySummary summarize_key(std::string_view setting, const Secret& secret,
                                       const channel::KeyWindow& window = {});

}  // namespace postern::app
