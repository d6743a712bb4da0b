#pragma once

#include <gtest/gtest.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "crypto/key.h"

/// Keys for the tests of this room, made on the spot.
namespace postern::crypto::testing {

struct ReleasePkey {
  void operator()(EVP_PKEY* pkey) const noexcept { EVP_PKEY_free(pkey); }
};
using TestPkey = std::unique_ptr<EVP_PKEY, ReleasePkey>;

/// One of a few keys that are generated once per process, since each takes a while.
inline const PrivateKey& test_key(std::size_t which) {
  static const std::array<PrivateKey, 3> keys = {PrivateKey::generate().value(),
                                                 PrivateKey::generate().value(),
                                                 PrivateKey::generate().value()};
  return keys.at(which);
}

/// `pkey` in `structure` ("SubjectPublicKeyInfo", "type-specific", "PrivateKeyInfo") and `format`
/// ("PEM" or "DER").
inline std::string encoded(const EVP_PKEY* pkey, int selection, const char* format,
                           const char* structure) {
  OSSL_ENCODER_CTX* context =
      OSSL_ENCODER_CTX_new_for_pkey(pkey, selection, format, structure, nullptr);
  unsigned char* data = nullptr;
  std::size_t size = 0;
  const int done = OSSL_ENCODER_to_data(context, &data, &size);
  OSSL_ENCODER_CTX_free(context);
  EXPECT_EQ(done, 1);
  std::string text(reinterpret_cast<const char*>(data), size);
  OPENSSL_free(data);
  return text;
}

inline std::string public_pem(const EVP_PKEY* pkey) {
  return encoded(pkey, EVP_PKEY_PUBLIC_KEY, "PEM", "SubjectPublicKeyInfo");
}
inline std::string private_pem(const EVP_PKEY* pkey) {
  return encoded(pkey, EVP_PKEY_KEYPAIR, "PEM", "PrivateKeyInfo");
}

/// The text between the marks of a PEM text with one block, as a console shows it.
inline std::string bare_base64(std::string_view pem) {
  const std::size_t begin = pem.find('\n') + 1;
  return std::string(pem.substr(begin, pem.find("-----END") - begin));
}

}  // namespace postern::crypto::testing
