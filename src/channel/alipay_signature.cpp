// Alipay's signature over form fields, and the way it numbers certificates.
//
//   sign = base64(RSA(SHA-256 or SHA-1 of "a=1&b=2&..."))
//   certificate number = hex(MD5(issuer + decimal serial))
#include "channel/alipay_signature.h"

#include <algorithm>

#include "crypto/digest.h"
#include "crypto/encoding.h"

namespace postern::channel {
namespace {

enum class Empties : unsigned char { kCovered, kSkipped };

struct Rule {
  AlipayCover cover;
  std::string_view label;
  std::array<std::string_view, 3> dropped;  ///< names that are not covered
  Empties empties;
};

constexpr std::string_view kSign = "sign";
constexpr std::string_view kSignType = "sign_type";
constexpr std::string_view kCertSn = "alipay_cert_sn";

/// In the order in which they are tried.
constexpr std::array<Rule, 5> kRules = {{
    {AlipayCover::kA, "A", {kSign, kSignType, ""}, Empties::kCovered},
    {AlipayCover::kB, "B", {kSign, kSignType, ""}, Empties::kSkipped},
    {AlipayCover::kC, "C", {kSign, "", ""}, Empties::kCovered},
    {AlipayCover::kD, "D", {kSign, kSignType, kCertSn}, Empties::kCovered},
    {AlipayCover::kDNoEmpty, "D-", {kSign, kSignType, kCertSn}, Empties::kSkipped},
}};

[[nodiscard]] const Rule& rule_of(AlipayCover cover) {
  return kRules[static_cast<std::size_t>(cover)];
}

[[nodiscard]] bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

[[nodiscard]] bool is_covered(const Fields::Pair& field, const Rule& rule) {
  if (std::ranges::find(rule.dropped, field.first) != rule.dropped.end()) return false;
  return rule.empties == Empties::kCovered || !is_blank(field.second);
}

/// Whether an earlier rule yields the same text, so that trying this one would be wasted.
[[nodiscard]] bool is_repetition(const Fields& fields, const Rule& rule) {
  const bool has_empty =
      rule.empties == Empties::kSkipped &&
      std::ranges::any_of(fields.pairs(), [](const auto& f) { return is_blank(f.second); });
  switch (rule.cover) {
    case AlipayCover::kA:
      return false;
    case AlipayCover::kB:
      return !has_empty;
    case AlipayCover::kC:
      return !fields.find(kSignType);
    case AlipayCover::kD:
      return !fields.find(kCertSn);
    case AlipayCover::kDNoEmpty:
      return !fields.find(kCertSn) || !has_empty;
  }
  return false;
}

}  // namespace

std::string_view name(AlipayCover cover) {
  return rule_of(cover).label;
}

std::string alipay_signing_text(const Fields& fields, AlipayCover cover) {
  const Rule& rule = rule_of(cover);
  std::size_t size = 0;
  for (const Fields::Pair& field : fields.pairs()) {
    size += field.first.size() + field.second.size() + 2;
  }
  std::string text;
  text.reserve(size);
  for (const std::uint16_t index : fields.by_name()) {
    const Fields::Pair& field = fields.pairs()[index];
    if (!is_covered(field, rule)) continue;
    if (!text.empty()) text.push_back('&');
    text.append(field.first).push_back('=');
    text.append(field.second);
  }
  return text;
}

Result<AlipayMatch> verify_alipay_form(const Fields& fields, crypto::SignatureScheme scheme,
                                       std::string_view signature,
                                       std::span<const AlipaySigner> signers) {
  for (const Rule& rule : kRules) {
    if (is_repetition(fields, rule)) continue;
    const std::string text = alipay_signing_text(fields, rule.cover);
    for (const AlipaySigner& signer : signers) {
      if (signer.key->verify(scheme, text, signature)) return AlipayMatch{rule.cover, signer.id};
    }
  }
  return rejected(
      "signature_not_verified",
      "no platform key signed this: is the platform's own key configured, not the application's?");
}

std::string alipay_cert_sn(const crypto::Certificate& certificate) {
  return crypto::hex_encode(crypto::digest(
      crypto::DigestAlgorithm::kMd5, certificate.issuer_rfc2253() + certificate.serial_decimal()));
}

std::string alipay_root_cert_sn(std::span<const crypto::Certificate> bundle) {
  std::string result;
  for (const crypto::Certificate& certificate : bundle) {
    if (!is_rsa_signed(certificate)) continue;
    if (!result.empty()) result.push_back('_');
    result.append(alipay_cert_sn(certificate));
  }
  return result;
}

bool is_rsa_signed(const crypto::Certificate& certificate) {
  return certificate.signature_oid().starts_with("1.2.840.113549.1.1.");
}

}  // namespace postern::channel
