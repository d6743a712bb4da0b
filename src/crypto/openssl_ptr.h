#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <memory>
#include <string>
#include <string_view>

/// Owners of OpenSSL objects. Private to this room: included from its .cpp files only.
namespace postern::crypto {

template <auto Release>
struct ReleaseWith {
  template <class T>
  void operator()(T* object) const noexcept {
    Release(object);
  }
};

template <class T, auto Release>
using OwnedBy = std::unique_ptr<T, ReleaseWith<Release>>;

using BignumPtr = OwnedBy<BIGNUM, BN_free>;
using BioPtr = OwnedBy<BIO, BIO_free_all>;
using CipherContextPtr = OwnedBy<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using DecoderContextPtr = OwnedBy<OSSL_DECODER_CTX, OSSL_DECODER_CTX_free>;
using DigestContextPtr = OwnedBy<EVP_MD_CTX, EVP_MD_CTX_free>;
using MacContextPtr = OwnedBy<EVP_MAC_CTX, EVP_MAC_CTX_free>;
using PkeyContextPtr = OwnedBy<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using PkeyPtr = OwnedBy<EVP_PKEY, EVP_PKEY_free>;
using X509Ptr = OwnedBy<X509, X509_free>;
using X509StorePtr = OwnedBy<X509_STORE, X509_STORE_free>;
using X509StoreContextPtr = OwnedBy<X509_STORE_CTX, X509_STORE_CTX_free>;

/// Leaves the thread's error queue empty behind it, so that one call's failure is never read as
/// the next one's, here or in another user of OpenSSL on the same thread.
class ErrorQueueGuard {
 public:
  ErrorQueueGuard() { clear(); }
  ~ErrorQueueGuard() { clear(); }
  ErrorQueueGuard(const ErrorQueueGuard&) = delete;
  ErrorQueueGuard& operator=(const ErrorQueueGuard&) = delete;

 private:
  // Clearing visits every slot of the queue even where it is empty; looking first is ten times
  // cheaper on the path that has no errors.
  static void clear() {
    if (ERR_peek_error() != 0) ERR_clear_error();
  }
};

[[nodiscard]] inline const unsigned char* as_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
[[nodiscard]] inline unsigned char* as_writable_bytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}
[[nodiscard]] inline std::string to_text(const unsigned char* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

/// Everything written to the memory BIO `bio` so far; valid until it is written to again.
[[nodiscard]] inline std::string_view written_to(BIO* bio) {
  char* begin = nullptr;
  const long size = BIO_get_mem_data(bio, &begin);
  if (begin == nullptr || size <= 0) return {};
  return {begin, static_cast<std::size_t>(size)};
}

}  // namespace postern::crypto
