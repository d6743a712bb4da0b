// X.509 certificates (RFC 5280) in PEM, and the path from one to a trusted root.
//
// Names are written as RFC 2253 has them, most specific part first; UTF-8 is left as it is, because
// platforms hash that text.

#include "crypto/certificate.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "crypto/digest_openssl.h"
#include "crypto/key_impl.h"
#include "crypto/openssl_ptr.h"
#include "crypto/pem.h"

namespace postern::crypto {
namespace {

/// Leaf, intermediates and root; real platforms use three.
constexpr int kChainDepthMax = 8;
constexpr std::size_t kSerialHexDigitsMax = 40;
/// OpenSSL's level 2: 112 bits of strength, RSA-2048 and SHA-224 or better.
constexpr int kStrengthLevel = 2;
constexpr int kStrengthBits = 112;
/// Level 0 lets SHA-1 pass, and everything else with it: `is_strong_chain` then looks itself.
constexpr int kNoStrengthLevel = 0;

/// Names borrowed from certificates that outlive the stack.
struct ReleaseStack {
  void operator()(STACK_OF(X509) * stack) const noexcept { sk_X509_free(stack); }
};
using BorrowedX509Stack = std::unique_ptr<STACK_OF(X509), ReleaseStack>;

struct ReleaseOpensslText {
  void operator()(char* text) const noexcept { OPENSSL_free(text); }
};
using OpensslText = std::unique_ptr<char, ReleaseOpensslText>;

[[nodiscard]] std::unexpected<Error> malformed(std::string detail) {
  return rejected("certificate_malformed", std::move(detail));
}

[[nodiscard]] std::optional<TimePoint> to_time_point(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year{parts.tm_year + 1900},
      std::chrono::month{static_cast<unsigned>(parts.tm_mon + 1)},
      std::chrono::day{static_cast<unsigned>(parts.tm_mday)}};
  if (!date.ok()) return std::nullopt;
  return TimePoint{std::chrono::sys_days{date}} + std::chrono::hours{parts.tm_hour} +
         std::chrono::minutes{parts.tm_min} + std::chrono::seconds{parts.tm_sec};
}

[[nodiscard]] std::time_t to_unix_seconds(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

[[nodiscard]] std::optional<std::string> rfc2253_text(const X509_NAME* name) {
  constexpr unsigned long kFlags =
      XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || X509_NAME_print_ex(out.get(), name, 0, kFlags) < 0) return std::nullopt;
  return std::string(written_to(out.get()));
}

/// The only CN of `name`, or the empty text.
[[nodiscard]] std::string common_name_of(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) return {};
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, value);
  if (size < 0) return {};
  std::string text = to_text(utf8, static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

[[nodiscard]] std::optional<std::string> signature_oid_of(const X509* x509) {
  const X509_ALGOR* algorithm = nullptr;
  X509_get0_signature(nullptr, &algorithm, x509);
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
  char text[128];
  const int size = OBJ_obj2txt(text, sizeof text, object, /*no_name=*/1);
  if (size <= 0 || static_cast<std::size_t>(size) >= sizeof text) return std::nullopt;
  return std::string(text, static_cast<std::size_t>(size));
}

[[nodiscard]] X509Ptr decode_x509(std::string_view der) {
  const unsigned char* at = as_bytes(der);
  X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (at != as_bytes(der) + der.size()) return nullptr;
  return x509;
}

/// Whether every key of a chain that was found good is strong, and every signature but the root's
/// own (which proves nothing) uses SHA-1 or better.
[[nodiscard]] bool is_strong_chain(const STACK_OF(X509) * chain) {
  const int count = sk_X509_num(chain);
  for (int i = 0; i < count; ++i) {
    X509* const x509 = sk_X509_value(chain, i);
    const EVP_PKEY* const key = X509_get0_pubkey(x509);
    if (key == nullptr || EVP_PKEY_get_security_bits(key) < kStrengthBits) return false;
    int digest_nid = NID_undef;
    if (i + 1 == count) break;
    if (X509_get_signature_info(x509, &digest_nid, nullptr, nullptr, nullptr) != 1) return false;
    if (digest_nid != NID_sha1 && digest_nid != NID_sha256 && digest_nid != NID_sha384 &&
        digest_nid != NID_sha512) {
      return false;
    }
  }
  return count > 0;
}

[[nodiscard]] bool is_serial_hex(std::string_view text) {
  return !text.empty() && text.size() <= kSerialHexDigitsMax &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

[[nodiscard]] bool set_serial(X509* x509, std::string_view serial_hex) {
  BIGNUM* raw = nullptr;
  const std::string text(serial_hex);
  const bool read = BN_hex2bn(&raw, text.c_str()) == static_cast<int>(text.size());
  const BignumPtr serial(raw);
  return read && BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(x509)) != nullptr;
}

[[nodiscard]] bool set_name(X509* x509, std::string_view common_name) {
  X509_NAME* const name = X509_get_subject_name(x509);
  return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, as_bytes(common_name),
                                    static_cast<int>(common_name.size()), -1, 0) == 1 &&
         X509_set_issuer_name(x509, name) == 1;
}

/// Marks the certificate as one that may sign messages and no further certificates.
[[nodiscard]] bool set_leaf_only(X509* x509) {
  const OwnedBy<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:FALSE"));
  return extension != nullptr && X509_add_ext(x509, extension.get(), -1) == 1;
}

[[nodiscard]] bool set_times(X509* x509, TimePoint not_before, TimePoint not_after) {
  return ASN1_TIME_set(X509_getm_notBefore(x509), to_unix_seconds(not_before)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(x509), to_unix_seconds(not_after)) != nullptr;
}

}  // namespace

struct Certificate::Impl {
  X509Ptr x509;
  PublicKey public_key;
  std::string serial_hex;
  std::string serial_decimal;
  std::string issuer_rfc2253;
  std::string subject_common_name;
  std::string signature_oid;
  TimePoint not_before;
  TimePoint not_after;

  /// @errors certificate_malformed
  [[nodiscard]] static Result<std::shared_ptr<const Impl>> make(X509Ptr x509, PublicKey public_key);
};

Result<std::shared_ptr<const Certificate::Impl>> Certificate::Impl::make(X509Ptr x509,
                                                                         PublicKey public_key) {
  const BignumPtr serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509.get()), nullptr));
  if (!serial) return malformed("the serial number cannot be read");
  const OpensslText hex(BN_bn2hex(serial.get()));
  const OpensslText decimal(BN_bn2dec(serial.get()));
  std::optional<std::string> issuer = rfc2253_text(X509_get_issuer_name(x509.get()));
  std::optional<std::string> oid = signature_oid_of(x509.get());
  const std::optional<TimePoint> begin = to_time_point(X509_get0_notBefore(x509.get()));
  const std::optional<TimePoint> end = to_time_point(X509_get0_notAfter(x509.get()));
  if (!hex || !decimal || !issuer || !oid) return malformed("a name or number cannot be read");
  if (!begin || !end) return malformed("the validity cannot be read");
  // The library reads extensions when they are first asked for and keeps them in the certificate.
  // Done here, by the thread that still owns it alone, threads that share it later write nothing.
  // A certificate whose extensions are wrong is refused with its chain.
  (void)X509_check_purpose(x509.get(), /*purpose=*/-1, /*ca=*/0);
  std::string common_name = common_name_of(X509_get_subject_name(x509.get()));
  return std::make_shared<const Impl>(Impl{std::move(x509), std::move(public_key), hex.get(),
                                           decimal.get(), std::move(*issuer),
                                           std::move(common_name), std::move(*oid), *begin, *end});
}

Result<std::vector<Certificate>> Certificate::parse_bundle(std::string_view pem) {
  const ErrorQueueGuard errors;
  const std::optional<std::vector<PemBlock>> blocks = read_pem(pem);
  if (!blocks) return malformed("not PEM, or broken off");
  std::vector<Certificate> certificates;
  certificates.reserve(blocks->size());
  for (const PemBlock& block : *blocks) {
    if (block.label != "CERTIFICATE") return malformed("the text holds more than certificates");
    X509Ptr x509 = decode_x509(block.der.reveal());
    if (!x509) return malformed("not X.509, or with bytes after it");
    POSTERN_ASSIGN_OR_RETURN(auto key, PublicKey::Impl::from_certificate(x509.get()));
    POSTERN_ASSIGN_OR_RETURN(auto impl, Impl::make(std::move(x509), PublicKey(std::move(key))));
    certificates.push_back(Certificate(std::move(impl)));
  }
  return certificates;
}

Result<Certificate> Certificate::parse(std::string_view pem) {
  POSTERN_ASSIGN_OR_RETURN(std::vector<Certificate> certificates, parse_bundle(pem));
  if (certificates.size() != 1) return malformed("the text holds more than one certificate");
  return certificates.front();
}

Result<Certificate> Certificate::self_signed(const PrivateKey& key, std::string_view common_name,
                                             std::string_view serial_hex, TimePoint not_before,
                                             TimePoint not_after) {
  const ErrorQueueGuard errors;
  const auto failed = [](std::string detail) {
    return fault("certificate_generation_failed", std::move(detail));
  };
  if (!is_serial_hex(serial_hex)) return failed("the serial number is 1 to 40 hex digits");
  X509Ptr x509(X509_new());
  if (!x509 || X509_set_version(x509.get(), X509_VERSION_3) != 1 ||
      !set_serial(x509.get(), serial_hex) || !set_name(x509.get(), common_name) ||
      !set_times(x509.get(), not_before, not_after) || !set_leaf_only(x509.get()) ||
      X509_set_pubkey(x509.get(), key.impl_->pkey.get()) != 1 ||
      X509_sign(x509.get(), key.impl_->pkey.get(), fetched_digest(DigestAlgorithm::kSha256)) <= 0) {
    return failed("the name is 1 to 64 characters of UTF-8");
  }
  Result<std::shared_ptr<const Impl>> impl = Impl::make(std::move(x509), key.public_key());
  if (!impl) return failed(std::move(impl.error().detail));
  return Certificate(std::move(*impl));
}

const PublicKey& Certificate::public_key() const {
  return impl_->public_key;
}
const std::string& Certificate::serial_hex() const {
  return impl_->serial_hex;
}
const std::string& Certificate::serial_decimal() const {
  return impl_->serial_decimal;
}
const std::string& Certificate::issuer_rfc2253() const {
  return impl_->issuer_rfc2253;
}
const std::string& Certificate::subject_common_name() const {
  return impl_->subject_common_name;
}
const std::string& Certificate::signature_oid() const {
  return impl_->signature_oid;
}
TimePoint Certificate::not_before() const {
  return impl_->not_before;
}
TimePoint Certificate::not_after() const {
  return impl_->not_after;
}

std::string Certificate::pem() const {
  const ErrorQueueGuard errors;
  return write_pem("CERTIFICATE", encode_der(impl_->x509.get(), i2d_X509));
}

Result<void> Certificate::verify_chain(std::span<const Certificate> roots, TimePoint now,
                                       std::span<const Certificate> intermediates,
                                       ChainDigests digests) const {
  const ErrorQueueGuard errors;
  const auto untrusted = [](std::string detail) {
    return rejected("certificate_untrusted", std::move(detail));
  };
  const X509StorePtr anchors(X509_STORE_new());
  const BorrowedX509Stack passed_through(sk_X509_new_null());
  const X509StoreContextPtr context(X509_STORE_CTX_new());
  if (!anchors || !passed_through || !context) return untrusted("out of memory");
  // A chain must end at a self-signed certificate of the store; the library's partial chains, which
  // may end at any, stay off: they would leave the expiry of an intermediate's root unseen.
  for (const Certificate& root : roots) {
    if (X509_STORE_add_cert(anchors.get(), root.impl_->x509.get()) != 1) {
      return untrusted("a root cannot be used");
    }
  }
  for (const Certificate& one : intermediates) {
    if (sk_X509_push(passed_through.get(), one.impl_->x509.get()) <= 0) {
      return untrusted("an intermediate cannot be used");
    }
  }
  if (X509_STORE_CTX_init(context.get(), anchors.get(), impl_->x509.get(), passed_through.get()) !=
      1) {
    return untrusted("the chain cannot be set up");
  }
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, to_unix_seconds(now));
  X509_VERIFY_PARAM_set_depth(parameters, kChainDepthMax);
  X509_VERIFY_PARAM_set_auth_level(
      parameters, digests == ChainDigests::kSha2Only ? kStrengthLevel : kNoStrengthLevel);
  // Through the parameters: the context's own setter knows no purpose "any" in OpenSSL 3.0.
  if (X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_ANY) != 1) {
    return untrusted("the chain cannot be set up");
  }
  if (X509_verify_cert(context.get()) != 1) {
    const int reason = X509_STORE_CTX_get_error(context.get());
    std::string detail = X509_verify_cert_error_string(reason);
    if (reason == X509_V_ERR_CERT_HAS_EXPIRED || reason == X509_V_ERR_CERT_NOT_YET_VALID) {
      return rejected("certificate_expired", std::move(detail));
    }
    return untrusted(std::move(detail));
  }
  if (!is_strong_chain(X509_STORE_CTX_get0_chain(context.get()))) {
    return untrusted("a key or signature of the chain is too weak");
  }
  return {};
}

}  // namespace postern::crypto
