#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "crypto/key.h"

namespace postern::channel {

/// Who signs a certificate: a name and its key.
struct Issuer {
  std::string_view common_name;
  const crypto::PrivateKey& key;
};

struct Life {
  TimePoint not_before, not_after;
};

/// A certificate in PEM for `subject`, signed by `issuer` (itself, for a root).
/// @param serial_hex  up to 16 hex digits
[[nodiscard]] std::string issue_certificate(const Issuer& subject, const Issuer& issuer, Life life,
                                            std::string_view serial_hex);

}  // namespace postern::channel
