// The settings of an Alipay account. Alipay offers two ways to learn its signing key: the plain
// public key from the console ("public-key mode"), or a certificate file that chains to a bundle of
// roots ("certificate mode"). An account may list both while it moves from one to the other.
#include "channel/alipay_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "channel/account_settings.h"
#include "channel/alipay_signature.h"

namespace postern::channel {
namespace {

[[nodiscard]] Result<std::vector<AlipayAlgorithm>> read_algorithms(Settings& settings) {
  constexpr std::string_view kKey = "algorithms";
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> names, settings.texts(kKey));
  if (names.empty()) return std::vector{AlipayAlgorithm::kRsa2};
  std::vector<AlipayAlgorithm> algorithms;
  for (const std::string& name : names) {
    if (name != "RSA2" && name != "RSA") {
      return std::unexpected(settings.wrong(kKey, R"(write "RSA2", or "RSA" for an old app)"));
    }
    algorithms.push_back(name == "RSA2" ? AlipayAlgorithm::kRsa2 : AlipayAlgorithm::kRsa);
  }
  return algorithms;
}

[[nodiscard]] Result<AlipaySellers> read_sellers(Settings& settings) {
  constexpr std::string_view kKey = "sellers";
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> pairs,
                           read_sub_merchants(settings, kKey));
  AlipaySellers sellers;
  for (const std::string& pair : pairs) {
    const std::size_t colon = pair.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == pair.size()) {
      return std::unexpected(settings.wrong(kKey, R"(write "auth_app_id:seller_id")"));
    }
    sellers[pair.substr(0, colon)].insert(pair.substr(colon + 1));
  }
  return sellers;
}

[[nodiscard]] Result<std::vector<crypto::Certificate>> read_roots(Settings& settings) {
  constexpr std::string_view kKey = "root_certificates";
  POSTERN_ASSIGN_OR_RETURN(const std::vector<ListedKey> bundles,
                           settings.keys(kKey, KeyKind::kPublic));
  std::vector<crypto::Certificate> roots;
  for (const ListedKey& bundle : bundles) {
    if (bundle.window != KeyWindow()) {
      return std::unexpected(settings.wrong(
          kKey, "roots count for as long as they are listed; give the certificate a window"));
    }
    const auto parsed = crypto::Certificate::parse_bundle(bundle.text.reveal());
    if (!parsed) return wrong_setting(settings, kKey, parsed.error());
    // The bundle also holds SM2 and ECDSA roots, under which nothing we accept is issued.
    std::ranges::copy_if(*parsed, std::back_inserter(roots), is_rsa_signed);
  }
  return roots;
}

/// Whether the chain of a certificate holds at all, and for how long. Settings are read without a
/// clock, so the chain is looked at from both ends of the certificate's life, the last second of
/// which is already over for OpenSSL.
[[nodiscard]] Result<AlipayCertificate::Chain> examine_chain(
    const crypto::Certificate& certificate, const std::vector<crypto::Certificate>& issuers,
    const std::vector<crypto::Certificate>& roots) {
  const auto begin = certificate.verify_chain(roots, certificate.not_before(), issuers);
  const auto end =
      certificate.verify_chain(roots, certificate.not_after() - std::chrono::seconds(1), issuers);
  if (!begin && begin.error().code != "certificate_expired") {
    return std::unexpected(begin.error());
  }
  return begin && end ? AlipayCertificate::Chain::kOutlivesIt
                      : AlipayCertificate::Chain::kMayEndSooner;
}

[[nodiscard]] Result<std::vector<AlipayCertificate>> read_certificates(
    Settings& settings, const std::vector<crypto::Certificate>& roots) {
  constexpr std::string_view kKey = "platform_certificates";
  POSTERN_ASSIGN_OR_RETURN(const std::vector<ListedKey> files,
                           settings.keys(kKey, KeyKind::kPublic));
  if (files.size() > kListedMax) {
    return std::unexpected(settings.wrong(kKey, "this many certificates are never in use at once"));
  }
  if (!files.empty() && roots.empty()) {
    return std::unexpected(settings.wrong(
        "root_certificates", "certificate mode needs Alipay's alipayRootCert.crt to trust"));
  }
  std::vector<AlipayCertificate> certificates;
  for (const ListedKey& file : files) {
    // alipayCertPublicKey_RSA2.crt holds the certificate and, behind it, its issuer.
    auto parsed = crypto::Certificate::parse_bundle(file.text.reveal());
    if (!parsed) return wrong_setting(settings, kKey, parsed.error());
    const crypto::Certificate certificate = parsed->front();
    parsed->erase(parsed->begin());
    if (certificate.public_key().bits() < crypto::kRsaBitsMin) {
      return std::unexpected(settings.wrong(kKey, "its key is not RSA of 2048 bits or more"));
    }
    const auto chain = examine_chain(certificate, *parsed, roots);
    if (!chain) return wrong_setting(settings, kKey, chain.error());
    certificates.push_back(
        {certificate, std::move(*parsed), alipay_cert_sn(certificate), *chain, file.window});
  }
  return certificates;
}

[[nodiscard]] Result<void> check_keys(const Settings& settings, const AlipaySettings& read) {
  if (read.platform_keys.empty() && read.platform_certificates.empty()) {
    return std::unexpected(
        settings.wrong("platform_keys",
                       "list Alipay's public key, or platform_certificates and "
                       "root_certificates; without one no callback can be verified"));
  }
  if (!read.application_key) return {};
  const std::string ours = read.application_key->public_key().fingerprint();
  const bool mixed_up = std::ranges::any_of(
      read.platform_keys, [&](const TimedPublicKey& one) { return one.key.fingerprint() == ours; });
  if (!mixed_up) return {};
  return std::unexpected(settings.wrong(
      "platform_keys",
      "this is the application's own public key (it belongs to application_key); the console shows "
      "Alipay's public key after the application's has been uploaded: copy that one"));
}

}  // namespace

Result<AlipaySettings> read_alipay_settings(Settings& settings) {
  POSTERN_ASSIGN_OR_RETURN(AccountName account, read_account_name(settings));
  POSTERN_ASSIGN_OR_RETURN(std::string app_id, read_id_setting(settings, "app_id"));
  POSTERN_ASSIGN_OR_RETURN(AlipaySellers sellers, read_sellers(settings));
  POSTERN_ASSIGN_OR_RETURN(std::optional<std::string> seller_id,
                           settings.optional_text("seller_id"));
  if (!seller_id && sellers.empty()) {
    POSTERN_ASSIGN_OR_RETURN(seller_id, settings.text("seller_id"));
  }
  if (seller_id && !is_id_text(*seller_id)) {
    return std::unexpected(settings.wrong("seller_id", "write your seller id, 2088..."));
  }
  POSTERN_ASSIGN_OR_RETURN(std::vector<AlipayAlgorithm> algorithms, read_algorithms(settings));
  POSTERN_ASSIGN_OR_RETURN(std::vector<TimedPublicKey> keys,
                           read_public_keys(settings, "platform_keys"));
  POSTERN_ASSIGN_OR_RETURN(std::vector<crypto::Certificate> roots, read_roots(settings));
  POSTERN_ASSIGN_OR_RETURN(std::vector<AlipayCertificate> certificates,
                           read_certificates(settings, roots));
  POSTERN_ASSIGN_OR_RETURN(const std::optional<Secret> application_key,
                           settings.optional_secret("application_key"));
  AlipaySettings read{.account = std::move(account),
                      .app_id = std::move(app_id),
                      .seller_id = seller_id.value_or(""),
                      .sellers = std::move(sellers),
                      .algorithms = std::move(algorithms),
                      .platform_keys = std::move(keys),
                      .platform_certificates = std::move(certificates),
                      .root_certificates = std::move(roots),
                      .application_key = std::nullopt};
  if (application_key) {
    Result<crypto::PrivateKey> parsed = crypto::PrivateKey::parse(*application_key);
    if (!parsed) return wrong_setting(settings, "application_key", parsed.error());
    read.application_key = std::move(*parsed);
  }
  POSTERN_RETURN_IF_ERROR(check_keys(settings, read));
  return read;
}

Result<AlipaySettings> with_candidate(AlipaySettings settings, const CandidateKey& candidate) {
  CandidateSettings given(candidate, settings.account.text());
  if (candidate.setting == "platform_keys") {
    POSTERN_ASSIGN_OR_RETURN(settings.platform_keys, read_public_keys(given, candidate.setting));
    settings.platform_certificates.clear();
    POSTERN_RETURN_IF_ERROR(check_keys(given, settings));
    return settings;
  }
  if (candidate.setting == "platform_certificates") {
    POSTERN_ASSIGN_OR_RETURN(settings.platform_certificates,
                             read_certificates(given, settings.root_certificates));
    settings.platform_keys.clear();
    return settings;
  }
  return not_a_key_setting(candidate.setting, "platform_keys and platform_certificates");
}

Result<void> check_alipay_certificate(const AlipayCertificate& certificate,
                                      const std::vector<crypto::Certificate>& roots,
                                      TimePoint now) {
  const crypto::Certificate& own = certificate.certificate;
  if (now < own.not_before() || now >= own.not_after()) return rejected("certificate_expired");
  switch (certificate.chain) {
    case AlipayCertificate::Chain::kOutlivesIt:
      return {};
    case AlipayCertificate::Chain::kMayEndSooner:
      return own.verify_chain(roots, now, certificate.issuers);
  }
  return rejected("certificate_untrusted");
}

Result<std::vector<AlipaySigner>> alipay_signers(const AlipaySettings& settings,
                                                 std::optional<std::string_view> sn,
                                                 TimePoint now) {
  std::vector<AlipaySigner> signers;
  const bool by_sn = sn && !settings.platform_certificates.empty();
  Result<void> last_check =
      by_sn ? rejected("key_unknown", "no certificate that counts now has this alipay_cert_sn")
            : rejected("key_unknown", "none of the listed keys counts now");
  for (const AlipayCertificate& one : settings.platform_certificates) {
    if (by_sn && one.sn != *sn) continue;
    if (!one.window.holds(now)) continue;  // as if it were not listed
    last_check = check_alipay_certificate(one, settings.root_certificates, now);
    if (last_check) signers.push_back({&one.certificate.public_key(), one.sn});
  }
  if (!by_sn) {
    for (const TimedPublicKey& one : settings.platform_keys) {
      if (one.window.holds(now)) signers.push_back({&one.key, one.key.fingerprint()});
    }
  }
  if (signers.empty()) return std::unexpected(last_check.error());
  return signers;
}

}  // namespace postern::channel
