#include "app/key_summary.h"

#include <fmt/format.h>

#include <vector>

#include "base/clock.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace postern::app {
namespace {

[[nodiscard]] std::string describe(const Secret& secret) {
  if (const auto bundle = crypto::Certificate::parse_bundle(secret.reveal())) {
    const crypto::Certificate& first = bundle->front();
    return fmt::format("{}certificate, serial {}, valid until {}",
                       bundle->size() > 1
                           ? fmt::format("{} certificates, the first a ", bundle->size())
                           : std::string(),
                       first.serial_hex(), format_rfc3339(first.not_after()));
  }
  if (const auto key = crypto::PublicKey::parse(secret.reveal())) {
    return fmt::format("RSA {} public key, fingerprint {}", key->bits(), key->fingerprint());
  }
  if (const auto key = crypto::PrivateKey::parse(secret)) {
    const crypto::PublicKey own = key->public_key();
    return fmt::format("RSA {} private key, fingerprint of its public key {}", own.bits(),
                       own.fingerprint());
  }
  return fmt::format("secret of {} bytes", secret.size());
}

}  // namespace

KeySummary summarize_key(std::string_view setting, const Secret& secret) {
  return {std::string(setting), describe(secret)};
}

}  // namespace postern::app
