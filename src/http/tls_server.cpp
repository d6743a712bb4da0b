// TLS 1.2 (RFC 5246) and 1.3 (RFC 8446) as a server, by OpenSSL. What is offered follows RFC 9325:
// forward secrecy and authenticated encryption only, and neither compression nor renegotiation.

#include "http/tls_server.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "http/tls_pem.h"

namespace postern::http {
namespace {

constexpr std::string_view kHttp11 = "\x08http/1.1";
/// At least 112 bits of security: RSA from 2048 bits, no SHA-1 signatures in the chain.
constexpr int kSecurityLevel = 2;
constexpr int kRsaBitsMin = 2048;
constexpr int kCurveBitsMin = 256;
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
constexpr const char* kGroups = "X25519:P-256:P-384";

[[nodiscard]] TimePoint time_of(const ASN1_TIME* time) {
  std::tm utc{};
  // What cannot be read is long over.
  if (::ASN1_TIME_to_tm(time, &utc) != 1) return TimePoint::min();
  return TimePoint(std::chrono::seconds(::timegm(&utc)));
}

[[nodiscard]] std::string fingerprint_of(X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (::X509_digest(certificate, ::EVP_sha256(), digest.data(), &size) != 1) return {};
  constexpr std::size_t kShown = 8;
  std::string text;
  for (std::size_t i = 0; i < kShown; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

[[nodiscard]] bool is_self_issued(X509* certificate) {
  return ::X509_NAME_cmp(::X509_get_subject_name(certificate),
                         ::X509_get_issuer_name(certificate)) == 0;
}

[[nodiscard]] Result<void> check_key(EVP_PKEY* key) {
  const auto weak = [](std::string_view why) {
    return fault("tls_private_key_weak",
                 fmt::format("{}; make one of 256 bits: openssl genpkey -algorithm EC -pkeyopt "
                             "ec_paramgen_curve:P-256 -out KEY",
                             why));
  };
  const int bits = ::EVP_PKEY_get_bits(key);
  switch (::EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
      if (bits < kRsaBitsMin) return weak(fmt::format("an RSA key of {} bits is too short", bits));
      return {};
    case EVP_PKEY_EC:
      if (bits < kCurveBitsMin) return weak(fmt::format("a curve of {} bits is too weak", bits));
      return {};
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
      return {};
    default:
      return weak("the key is neither RSA nor of an elliptic curve");
  }
}

[[nodiscard]] Result<std::vector<X509Ptr>> read_chain(std::string_view pem) {
  std::optional<std::vector<X509Ptr>> chain = read_certificates(pem);
  if (!chain || chain->empty()) {
    return fault("tls_certificate_malformed",
                 "this is no PEM of certificates, which begins with -----BEGIN CERTIFICATE-----");
  }
  for (std::size_t i = 1; i < chain->size(); ++i) {
    if (::X509_check_issued((*chain)[i].get(), (*chain)[i - 1].get()) == X509_V_OK) continue;
    return fault("tls_certificate_refused",
                 fmt::format("certificate {} of the file has not issued certificate {}; put the "
                             "server's own first, then its issuer, then the issuer's",
                             i + 1, i));
  }
  if (::X509_check_purpose(chain->front().get(), X509_PURPOSE_SSL_SERVER, 0) != 1) {
    return fault("tls_certificate_refused",
                 "the first certificate is not for a TLS server by its key usage; ask its issuer "
                 "for one that is");
  }
  return std::move(*chain);
}

[[nodiscard]] std::unexpected<Error> refused(std::string_view what) {
  return fault("tls_certificate_refused", fmt::format("{}: {}", what, take_tls_reason()));
}

[[nodiscard]] Result<void> use_identity(SSL_CTX* context, std::span<const X509Ptr> chain,
                                        EVP_PKEY* key) {
  if (::X509_check_private_key(chain.front().get(), key) != 1) {
    ::ERR_clear_error();
    return fault("tls_private_key_of_another",
                 "the private key does not belong to the first certificate of the file; give the "
                 "pair that was made together");
  }
  if (::SSL_CTX_use_certificate(context, chain.front().get()) != 1 ||
      ::SSL_CTX_use_PrivateKey(context, key) != 1) {
    return refused("the certificate is not strong enough");
  }
  for (const X509Ptr& issuer : chain.subspan(1)) {
    // What a root signs itself with proves nothing, and clients have it.
    if (is_self_issued(issuer.get())) continue;
    if (::SSL_CTX_add1_chain_cert(context, issuer.get()) != 1) {
      return refused("an issuer's certificate is not strong enough");
    }
  }
  return {};
}

[[nodiscard]] Result<void> demand_clients(SSL_CTX* context, std::string_view client_ca) {
  const std::optional<std::vector<X509Ptr>> trusted = read_certificates(client_ca);
  if (!trusted || trusted->empty()) {
    return fault("tls_client_ca_malformed",
                 "this is no PEM of certificates, which begins with -----BEGIN CERTIFICATE-----");
  }
  X509_STORE* const store = ::SSL_CTX_get_cert_store(context);
  for (const X509Ptr& one : *trusted) {
    if (::X509_STORE_add_cert(store, one.get()) != 1 ||
        ::SSL_CTX_add_client_CA(context, one.get()) != 1) {
      return fault("tls_client_ca_malformed", take_tls_reason());
    }
  }
  ::X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

/// Takes http/1.1 where the client offers it, and refuses a client that offers only what is not
/// spoken here (RFC 7301, section 3.2).
int select_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void* /*unused*/) {
  unsigned char* selected = nullptr;
  const int outcome = ::SSL_select_next_proto(
      &selected, out_size, reinterpret_cast<const unsigned char*>(kHttp11.data()), kHttp11.size(),
      in, in_size);
  if (outcome != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

[[nodiscard]] bool set_up(SSL_CTX* context) {
  ::SSL_CTX_set_options(
      context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                   SSL_OP_NO_TICKET |
                   // A peer that closes without close_notify ends its stream all the same: a
                   // request says how long it is, so none is taken for whole that was cut off.
                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  ::SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // A peer that sends nothing but key updates must not keep one call to read busy.
  ::SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_security_level(context, kSecurityLevel);
  ::SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
  return ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         ::SSL_CTX_set_num_tickets(context, 0) == 1 &&
         ::SSL_CTX_set_cipher_list(context, kCiphers12) == 1 &&
         ::SSL_CTX_set_ciphersuites(context, kCiphers13) == 1 &&
         ::SSL_CTX_set1_groups_list(context, kGroups) == 1;
}

}  // namespace

Result<TlsIdentity> TlsIdentity::make(std::string_view certificates, const Secret& private_key,
                                      std::string_view client_ca) {
  ::ERR_clear_error();
  POSTERN_ASSIGN_OR_RETURN(const std::vector<X509Ptr> chain, read_chain(certificates));
  POSTERN_ASSIGN_OR_RETURN(const PkeyPtr key, read_private_key(private_key));
  POSTERN_RETURN_IF_ERROR(check_key(key.get()));
  TlsIdentity identity;
  identity.context_ = std::shared_ptr<SSL_CTX>(::SSL_CTX_new(::TLS_server_method()), SSL_CTX_free);
  SSL_CTX* const context = identity.context_.get();
  if (context == nullptr || !set_up(context)) return fault("tls_setup_failed", take_tls_reason());
  POSTERN_RETURN_IF_ERROR(use_identity(context, chain, key.get()));
  if (!client_ca.empty()) POSTERN_RETURN_IF_ERROR(demand_clients(context, client_ca));

  identity.fingerprint_ = fingerprint_of(chain.front().get());
  identity.not_before_ = TimePoint::min();
  identity.not_after_ = TimePoint::max();
  for (const X509Ptr& one : chain) {
    if (&one != &chain.front() && is_self_issued(one.get())) continue;
    identity.not_before_ =
        std::max(identity.not_before_, time_of(::X509_get0_notBefore(one.get())));
    identity.not_after_ = std::min(identity.not_after_, time_of(::X509_get0_notAfter(one.get())));
  }
  return identity;
}

Result<void> TlsIdentity::check_valid(TimePoint now) const {
  const auto dates = [this] {
    return fmt::format("valid from {} to {}", format_rfc3339(not_before_),
                       format_rfc3339(not_after_));
  };
  if (now > not_after_) {
    return fault(
        "tls_certificate_expired",
        fmt::format("the certificate or one of its issuers has expired ({}); renew it", dates()));
  }
  if (now < not_before_) {
    return fault(
        "tls_certificate_not_yet_valid",
        fmt::format("the certificate is not valid yet ({}); look at this host's clock", dates()));
  }
  return {};
}

Result<std::shared_ptr<TlsServerContext>> TlsServerContext::make(TlsIdentity identity,
                                                                 TimePoint now) {
  POSTERN_RETURN_IF_ERROR(identity.check_valid(now));
  return std::shared_ptr<TlsServerContext>(new TlsServerContext(std::move(identity)));
}

Result<void> TlsServerContext::renew(TlsIdentity identity, TimePoint now) {
  POSTERN_RETURN_IF_ERROR(identity.check_valid(now));
  const std::lock_guard lock(mutex_);
  std::swap(identity_, identity);
  return {};
}

TlsIdentity TlsServerContext::identity() const {
  const std::lock_guard lock(mutex_);
  return identity_;
}

TimePoint TlsServerContext::not_after() const {
  return identity().not_after();
}

ssl_st* TlsServerContext::open(int descriptor) const {
  // The connection keeps what it begins with for as long as it lasts: SSL_new counts a reference.
  SSL* const ssl = ::SSL_new(identity().context_.get());
  if (ssl == nullptr) return nullptr;
  if (::SSL_set_fd(ssl, descriptor) == 1) {
    ::SSL_set_accept_state(ssl);
    return ssl;
  }
  ::SSL_free(ssl);
  return nullptr;
}

}  // namespace postern::http
