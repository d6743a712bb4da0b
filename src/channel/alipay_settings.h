#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "channel/account_settings.h"
#include "channel/alipay_signature.h"
#include "channel/candidate.h"
#include "channel/settings.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace postern::channel {

/// Alipay's own names of its signature algorithms.
enum class AlipayAlgorithm : unsigned char {
  kRsa2,  ///< RSA with SHA-256
  kRsa,   ///< RSA with SHA-1, for old apps only
};

/// The merchants a service provider acts for: seller ids under the auth_app_id they go with.
using AlipaySellers = std::map<std::string, std::set<std::string, std::less<>>, std::less<>>;

/// A certificate of Alipay's that may sign, with whatever its file said about its issuers.
struct AlipayCertificate {
  enum class Chain : unsigned char {
    kOutlivesIt,    ///< valid at both ends of its life, so only its own dates can fail later
    kMayEndSooner,  ///< has to be checked at each use
  };
  crypto::Certificate certificate;
  std::vector<crypto::Certificate> issuers;  ///< untrusted; only `root_certificates` are trusted
  std::string sn;
  Chain chain;
  KeyWindow window;
};

/// The settings of one Alipay account, checked.
struct AlipaySettings {
  AccountName account;
  std::string app_id;
  std::string seller_id;  ///< our own; empty where only `sellers` are served
  AlipaySellers sellers;
  std::vector<AlipayAlgorithm> algorithms;
  std::vector<TimedPublicKey> platform_keys;
  std::vector<AlipayCertificate> platform_certificates;
  std::vector<crypto::Certificate> root_certificates;  ///< the RSA-signed ones of the bundle
  std::optional<crypto::PrivateKey> application_key;   ///< ours, for queries
};

/// Reads the settings listed at `make_alipay`. @errors setting_missing, setting_malformed
[[nodiscard]] Result<AlipaySettings> read_alipay_settings(Settings& settings);

/// `settings` with `candidate` in place of the keys of its kind. @errors kRejected key_refused
[[nodiscard]] Result<AlipaySettings> with_candidate(AlipaySettings settings,
                                                    const CandidateKey& candidate);

/// The keys that may have signed at `now`: those of the certificate that the message names, else
/// all. They live as long as `settings`.
/// @param sn  the message's alipay_cert_sn, where it has one
/// @errors key_unknown, certificate_expired, certificate_untrusted
[[nodiscard]] Result<std::vector<AlipaySigner>> alipay_signers(const AlipaySettings& settings,
                                                               std::optional<std::string_view> sn,
                                                               TimePoint now);

/// Whether `certificate` is within its dates and chains to `roots` at `now`.
/// @errors certificate_expired, certificate_untrusted
[[nodiscard]] Result<void> check_alipay_certificate(const AlipayCertificate& certificate,
                                                    const std::vector<crypto::Certificate>& roots,
                                                    TimePoint now);

}  // namespace postern::channel
