// Standard Webhooks signatures. Signed is "id.timestamp.body": the id without ".", the time in
// whole seconds since 1970 in decimal, the body byte for byte. Two schemes:
//
//   v1,<base64>   HMAC-SHA256 under a shared secret, written "whsec_" + base64 of 24 to 64 bytes
//   v1a,<base64>  Ed25519; private key "whsk_" + base64, public key "whpk_" + base64
//
// The header `webhook-signature` lists signatures separated by spaces; one that verifies is enough.

#include "delivery/webhook_signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "crypto/digest.h"
#include "crypto/encoding.h"

namespace postern::delivery {
namespace {

constexpr std::string_view kSecretPrefix = "whsec_";
constexpr std::string_view kPrivateKeyPrefix = "whsk_";
constexpr std::string_view kPublicKeyPrefix = "whpk_";
constexpr std::size_t kSecretBytesMin = 24;
constexpr std::size_t kSecretBytesMax = 64;
constexpr std::size_t kIdBytesMax = 128;

[[nodiscard]] bool is_message_id(std::string_view id) {
  return !id.empty() && id.size() <= kIdBytesMax &&
         std::ranges::all_of(id, [](char c) { return c > ' ' && c < '\x7F' && c != '.'; });
}

}  // namespace

Result<WebhookSigner::Key> WebhookSigner::parse_key(const Secret& text, std::size_t number) {
  // Which key is wrong is told by its place: nothing of the key itself may reach a log.
  const auto malformed = [&](std::string_view why) {
    return rejected("webhook_secret_malformed", fmt::format("webhook secret {} {}", number, why));
  };
  const std::string_view revealed = text.reveal();
  const bool is_secret = revealed.starts_with(kSecretPrefix);
  if (!is_secret && !revealed.starts_with(kPrivateKeyPrefix)) {
    return malformed("begins with neither whsec_ nor whsk_");
  }
  auto decoded = crypto::base64_decode(
      revealed.substr(is_secret ? kSecretPrefix.size() : kPrivateKeyPrefix.size()));
  if (!decoded) return malformed("is no padded standard base64 behind its prefix");
  Secret bytes(std::move(*decoded));
  if (is_secret) {
    if (bytes.size() < kSecretBytesMin || bytes.size() > kSecretBytesMax) {
      return malformed(
          fmt::format("has {} bytes; 24 to 64 are needed, such as whsec_$(openssl rand "
                      "-base64 32)",
                      bytes.size()));
    }
    return Key(std::move(bytes));
  }
  auto key = crypto::Ed25519PrivateKey::parse(bytes);
  if (!key) return malformed(key.error().detail);
  return Key(std::move(*key));
}

Result<WebhookSigner> WebhookSigner::parse(std::span<const Secret> keys) {
  if (keys.empty()) {
    return rejected("webhook_secret_missing",
                    "a webhook is always signed: give a secret, such as whsec_$(openssl rand "
                    "-base64 32)");
  }
  if (keys.size() > kKeysMax) {
    return rejected("webhook_secrets_too_many", fmt::format("at most {} secrets", kKeysMax));
  }
  WebhookSigner signer;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    POSTERN_ASSIGN_OR_RETURN(Key key, parse_key(keys[i], i + 1));
    signer.keys_.push_back(std::move(key));
  }
  return signer;
}

Result<std::string> WebhookSigner::sign(std::string_view id, std::chrono::seconds timestamp,
                                        std::string_view body) const {
  // A "." in the id would let two messages share one signature.
  if (!is_message_id(id) || timestamp.count() < 0) {
    return fault("webhook_id_malformed", "an id is 1 to 128 visible characters without '.'");
  }
  const std::string text = fmt::format("{}.{}.{}", id, timestamp.count(), body);
  std::string header;
  for (const Key& key : keys_) {
    if (!header.empty()) header += ' ';
    if (const Secret* secret = std::get_if<Secret>(&key)) {
      POSTERN_ASSIGN_OR_RETURN(const std::string mac,
                               crypto::hmac(crypto::DigestAlgorithm::kSha256, *secret, text));
      header += "v1," + crypto::base64_encode(mac);
    } else {
      POSTERN_ASSIGN_OR_RETURN(const std::string signature,
                               std::get<crypto::Ed25519PrivateKey>(key).sign(text));
      header += "v1a," + crypto::base64_encode(signature);
    }
  }
  return header;
}

std::vector<std::string> WebhookSigner::public_keys() const {
  std::vector<std::string> texts;
  for (const Key& key : keys_) {
    if (const auto* pair = std::get_if<crypto::Ed25519PrivateKey>(&key)) {
      texts.push_back(std::string(kPublicKeyPrefix) + crypto::base64_encode(pair->public_key()));
    }
  }
  return texts;
}

}  // namespace postern::delivery
