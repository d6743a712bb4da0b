#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "crypto/key.h"

namespace postern::crypto {

/// Which digests the signatures of a chain may use. SHA-1 can be forged by whoever has the means to
/// find collisions: allow it only where a platform's own chain still needs it.
enum class ChainDigests : unsigned char { kSha2Only, kSha1Allowed };

/// A parsed X.509 certificate. Immutable value, cheap to copy.
class Certificate {
 public:
  /// The only certificate of a PEM text. @errors certificate_malformed
  [[nodiscard]] static Result<Certificate> parse(std::string_view pem);
  /// Every certificate of a PEM bundle, in order; at least one. @errors certificate_malformed
  [[nodiscard]] static Result<std::vector<Certificate>> parse_bundle(std::string_view pem);
  /// Self-signed, for simulators and tests; `serial_hex` is up to 40 hex digits.
  /// @errors certificate_generation_failed
  [[nodiscard]] static Result<Certificate> self_signed(const PrivateKey& key,
                                                       std::string_view common_name,
                                                       std::string_view serial_hex,
                                                       TimePoint not_before, TimePoint not_after);

  /// Of a key that is not RSA or too short, such as an SM2 root's in a platform's bundle, only the
  /// fingerprint is of use: it refuses every signature, and `bits` is 0 where it is not RSA.
  [[nodiscard]] const PublicKey& public_key() const;
  [[nodiscard]] const std::string& serial_hex() const;  ///< upper case, no leading zero byte
  [[nodiscard]] const std::string& serial_decimal() const;
  /// Issuer's RDNs, most specific first, "CN=..,OU=..,O=..,C=.." joined by "," without spaces.
  [[nodiscard]] const std::string& issuer_rfc2253() const;
  /// The subject's CN in UTF-8; empty where there is none or several: a name that counts must not
  /// be ambiguous.
  [[nodiscard]] const std::string& subject_common_name() const;
  [[nodiscard]] const std::string& signature_oid() const;  ///< dotted, "1.2.840.113549.1.1.11"
  [[nodiscard]] TimePoint not_before() const;
  [[nodiscard]] TimePoint not_after() const;
  [[nodiscard]] std::string pem() const;

  /// Whether this certificate chains to one of `roots` and every certificate on the way is valid at
  /// `now`. Purpose is not checked: these are signing certificates of payment platforms, not of web
  /// servers. Every key on the way has at least the strength of RSA-2048.
  ///
  /// @param roots  trusted, from configuration only. Self-signed ones are where a chain may end,
  /// the
  ///   certificate itself included; others are intermediates, which may be passed through
  /// @param intermediates  untrusted, such as those sent along with the certificate
  /// @errors certificate_untrusted, certificate_expired (also: not yet valid)
  [[nodiscard]] Result<void> verify_chain(std::span<const Certificate> roots, TimePoint now,
                                          std::span<const Certificate> intermediates = {},
                                          ChainDigests digests = ChainDigests::kSha2Only) const;

 private:
  struct Impl;
  explicit Certificate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace postern::crypto
