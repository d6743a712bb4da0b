#pragma once

#include <boost/json/object.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace postern::channel {

/// What WeChat Pay signs, in its callbacks and in its responses alike; views of the message.
struct WechatpayV3Signed {
  std::string_view timestamp;  ///< Wechatpay-Timestamp, Unix seconds
  std::string_view nonce;      ///< Wechatpay-Nonce
  std::string_view signature;  ///< Wechatpay-Signature, base64
  std::string_view body;       ///< exactly as received, may be empty
};

/// How far the clock of WeChat Pay and ours may be apart: 300 s is already too far.
inline constexpr std::chrono::seconds kWechatpayV3Window{300};

/// Whether a signature is one that WeChat Pay made wrong on purpose, to see that it is refused.
[[nodiscard]] bool is_wechatpay_v3_probe(std::string_view signature);

/// Checks that `timestamp` is a plain decimal number of seconds within the window around `now`.
/// @errors timestamp_malformed, timestamp_outside_window
/// @source wechatpay-go core/auth/validators
[[nodiscard]] Result<void> check_wechatpay_v3_timestamp(std::string_view timestamp, TimePoint now);

/// Verifies timestamp LF nonce LF body LF (SHA-256 with RSA). Timestamp and nonce hold no line
/// ends, so no byte can move from one part to another.
/// @errors signature_missing, signature_malformed, timestamp_malformed, nonce_malformed,
///   signature_not_verified
/// @source WeChat Pay APIv3, signature verification; wechatpay-go core/auth/validators
[[nodiscard]] Result<void> verify_wechatpay_v3_signature(const WechatpayV3Signed& message,
                                                         const crypto::PublicKey& key);

struct WechatpayV3Opened {
  std::string plaintext;
  std::size_t key_index;
};

/// Decrypts a `resource` (or `encrypt_certificate`) object: AEAD_AES_256_GCM, with the API v3 key
/// under which it opens. associated_data may be absent, null or empty.
/// @errors body_malformed, algorithm_not_allowed, decryption_failed
/// @source WeChat Pay APIv3, decryption of callbacks; wechatpay-java AeadAesCipher
[[nodiscard]] Result<WechatpayV3Opened> open_wechatpay_v3_resource(
    const boost::json::object& resource, std::span<const Secret> api_v3_keys);

/// What a request to WeChat Pay is signed over, and who signs.
struct WechatpayV3Request {
  std::string_view mchid;
  std::string_view serial_no;  ///< of the merchant's certificate
  std::string_view nonce;
  std::string_view timestamp;  ///< Unix seconds
  std::string_view method;     ///< "GET"
  std::string_view target;     ///< path and query as sent
  std::string_view body;       ///< empty for GET; for uploads the "meta" part
};

/// The Authorization header of a request. @errors signing_failed
[[nodiscard]] Result<std::string> wechatpay_v3_authorization(const WechatpayV3Request& request,
                                                             const crypto::PrivateKey& key);

/// Reads the answer of GET /v3/certificates. Each certificate's serial number must be the one it is
/// listed under. The answer's own signature is to be verified afterwards, with the certificate just
/// read whose number it names: the decryption is what makes that safe the first time.
/// @errors body_malformed, key_duplicate, algorithm_not_allowed, decryption_failed,
///   certificate_malformed
[[nodiscard]] Result<std::vector<crypto::Certificate>> read_wechatpay_v3_certificates(
    std::string_view body, std::span<const Secret> api_v3_keys);

/// Checks a downloaded bill, which is not signed, against the hash that was.
/// @param bill  the *uncompressed* bytes
/// @errors algorithm_not_allowed (hash_type is not SHA1), hash_mismatch
[[nodiscard]] Result<void> check_wechatpay_v3_bill(std::string_view hash_type,
                                                   std::string_view hash_value,
                                                   std::string_view bill);

}  // namespace postern::channel
