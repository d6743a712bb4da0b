// RSA keys: SubjectPublicKeyInfo (RFC 5280 section 4.1), PKCS#1 (RFC 8017 appendix A.1) and PKCS#8
// (RFC 5208), as PEM or as the bare base64 that platform consoles show; signatures are
// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2).
//
// Verifying is the dearest step of a callback. Setting up an EVP_PKEY_CTX costs a good part of it,
// so each thread keeps a few that are ready, one per key and scheme.

#include "crypto/key.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include <array>
#include <atomic>
#include <vector>

#include "crypto/digest_openssl.h"
#include "crypto/encoding.h"
#include "crypto/key_impl.h"
#include "crypto/pem.h"

namespace postern::crypto {
namespace {

/// Far more than any platform uses; a larger modulus only costs time.
constexpr int kRsaBitsMax = 8192;
/// An exponent this long is no real key's, and makes each verification as dear as a signature.
constexpr int kRsaExponentBitsMax = 64;
constexpr std::size_t kFingerprintBytes = 8;

[[nodiscard]] DigestAlgorithm digest_of(SignatureScheme scheme) {
  switch (scheme) {
    case SignatureScheme::kRsaSha1:
      return DigestAlgorithm::kSha1;
    case SignatureScheme::kRsaSha256:
      return DigestAlgorithm::kSha256;
  }
  return DigestAlgorithm::kSha256;
}

[[nodiscard]] std::unexpected<Error> key_empty() {
  return rejected("key_empty", "the text holds no key");
}
[[nodiscard]] std::unexpected<Error> key_malformed(std::string detail) {
  return rejected("key_malformed", std::move(detail));
}
[[nodiscard]] std::unexpected<Error> key_not_rsa() {
  return rejected("key_not_rsa", "only RSA keys are accepted here");
}

/// Whether `pkey` is an RSA key of a size and exponent that may be trusted with money.
[[nodiscard]] Result<void> check_rsa(const EVP_PKEY* pkey) {
  if (EVP_PKEY_is_a(pkey, "RSA") != 1) return key_not_rsa();
  const int bits = EVP_PKEY_get_bits(pkey);
  if (bits < kRsaBitsMin) {
    return rejected("key_too_short", "the RSA key has " + std::to_string(bits) +
                                         " bits; at least 2048 are needed: issue a new key");
  }
  if (bits > kRsaBitsMax) return key_malformed("the RSA key is longer than 8192 bits");
  BIGNUM* raw = nullptr;
  const bool found = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &raw) == 1;
  const BignumPtr exponent(raw);
  // With an exponent of 1 every text is its own signature.
  if (!found || BN_is_odd(exponent.get()) != 1 || BN_is_one(exponent.get()) == 1 ||
      BN_num_bits(exponent.get()) > kRsaExponentBitsMax) {
    return key_malformed("the RSA key has no usable public exponent");
  }
  return {};
}

/// `text` without white space, as consoles wrap it; wiped by its owner.
[[nodiscard]] Secret without_white_space(std::string_view text) {
  std::string kept;
  kept.reserve(text.size());  // growing would leave copies behind
  for (const char c : text) {
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') kept.push_back(c);
  }
  return Secret(std::move(kept));
}

[[nodiscard]] bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

[[nodiscard]] PkeyPtr decode_spki(std::string_view der) {
  const unsigned char* at = as_bytes(der);
  PkeyPtr pkey(d2i_PUBKEY_ex(nullptr, &at, static_cast<long>(der.size()), nullptr, nullptr));
  if (at != as_bytes(der) + der.size()) return nullptr;
  return pkey;
}

[[nodiscard]] PkeyPtr decode_pkcs1_public(std::string_view der) {
  EVP_PKEY* raw = nullptr;
  const DecoderContextPtr decoder(OSSL_DECODER_CTX_new_for_pkey(
      &raw, "DER", "type-specific", "RSA", EVP_PKEY_PUBLIC_KEY, nullptr, nullptr));
  const unsigned char* at = as_bytes(der);
  std::size_t left = der.size();
  const bool decoded =
      decoder != nullptr && OSSL_DECODER_from_data(decoder.get(), &at, &left) == 1 && left == 0;
  PkeyPtr pkey(raw);
  if (!decoded) return nullptr;
  return pkey;
}

[[nodiscard]] PkeyPtr decode_certificate_key(std::string_view der) {
  const unsigned char* at = as_bytes(der);
  const X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate || at != as_bytes(der) + der.size()) return nullptr;
  return PkeyPtr(X509_get_pubkey(certificate.get()));
}

/// PKCS#8 or PKCS#1.
[[nodiscard]] PkeyPtr decode_private(std::string_view der) {
  const unsigned char* at = as_bytes(der);
  PkeyPtr pkey(
      d2i_AutoPrivateKey_ex(nullptr, &at, static_cast<long>(der.size()), nullptr, nullptr));
  if (at != as_bytes(der) + der.size()) return nullptr;
  return pkey;
}

[[nodiscard]] Result<PkeyPtr> decode_public_pem(std::string_view text) {
  const std::optional<std::vector<PemBlock>> blocks = read_pem(text);
  if (!blocks) return key_malformed("the PEM text is broken off or not a key");
  const PemBlock& first = blocks->front();
  if (first.label == "CERTIFICATE") return decode_certificate_key(first.der.reveal());
  // Two keys in one text leave it open which one was meant.
  if (blocks->size() > 1) return key_malformed("the PEM text holds more than one key");
  if (first.label == "PUBLIC KEY") return decode_spki(first.der.reveal());
  if (first.label == "RSA PUBLIC KEY") return decode_pkcs1_public(first.der.reveal());
  return key_malformed("the PEM text holds no public key");
}

[[nodiscard]] Result<PkeyPtr> decode_private_pem(std::string_view text) {
  const std::optional<std::vector<PemBlock>> blocks = read_pem(text);
  if (!blocks) return key_malformed("the PEM text is broken off, encrypted or not a key");
  if (blocks->size() > 1) return key_malformed("the PEM text holds more than one key");
  const PemBlock& only = blocks->front();
  if (only.label == "EC PRIVATE KEY" || only.label == "DSA PRIVATE KEY") return key_not_rsa();
  if (only.label != "PRIVATE KEY" && only.label != "RSA PRIVATE KEY") {
    return key_malformed("the PEM text holds no plain private key");
  }
  return decode_private(only.der.reveal());
}

[[nodiscard]] Result<Secret> decode_bare(std::string_view text) {
  const Secret packed = without_white_space(text);
  Result<std::string> der = base64_decode(packed.reveal());
  if (!der) return key_malformed("neither PEM nor base64");
  return Secret(std::move(*der));
}

/// A context for verifying with `pkey` under `scheme`, or null.
[[nodiscard]] PkeyContextPtr make_verifier(EVP_PKEY* pkey, SignatureScheme scheme) {
  PkeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, pkey, nullptr));
  if (!context || EVP_PKEY_verify_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1 ||
      EVP_PKEY_CTX_set_signature_md(context.get(), fetched_digest(digest_of(scheme))) != 1) {
    return nullptr;
  }
  return context;
}

/// One thread's verifiers that are set up, the least recently used making room for a new one. Each
/// holds its own reference to its key.
class VerifierCache {
 public:
  /// Null where the library fails. Valid until the next call.
  [[nodiscard]] EVP_PKEY_CTX* get(const EVP_PKEY* pkey, std::uint64_t key_id,
                                  SignatureScheme scheme) {
    ++tick_;
    Slot* oldest = slots_.data();
    for (Slot& slot : slots_) {
      if (slot.key_id == key_id && slot.scheme == scheme) {
        slot.used_at = tick_;
        return slot.context.get();
      }
      if (slot.used_at < oldest->used_at) oldest = &slot;
    }
    *oldest = Slot{};
    // A context counts a reference on its key; the library takes no pointer to const for that.
    PkeyContextPtr context = make_verifier(const_cast<EVP_PKEY*>(pkey), scheme);
    if (!context) return nullptr;
    *oldest = Slot{key_id, scheme, tick_, std::move(context)};
    return oldest->context.get();
  }

 private:
  struct Slot {
    std::uint64_t key_id = 0;  ///< 0 is no key's
    SignatureScheme scheme = SignatureScheme::kRsaSha256;
    std::uint64_t used_at = 0;
    PkeyContextPtr context;
  };
  static constexpr std::size_t kSlots = 16;
  std::array<Slot, kSlots> slots_;
  std::uint64_t tick_ = 0;
};

[[nodiscard]] std::uint64_t next_key_id() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

[[nodiscard]] std::string fingerprint_of(std::string_view spki) {
  return hex_encode(digest(DigestAlgorithm::kSha256, spki).substr(0, kFingerprintBytes));
}

}  // namespace

std::shared_ptr<const PublicKey::Impl> PublicKey::Impl::make(PkeyPtr pkey, int bits,
                                                             std::string spki) {
  std::string fingerprint = fingerprint_of(spki);
  return std::make_shared<const Impl>(
      Impl{std::move(pkey), next_key_id(), bits, std::move(spki), std::move(fingerprint)});
}

Result<std::shared_ptr<const PublicKey::Impl>> PublicKey::Impl::from_checked(PkeyPtr pkey) {
  std::string spki = encode_der(pkey.get(), i2d_PUBKEY);
  if (spki.empty()) return key_malformed("the key cannot be written as SubjectPublicKeyInfo");
  const int bits = EVP_PKEY_get_bits(pkey.get());
  return make(std::move(pkey), bits, std::move(spki));
}

Result<std::shared_ptr<const PublicKey::Impl>> PublicKey::Impl::from_certificate(
    const X509* certificate) {
  X509_PUBKEY* const holder = X509_get_X509_PUBKEY(certificate);
  // The certificate's own bytes: encoding the key anew would cost as much as parsing it.
  std::string spki = holder == nullptr ? std::string() : encode_der(holder, i2d_X509_PUBKEY);
  if (spki.empty()) return rejected("certificate_malformed", "the certificate has no public key");
  PkeyPtr pkey(X509_PUBKEY_get(holder));
  const bool is_rsa = pkey && EVP_PKEY_is_a(pkey.get(), "RSA") == 1;
  const int bits = is_rsa ? EVP_PKEY_get_bits(pkey.get()) : 0;
  if (!is_rsa || !check_rsa(pkey.get())) pkey.reset();
  return make(std::move(pkey), bits, std::move(spki));
}

Result<PublicKey> PublicKey::parse(std::string_view text) {
  if (is_blank(text)) return key_empty();
  const ErrorQueueGuard errors;
  PkeyPtr pkey;
  if (looks_like_pem(text)) {
    POSTERN_ASSIGN_OR_RETURN(pkey, decode_public_pem(text));
  } else {
    POSTERN_ASSIGN_OR_RETURN(const Secret der, decode_bare(text));
    pkey = decode_spki(der.reveal());
  }
  if (!pkey) return key_malformed("not a public key, or with bytes after it");
  POSTERN_RETURN_IF_ERROR(check_rsa(pkey.get()));
  POSTERN_ASSIGN_OR_RETURN(auto impl, Impl::from_checked(std::move(pkey)));
  return PublicKey(std::move(impl));
}

Result<void> PublicKey::verify(SignatureScheme scheme, std::string_view message,
                               std::string_view signature) const {
  thread_local VerifierCache verifiers;
  const ErrorQueueGuard errors;
  // A signature is as long as the modulus. Looking at that first spares the work for the rest, and
  // a key that may not verify has no length to match.
  const std::size_t signature_bytes = (static_cast<std::size_t>(impl_->bits) + 7) / 8;
  if (!impl_->pkey || signature.size() != signature_bytes) {
    return rejected("signature_not_verified");
  }
  const std::optional<DigestValue> value = try_digest(digest_of(scheme), message);
  EVP_PKEY_CTX* const verifier = verifiers.get(impl_->pkey.get(), impl_->id, scheme);
  if (!value || verifier == nullptr ||
      EVP_PKEY_verify(verifier, as_bytes(signature), signature.size(), value->bytes.data(),
                      value->size) != 1) {
    return rejected("signature_not_verified");
  }
  return {};
}

std::optional<SignatureScheme> PublicKey::scheme_made(std::string_view signature) const {
  const ErrorQueueGuard errors;
  const std::size_t signature_bytes = (static_cast<std::size_t>(impl_->bits) + 7) / 8;
  if (!impl_->pkey || signature.size() != signature_bytes) return std::nullopt;
  for (const SignatureScheme scheme : {SignatureScheme::kRsaSha256, SignatureScheme::kRsaSha1}) {
    const PkeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, impl_->pkey.get(), nullptr));
    std::string digest(signature_bytes, '\0');
    std::size_t size = digest.size();
    if (context && EVP_PKEY_verify_recover_init(context.get()) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) == 1 &&
        EVP_PKEY_CTX_set_signature_md(context.get(), fetched_digest(digest_of(scheme))) == 1 &&
        EVP_PKEY_verify_recover(context.get(), as_writable_bytes(digest), &size,
                                as_bytes(signature), signature.size()) == 1) {
      return scheme;
    }
  }
  return std::nullopt;
}

int PublicKey::bits() const {
  return impl_->bits;
}

const std::string& PublicKey::fingerprint() const {
  return impl_->fingerprint;
}

std::string PublicKey::pem() const {
  return write_pem("PUBLIC KEY", impl_->spki);
}

namespace {

/// The public half of a private key, without the private half in it.
[[nodiscard]] PkeyPtr public_half(const EVP_PKEY* pkey) {
  return decode_spki(encode_der(pkey, i2d_PUBKEY));
}

}  // namespace

Result<PrivateKey> PrivateKey::parse(const Secret& text) {
  if (is_blank(text.reveal())) return key_empty();
  const ErrorQueueGuard errors;
  PkeyPtr pkey;
  if (looks_like_pem(text.reveal())) {
    POSTERN_ASSIGN_OR_RETURN(pkey, decode_private_pem(text.reveal()));
  } else {
    POSTERN_ASSIGN_OR_RETURN(const Secret der, decode_bare(text.reveal()));
    pkey = decode_private(der.reveal());
  }
  if (!pkey) return key_malformed("not a private key, or with bytes after it");
  POSTERN_RETURN_IF_ERROR(check_rsa(pkey.get()));
  PkeyPtr half = public_half(pkey.get());
  if (!half) return key_malformed("the private key has no public half");
  POSTERN_ASSIGN_OR_RETURN(auto public_impl, PublicKey::Impl::from_checked(std::move(half)));
  return PrivateKey(
      std::make_shared<const Impl>(Impl{std::move(pkey), PublicKey(std::move(public_impl))}));
}

Result<PrivateKey> PrivateKey::generate() {
  const ErrorQueueGuard errors;
  PkeyPtr pkey(EVP_RSA_gen(static_cast<unsigned int>(kRsaBitsMin)));
  PkeyPtr half = pkey ? public_half(pkey.get()) : nullptr;
  if (!half) return fault("key_generation_failed");
  Result<std::shared_ptr<const PublicKey::Impl>> public_impl =
      PublicKey::Impl::from_checked(std::move(half));
  if (!public_impl) return fault("key_generation_failed");
  return PrivateKey(
      std::make_shared<const Impl>(Impl{std::move(pkey), PublicKey(std::move(*public_impl))}));
}

Result<std::string> PrivateKey::sign(SignatureScheme scheme, std::string_view message) const {
  // No context is kept here: beside the signature itself its set-up is nothing, and a kept one
  // would keep a retired private key alive.
  const ErrorQueueGuard errors;
  const PkeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, impl_->pkey.get(), nullptr));
  const std::optional<DigestValue> value = try_digest(digest_of(scheme), message);
  if (!context || !value || EVP_PKEY_sign_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1 ||
      EVP_PKEY_CTX_set_signature_md(context.get(), fetched_digest(digest_of(scheme))) != 1) {
    return fault("signing_failed");
  }
  std::string signature(static_cast<std::size_t>(EVP_PKEY_get_size(impl_->pkey.get())), '\0');
  std::size_t size = signature.size();
  if (EVP_PKEY_sign(context.get(), as_writable_bytes(signature), &size, value->bytes.data(),
                    value->size) != 1) {
    return fault("signing_failed");
  }
  signature.resize(size);
  return signature;
}

PublicKey PrivateKey::public_key() const {
  return impl_->public_key;
}

Secret PrivateKey::pem() const {
  const ErrorQueueGuard errors;
  // PKCS#8, unencrypted: the private key as a PrivateKeyInfo.
  const OwnedBy<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free> info(
      EVP_PKEY2PKCS8(impl_->pkey.get()));
  if (!info) return {};
  const Secret der(encode_der(info.get(), i2d_PKCS8_PRIV_KEY_INFO));
  if (der.empty()) return {};
  return Secret(write_pem("PRIVATE KEY", der.reveal()));
}

}  // namespace postern::crypto
