// Ed25519 (RFC 8032, section 5.1) over OpenSSL's EVP interface. A private key is its 32-byte seed;
// many libraries append the 32-byte public key to it.

#include "crypto/ed25519.h"

#include <utility>

#include "crypto/openssl_ptr.h"

namespace postern::crypto {
namespace {

constexpr std::size_t kSeedBytes = 32;
constexpr std::size_t kPublicKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;

}  // namespace

struct Ed25519PrivateKey::Impl {
  PkeyPtr pkey;
  std::string public_key;
};

Result<Ed25519PrivateKey> Ed25519PrivateKey::parse(const Secret& bytes) {
  const ErrorQueueGuard guard;
  if (bytes.size() != kSeedBytes && bytes.size() != kSeedBytes + kPublicKeyBytes) {
    return rejected("key_malformed", "an Ed25519 key is a seed of 32 bytes, or seed + public key");
  }
  PkeyPtr pkey(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, as_bytes(bytes.reveal()),
                                            kSeedBytes));
  std::string public_key(kPublicKeyBytes, '\0');
  std::size_t size = public_key.size();
  if (pkey == nullptr ||
      EVP_PKEY_get_raw_public_key(pkey.get(), as_writable_bytes(public_key), &size) != 1 ||
      size != kPublicKeyBytes) {
    return rejected("key_malformed", "the library refuses this Ed25519 key");
  }
  // A wrong public half means that the text was put together from two keys.
  if (bytes.size() > kSeedBytes && bytes.reveal().substr(kSeedBytes) != public_key) {
    return rejected("key_malformed", "the public half of this Ed25519 key is not its seed's");
  }
  return Ed25519PrivateKey(
      std::make_shared<const Impl>(Impl{std::move(pkey), std::move(public_key)}));
}

Result<std::string> Ed25519PrivateKey::sign(std::string_view message) const {
  const ErrorQueueGuard guard;
  const DigestContextPtr context(EVP_MD_CTX_new());
  std::string signature(kSignatureBytes, '\0');
  std::size_t size = signature.size();
  if (context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, impl_->pkey.get()) != 1 ||
      EVP_DigestSign(context.get(), as_writable_bytes(signature), &size, as_bytes(message),
                     message.size()) != 1 ||
      size != kSignatureBytes) {
    return fault("signing_failed", "Ed25519");
  }
  return signature;
}

const std::string& Ed25519PrivateKey::public_key() const {
  return impl_->public_key;
}

}  // namespace postern::crypto
