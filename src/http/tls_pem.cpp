// PEM (RFC 7468) by OpenSSL.

#include "http/tls_pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <utility>

namespace postern::http {
namespace {

[[nodiscard]] BioPtr reader(std::string_view text) {
  return BioPtr(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// Asked for a password, it notes that and gives none.
int note_password(char* /*buffer*/, int /*size*/, int /*is_writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

}  // namespace

std::optional<std::vector<X509Ptr>> read_certificates(std::string_view pem) {
  ::ERR_clear_error();
  const BioPtr in = reader(pem);
  if (!in) return std::nullopt;
  std::vector<X509Ptr> certificates;
  while (X509* const one = ::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(one);
  }
  const unsigned long error = ::ERR_peek_last_error();
  ::ERR_clear_error();
  const bool is_end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!is_end) return std::nullopt;
  return certificates;
}

Result<PkeyPtr> read_private_key(const Secret& pem) {
  ::ERR_clear_error();
  const BioPtr in = reader(pem.reveal());
  bool is_encrypted = false;
  PkeyPtr key(in ? ::PEM_read_bio_PrivateKey(in.get(), nullptr, note_password, &is_encrypted)
                 : nullptr);
  ::ERR_clear_error();
  if (is_encrypted) {
    return fault("tls_private_key_encrypted",
                 "the key is encrypted, and nobody is there to type its password; write it out "
                 "with: openssl pkey -in KEY -out PLAIN, and chmod 600 PLAIN");
  }
  if (!key) {
    return fault("tls_private_key_malformed",
                 "this is no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----");
  }
  return key;
}

const char* take_tls_reason() {
  const char* const reason = ::ERR_reason_error_string(::ERR_peek_last_error());
  ::ERR_clear_error();
  return reason == nullptr ? "no reason given" : reason;
}

}  // namespace postern::http
