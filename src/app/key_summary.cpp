#include "app/key_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/clock.h"
#include "channel/wechatpay_v2_signature.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace postern::app {
namespace {

/// What the text itself says.
[[nodiscard]] KeySummary describe(const Secret& secret) {
  KeySummary summary;
  if (const auto bundle = crypto::Certificate::parse_bundle(secret.reveal())) {
    const crypto::Certificate& first = bundle->front();
    summary.description = fmt::format(
        "{}certificate, serial {}, valid until {}",
        bundle->size() > 1 ? fmt::format("{} certificates, the first a ", bundle->size())
                           : std::string(),
        first.serial_hex(), format_rfc3339(first.not_after()));
    summary.id = first.serial_hex();
    summary.counts = {.from = first.not_before(), .until = first.not_after()};
  } else if (const auto key = crypto::PublicKey::parse(secret.reveal())) {
    summary.description =
        fmt::format("RSA {} public key, fingerprint {}", key->bits(), key->fingerprint());
    summary.id = key->fingerprint();
  } else if (const auto pair = crypto::PrivateKey::parse(secret)) {
    const crypto::PublicKey own = pair->public_key();
    summary.description = fmt::format("RSA {} private key, fingerprint of its public key {}",
                                      own.bits(), own.fingerprint());
    summary.id = own.fingerprint();
  } else {
    summary.description = fmt::format("secret of {} bytes", secret.size());
    summary.id = channel::wechatpay_v2_key_id(secret);  // as evidence and explanations name it
  }
  return summary;
}

}  // namespace

KeySummary summarize_key(std::string_view setting, const Secret& secret,
                         const channel::KeyWindow& window) {
  KeySummary summary = describe(secret);
  summary.setting = setting;
  if (window.from != TimePoint::min()) {
    summary.description += fmt::format(", counts from {}", format_rfc3339(window.from));
  }
  if (window.until != TimePoint::max()) {
    summary.description += fmt::format(", counts until {}", format_rfc3339(window.until));
  }
  summary.counts.from = std::max(summary.counts.from, window.from);
  summary.counts.until = std::min(summary.counts.until, window.until);
  return summary;
}

}  // namespace postern::app
