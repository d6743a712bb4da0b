#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace postern::crypto {

/// RSASSA-PKCS1-v1_5 with the named digest.
enum class SignatureScheme : unsigned char { kRsaSha1, kRsaSha256 };

/// Smallest RSA modulus accepted, in bits.
inline constexpr int kRsaBitsMin = 2048;

/// A parsed RSA public key: an immutable value, cheap to copy, parsed once.
class PublicKey {
 public:
  /// Reads PEM (SPKI "PUBLIC KEY", PKCS#1 "RSA PUBLIC KEY" or "CERTIFICATE") or the bare base64 of
  /// an SPKI, as platform consoles show it (white space allowed). Of several certificates the first
  /// counts, since platforms append their issuers; several keys are refused.
  /// @errors key_empty, key_malformed, key_not_rsa, key_too_short (below 2048 bits)
  [[nodiscard]] static Result<PublicKey> parse(std::string_view text);

  /// Whether `signature` (raw bytes) signs `message`. Contexts are kept per thread.
  /// @errors signature_not_verified (also for any error inside the library: fail closed)
  /// @thread any
  [[nodiscard]] Result<void> verify(SignatureScheme scheme, std::string_view message,
                                    std::string_view signature) const;

  /// The scheme under which this key made `signature` over some text; nothing where it did not make
  /// it. RSA gives the digest back, so a wrong key can be told from a changed text. It verifies
  /// nothing: for explaining a refusal only. @thread any
  [[nodiscard]] std::optional<SignatureScheme> scheme_made(std::string_view signature) const;

  [[nodiscard]] int bits() const;
  /// First 16 hex digits of the SHA-256 of the SPKI: names the key in logs and evidence.
  [[nodiscard]] const std::string& fingerprint() const;
  [[nodiscard]] std::string pem() const;

 private:
  friend class Certificate;
  friend class PrivateKey;
  struct Impl;
  explicit PublicKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// A parsed RSA private key. Immutable value, cheap to copy.
class PrivateKey {
 public:
  /// Reads PKCS#8 or PKCS#1, unencrypted, as PEM or as bare base64. @errors as PublicKey::parse
  [[nodiscard]] static Result<PrivateKey> parse(const Secret& text);
  /// A new 2048-bit key, for simulators and tests. @errors key_generation_failed
  [[nodiscard]] static Result<PrivateKey> generate();

  /// Raw signature bytes. @errors signing_failed @thread any
  [[nodiscard]] Result<std::string> sign(SignatureScheme scheme, std::string_view message) const;
  [[nodiscard]] PublicKey public_key() const;
  [[nodiscard]] Secret pem() const;  ///< PKCS#8

 private:
  friend class Certificate;
  struct Impl;
  explicit PrivateKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace postern::crypto
