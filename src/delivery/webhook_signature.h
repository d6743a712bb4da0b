#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "crypto/ed25519.h"

namespace postern::delivery {

/// Signs messages as Standard Webhooks does, with every key it has, so that a consumer that knows
/// any one of them verifies: that is how keys are changed without a gap.
/// Immutable value. @thread any
/// @source Standard Webhooks specification 1.0, "Signature scheme"
class WebhookSigner {
 public:
  static constexpr std::size_t kKeysMax = 8;

  /// @param keys  at least one, the newest first. Each is "whsec_" + base64 of 24 to 64 bytes,
  /// which
  ///   signs `v1`, or "whsk_" + base64 of an Ed25519 seed of 32 bytes (or seed + public key), which
  ///   signs `v1a`. Base64 is the standard alphabet, padded
  /// @errors webhook_secret_missing, webhook_secret_malformed, webhook_secrets_too_many
  [[nodiscard]] static Result<WebhookSigner> parse(std::span<const Secret> keys);

  /// The value of `webhook-signature`: one "v1,..." or "v1a,..." a key, joined by spaces.
  /// @param id  1 to 128 visible ASCII characters without "."
  /// @param timestamp  since 1970, not negative
  /// @param body  the exact bytes sent
  /// @errors webhook_id_malformed, mac_failed, signing_failed
  [[nodiscard]] Result<std::string> sign(std::string_view id, std::chrono::seconds timestamp,
                                         std::string_view body) const;

  /// "whpk_..." of each Ed25519 key: what consumers verify `v1a` with.
  [[nodiscard]] std::vector<std::string> public_keys() const;

 private:
  /// A secret signs `v1`, an Ed25519 key `v1a`.
  using Key = std::variant<Secret, crypto::Ed25519PrivateKey>;
  [[nodiscard]] static Result<Key> parse_key(const Secret& text, std::size_t number);
  std::vector<Key> keys_;
};

}  // namespace postern::delivery
