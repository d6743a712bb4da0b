#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <memory>
#include <string>

/// Certificates and keys made on the spot, good ones and bad ones.
namespace postern::testing {

struct Releaser {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Key = std::unique_ptr<EVP_PKEY, Releaser>;

[[nodiscard]] inline Key curve_key(const char* curve = "P-256") {
  return Key(EVP_EC_gen(curve));
}
[[nodiscard]] inline Key rsa_key(unsigned bits) {
  return Key(EVP_RSA_gen(bits));
}

template <class Write>
[[nodiscard]] std::string written(Write write) {
  const std::unique_ptr<BIO, Releaser> bio(BIO_new(BIO_s_mem()));
  write(bio.get());
  char* begin = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &begin);
  return {begin, static_cast<std::size_t>(size)};
}

[[nodiscard]] inline std::string pem_of(EVP_PKEY* key) {
  return written(
      [&](BIO* bio) { PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
}
[[nodiscard]] inline std::string encrypted_pem_of(EVP_PKEY* key) {
  return written([&](BIO* bio) {
    PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "password", 8, nullptr, nullptr);
  });
}

/// A certificate with its key; issues others where it is an authority.
class Issued {
 public:
  struct Wanted {
    std::string common_name = "gateway.test";
    std::string alternative_names = "DNS:gateway.test,IP:127.0.0.1";
    std::string basic_constraints;   ///< such as "critical,CA:TRUE"
    std::string extended_key_usage;  ///< such as "clientAuth"
    long from_seconds = -3600;
    long to_seconds = 3600;
    const EVP_MD* digest = EVP_sha256();
  };

  /// @param issuer  nullptr: itself
  Issued(const Wanted& wanted, const Issued* issuer, Key key = curve_key())
      : key_(std::move(key)), certificate_(X509_new()) {
    static std::atomic<long> serial = 1;
    X509* const own = certificate_.get();
    X509_set_version(own, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(own), serial++);
    X509_gmtime_adj(X509_getm_notBefore(own), wanted.from_seconds);
    X509_gmtime_adj(X509_getm_notAfter(own), wanted.to_seconds);
    X509_set_pubkey(own, key_.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(own), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wanted.common_name.c_str()),
                               -1, -1, 0);
    X509* const issuing = issuer == nullptr ? own : issuer->certificate_.get();
    X509_set_issuer_name(own, X509_get_subject_name(issuing));
    add(issuing, NID_basic_constraints, wanted.basic_constraints);
    add(issuing, NID_subject_alt_name, wanted.alternative_names);
    add(issuing, NID_ext_key_usage, wanted.extended_key_usage);
    X509_sign(own, issuer == nullptr ? key_.get() : issuer->key_.get(), wanted.digest);
  }

  [[nodiscard]] std::string certificate() const {
    return written([&](BIO* bio) { PEM_write_bio_X509(bio, certificate_.get()); });
  }
  [[nodiscard]] std::string key() const { return pem_of(key_.get()); }
  [[nodiscard]] X509* native() const { return certificate_.get(); }
  [[nodiscard]] EVP_PKEY* native_key() const { return key_.get(); }

 private:
  void add(X509* issuer, int nid, const std::string& value) {
    if (value.empty()) return;
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate_.get(), nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    X509_add_ext(certificate_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }

  Key key_;
  std::unique_ptr<X509, Releaser> certificate_;
};

[[nodiscard]] inline Issued make_authority(const std::string& name = "test authority",
                                           const Issued* issuer = nullptr) {
  return {{.common_name = name, .alternative_names = "", .basic_constraints = "critical,CA:TRUE"},
          issuer};
}

}  // namespace postern::testing
