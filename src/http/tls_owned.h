#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

/// Owners of OpenSSL objects. Private to this room: included from its .cpp files only.
namespace postern::http {

template <auto Release>
struct ReleaseWith {
  template <class T>
  void operator()(T* object) const noexcept {
    Release(object);
  }
};

template <class T, auto Release>
using OwnedBy = std::unique_ptr<T, ReleaseWith<Release>>;

using BioPtr = OwnedBy<BIO, BIO_free_all>;
using PkeyPtr = OwnedBy<EVP_PKEY, EVP_PKEY_free>;
using SslContextPtr = OwnedBy<SSL_CTX, SSL_CTX_free>;
using X509Ptr = OwnedBy<X509, X509_free>;

}  // namespace postern::http
