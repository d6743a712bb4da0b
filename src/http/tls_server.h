#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

struct ssl_ctx_st;
struct ssl_st;

namespace postern::http {

/// A certificate with its private key, and whom to let in: what one listener shows, read and
/// checked. Immutable value, cheap to copy. @thread any
class TlsIdentity {
 public:
  /// @param certificates  PEM: the server's own certificate, then its issuers in order; the root
  ///   may be left out. Each has signed the one before it
  /// @param private_key  PEM, not encrypted, of the first certificate: RSA from 2048 bits, an
  ///   elliptic curve from 256
  /// @param client_ca  PEM bundle; not empty: only clients with a certificate that chains to one of
  ///   these are let in. The chain may end at any of them, a client's own certificate included
  /// @errors kFault tls_certificate_malformed, tls_certificate_refused, tls_private_key_malformed,
  ///   tls_private_key_encrypted, tls_private_key_weak, tls_private_key_of_another,
  ///   tls_client_ca_malformed, tls_setup_failed; each says what to do
  [[nodiscard]] static Result<TlsIdentity> make(std::string_view certificates,
                                                const Secret& private_key,
                                                std::string_view client_ca = {});

  /// When the whole chain is valid: from the latest beginning to the earliest end.
  [[nodiscard]] TimePoint not_before() const { return not_before_; }
  [[nodiscard]] TimePoint not_after() const { return not_after_; }
  /// Of the server's own certificate: the first 16 hex digits of its SHA-256.
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }
  /// @errors kFault tls_certificate_expired, tls_certificate_not_yet_valid (with the dates)
  [[nodiscard]] Result<void> check_valid(TimePoint now) const;

 private:
  friend class TlsServerContext;
  TlsIdentity() = default;

  std::shared_ptr<ssl_ctx_st> context_;
  TimePoint not_before_;
  TimePoint not_after_;
  std::string fingerprint_;
};

/// What a listener's TLS connections are made from: TLS 1.2 and 1.3, ECDHE and AEAD only, HTTP/1.1.
/// There are no session tickets: each connection shows that the peer holds its key, and nothing
/// outlives a change of ours. @thread any
class TlsServerContext {
 public:
  /// @errors as TlsIdentity::check_valid
  [[nodiscard]] static Result<std::shared_ptr<TlsServerContext>> make(TlsIdentity identity,
                                                                      TimePoint now);

  /// From now on handshakes show `identity`; connections that are there keep what they have. On an
  /// error nothing changes. @errors as TlsIdentity::check_valid
  [[nodiscard]] Result<void> renew(TlsIdentity identity, TimePoint now);
  /// Of what new handshakes show.
  [[nodiscard]] TimePoint not_after() const;

  /// Private to this room: the server's side of a connection; nullptr where memory is short.
  [[nodiscard]] ssl_st* open(int descriptor) const;

 private:
  explicit TlsServerContext(TlsIdentity identity) : identity_(std::move(identity)) {}
  [[nodiscard]] TlsIdentity identity() const;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  TlsIdentity identity_;
};

}  // namespace postern::http
