// A certificate authority for tests: real chains, made with OpenSSL on the spot.
#include "tests/channel/certificates.h"

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>

namespace postern::channel {
namespace {

template <class T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const { Free(object); }
};
template <class T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, Deleter<T, Free>>;

void require(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL refused to make a test certificate");
}

[[nodiscard]] Owned<EVP_PKEY, EVP_PKEY_free> load(const crypto::PrivateKey& key) {
  const Secret pem = key.pem();
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.reveal().data(), static_cast<int>(pem.size())), &BIO_free);
  Owned<EVP_PKEY, EVP_PKEY_free> loaded(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  require(loaded != nullptr);
  return loaded;
}

[[nodiscard]] time_t seconds(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

void set_common_name(X509_NAME* name, std::string_view text) {
  require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()), -1, 0) == 1);
}

}  // namespace

std::string issue_certificate(const Issuer& subject, const Issuer& issuer, Life life,
                              std::string_view serial_hex) {
  const Owned<X509, X509_free> certificate(X509_new());
  const auto subject_key = load(subject.key);
  const auto issuer_key = load(issuer.key);
  BIGNUM* number = nullptr;
  require(BN_hex2bn(&number, std::string(serial_hex).c_str()) > 0);
  const Owned<BIGNUM, BN_free> serial(number);
  require(BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get())) != nullptr);
  require(X509_set_version(certificate.get(), 2) == 1);
  require(ASN1_TIME_set(X509_getm_notBefore(certificate.get()), seconds(life.not_before)));
  require(ASN1_TIME_set(X509_getm_notAfter(certificate.get()), seconds(life.not_after)));
  set_common_name(X509_get_subject_name(certificate.get()), subject.common_name);
  set_common_name(X509_get_issuer_name(certificate.get()), issuer.common_name);
  require(X509_set_pubkey(certificate.get(), subject_key.get()) == 1);
  // Every one of them may issue: what is tested is not who may be an authority.
  const Owned<X509_EXTENSION, X509_EXTENSION_free> authority(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE"));
  require(X509_add_ext(certificate.get(), authority.get(), -1) == 1);
  require(X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) > 0);
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
  require(PEM_write_bio_X509(out.get(), certificate.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace postern::channel
