#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "channel/fields.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace postern::channel {

/// Which fields of an Alipay message its signature covers; the documentation and the official SDKs
/// differ, and each of these has been seen. All of them cover every business field, so trying one
/// after the other weakens nothing.
enum class AlipayCover : unsigned char {
  kA,         ///< all but sign and sign_type: payment notifications
  kB,         ///< as A, without fields that are empty or blank
  kC,         ///< all but sign: messages to the application gateway
  kD,         ///< all but sign, sign_type and alipay_cert_sn: certificate mode
  kDNoEmpty,  ///< as D, without fields that are empty or blank
};

[[nodiscard]] std::string_view name(AlipayCover cover);

/// The text that is signed: name=value of each covered field, ascending by the bytes of the name,
/// joined by '&'. Bytes are those of the message's own character set.
/// @source alipay-sdk-java-all AlipaySignature.java; alipay-sdk-nodejs-all alipay.ts
[[nodiscard]] std::string alipay_signing_text(const Fields& fields, AlipayCover cover);

/// A key that may have signed; `id` names it in evidence. Both outlive the call.
struct AlipaySigner {
  const crypto::PublicKey* key;
  std::string_view id;
};

struct AlipayMatch {
  AlipayCover cover;
  std::string_view signer_id;
};

/// Finds the signer and cover under which `signature` (raw bytes) holds.
///
/// At most one verification per signer and per *different* text: a message without empty fields,
/// sign_type and alipay_cert_sn costs one.
/// @errors signature_not_verified
[[nodiscard]] Result<AlipayMatch> verify_alipay_form(const Fields& fields,
                                                     crypto::SignatureScheme scheme,
                                                     std::string_view signature,
                                                     std::span<const AlipaySigner> signers);

/// The serial number by which Alipay names a certificate: lower-case hex MD5 of the issuer's name
/// (most specific part first) and the decimal serial number.
[[nodiscard]] std::string alipay_cert_sn(const crypto::Certificate& certificate);

/// The serial number of a root bundle: those of its RSA-signed certificates, joined by '_'.
[[nodiscard]] std::string alipay_root_cert_sn(std::span<const crypto::Certificate> bundle);

/// Whether a certificate is signed with RSA; Alipay's root bundle also holds SM2 and ECDSA roots.
[[nodiscard]] bool is_rsa_signed(const crypto::Certificate& certificate);

}  // namespace postern::channel
