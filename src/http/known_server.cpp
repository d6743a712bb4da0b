// A server that is known by the certificate it was configured with. The address it is asked at need
// not stand in that certificate: commands connect to where the daemon listens, often 127.0.0.1.

#include "http/known_server.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <utility>
#include <vector>

#include "http/tls_pem.h"

namespace postern::http {
namespace {

constexpr int kSecurityLevel = 2;

using NamesPtr = OwnedBy<GENERAL_NAMES, GENERAL_NAMES_free>;

/// The server has proven that it holds the private key of what it shows, so the key we know is
/// enough. Otherwise it must be the same server with a new certificate, by its issuer and name.
int verify(X509_STORE_CTX* shown, void* known) {
  const EVP_PKEY* const key = ::X509_get0_pubkey(::X509_STORE_CTX_get0_cert(shown));
  if (::EVP_PKEY_eq(key, ::X509_get0_pubkey(static_cast<X509*>(known))) == 1) {
    ::X509_STORE_CTX_set_error(shown, X509_V_OK);
    return 1;
  }
  ::ERR_clear_error();
  return ::X509_verify_cert(shown);
}

/// Trusts what has one of the names of `known` and comes from its issuers or from a public
/// authority. Without a name, no other certificate could be told to be this server's.
[[nodiscard]] bool trust_successors(SSL_CTX* context, const std::vector<X509Ptr>& chain) {
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      ::X509_get_ext_d2i(chain.front().get(), NID_subject_alt_name, nullptr, nullptr)));
  X509_VERIFY_PARAM* const param = ::SSL_CTX_get0_param(context);
  bool is_named = false;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const auto* const text =
        reinterpret_cast<const char*>(::ASN1_STRING_get0_data(name->d.dNSName));
    const auto size = static_cast<std::size_t>(::ASN1_STRING_length(name->d.dNSName));
    if (::X509_VERIFY_PARAM_add1_host(param, text, size) != 1) return false;
    is_named = true;
  }
  if (!is_named) return true;
  ::X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  ::X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context), chain[i].get()) != 1) return false;
  }
  return ::SSL_CTX_set_default_verify_paths(context) == 1;
}

[[nodiscard]] Result<void> show_own(SSL_CTX* context, const ClientTls& tls) {
  const std::optional<std::vector<X509Ptr>> own = read_certificates(tls.own_certificates);
  if (!own || own->empty()) {
    return fault("tls_certificate_malformed",
                 "the client's certificate is no PEM, which begins with "
                 "-----BEGIN CERTIFICATE-----");
  }
  POSTERN_ASSIGN_OR_RETURN(const PkeyPtr key, read_private_key(tls.own_private_key));
  if (::X509_check_private_key(own->front().get(), key.get()) != 1) {
    ::ERR_clear_error();
    return fault("tls_private_key_of_another",
                 "the client's private key does not belong to its certificate");
  }
  bool is_set = ::SSL_CTX_use_certificate(context, own->front().get()) == 1 &&
                ::SSL_CTX_use_PrivateKey(context, key.get()) == 1;
  for (std::size_t i = 1; is_set && i < own->size(); ++i) {
    is_set = ::SSL_CTX_add1_chain_cert(context, (*own)[i].get()) == 1;
  }
  if (!is_set) return fault("tls_certificate_refused", take_tls_reason());
  return {};
}

}  // namespace

struct KnownServer::Impl {
  boost::asio::ssl::context context{boost::asio::ssl::context::tls_client};
  std::vector<X509Ptr> chain;
};

KnownServer::KnownServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KnownServer::~KnownServer() = default;

boost::asio::ssl::context& KnownServer::context() {
  return impl_->context;
}

Result<std::unique_ptr<KnownServer>> KnownServer::make(const ClientTls& tls) {
  auto impl = std::make_unique<Impl>();
  std::optional<std::vector<X509Ptr>> chain = read_certificates(tls.server_certificates);
  if (!chain || chain->empty()) {
    return fault("tls_setup_failed", "the server's certificate is not known");
  }
  impl->chain = std::move(*chain);
  SSL_CTX* const context = impl->context.native_handle();
  ::SSL_CTX_set_security_level(context, kSecurityLevel);
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  ::SSL_CTX_set_cert_verify_callback(context, verify, impl->chain.front().get());
  if (::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      !trust_successors(context, impl->chain)) {
    return fault("tls_setup_failed", take_tls_reason());
  }
  if (!tls.own_certificates.empty()) POSTERN_RETURN_IF_ERROR(show_own(context, tls));
  return std::unique_ptr<KnownServer>(new KnownServer(std::move(impl)));
}

}  // namespace postern::http
