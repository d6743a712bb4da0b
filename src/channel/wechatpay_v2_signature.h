#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "channel/fields.h"

namespace postern::channel {

enum class WechatpayV2SignType : unsigned char { kMd5, kHmacSha256 };

/// WeChat Pay's own name: "MD5", "HMAC-SHA256".
[[nodiscard]] std::string_view name(WechatpayV2SignType type);

/// The value of `sign`: upper-case hex of the MD5, or of the HMAC-SHA256 under the key, of all
/// fields but `sign` that are not empty, as name=value ascending by the bytes of the name and
/// joined by '&', with "&key=" and the key at the end (for HMAC too).
/// @errors key_empty
/// @source wechatpay-php Crypto/Hash.php, Formatter.php
[[nodiscard]] Result<std::string> sign_wechatpay_v2(const Fields& fields, WechatpayV2SignType type,
                                                    const Secret& api_key);

struct WechatpayV2Match {
  WechatpayV2SignType type;
  std::size_t key_index;
};

/// Verifies `sign` with one of `api_keys`. The length of `sign` tells the type, which must be one
/// of `allowed` and must not contradict a sign_type in the message. Compared in constant time and
/// exactly: a lower-case spelling is another text.
/// @errors signature_missing, signature_malformed, algorithm_not_allowed, signature_not_verified
[[nodiscard]] Result<WechatpayV2Match> verify_wechatpay_v2(
    const Fields& fields, std::span<const Secret> api_keys,
    std::span<const WechatpayV2SignType> allowed);

/// Decrypts the `req_info` of a refund notice: base64 of AES-256-ECB under the lower-case hex MD5
/// of the API key. Nothing protects it against changes.
/// @errors body_malformed, decryption_failed
/// @source wechatpay-php Crypto/AesEcb.php
[[nodiscard]] Result<std::string> decrypt_wechatpay_v2_refund(std::string_view req_info,
                                                              const Secret& api_key);

/// Names an API key in evidence without telling it: 16 hex digits of a digest.
[[nodiscard]] std::string wechatpay_v2_key_id(const Secret& api_key);

}  // namespace postern::channel
