#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "crypto/key.h"
#include "crypto/openssl_ptr.h"

/// What a key holds. Private to this room: certificates make keys as well.
namespace postern::crypto {

/// The DER encoding written by `encode`, OpenSSL's i2d function for `object`; empty on failure.
template <class T, class Encode>
[[nodiscard]] std::string encode_der(const T* object, Encode encode) {
  unsigned char* buffer = nullptr;
  const int size = encode(object, &buffer);
  if (size <= 0 || buffer == nullptr) return {};
  std::string der = to_text(buffer, static_cast<std::size_t>(size));
  OPENSSL_clear_free(buffer, static_cast<std::size_t>(size));
  return der;
}

struct PublicKey::Impl {
  PkeyPtr pkey;      ///< null where the key is not one to verify with: every signature is refused
  std::uint64_t id;  ///< never used twice in a process, unlike an address
  int bits;          ///< of the RSA modulus; 0 where the key is not RSA
  std::string spki;  ///< DER
  std::string fingerprint;

  [[nodiscard]] static std::shared_ptr<const Impl> make(PkeyPtr pkey, int bits, std::string spki);
  /// Takes a public key that `check_rsa` has accepted. @errors key_malformed
  [[nodiscard]] static Result<std::shared_ptr<const Impl>> from_checked(PkeyPtr pkey);
  /// The key of a certificate, whatever it is: one that may not verify is kept by name only, since
  /// a bundle of roots may hold keys of kinds that are never used. @errors certificate_malformed
  [[nodiscard]] static Result<std::shared_ptr<const Impl>> from_certificate(
      const X509* certificate);
};

struct PrivateKey::Impl {
  PkeyPtr pkey;
  PublicKey public_key;
};

}  // namespace postern::crypto
