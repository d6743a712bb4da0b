#pragma once

#include <memory>

#include "base/result.h"
#include "channel/channel.h"
#include "channel/settings.h"

namespace postern::channel {

/// WeChat Pay APIv3: JSON posts, signed with RSA in headers, the resource sealed with AES-GCM.
///
/// Settings:
/// - `mchid`: our merchant number; a service provider's own
/// - `app_ids` (or `app_id`): apps that may collect for us
/// - `api_v3_key`: 32 characters; `api_v3_keys`: several while rotating
/// - `platform_public_keys` and `platform_public_key_ids`: WeChat Pay's public keys and, in the
/// same
///   order, their ids ("PUB_KEY_ID_...")
/// - `platform_certificates`: WeChat Pay's certificates instead of, or beside, its keys; each is
///   known by its serial number and valid between its dates
/// - `sub_merchants`: for a service provider, the sub-merchants served; the number is then part of
///   the attempt
///
/// The content of a verified callback is the signed JSON, with `resource.plaintext` in place of
/// `resource.ciphertext`.
///
/// @errors of `make`: setting_missing, setting_malformed
/// @errors of `verify`: content_type_wrong, content_encoding_wrong, header_missing,
///   header_duplicate, probe, algorithm_not_allowed, timestamp_malformed, timestamp_outside_window,
///   nonce_malformed, key_unknown, certificate_expired, signature_missing, signature_malformed,
///   signature_not_verified, body_malformed, key_duplicate, decryption_failed, merchant_mismatch,
///   app_mismatch, sub_merchant_mismatch
/// @source WeChat Pay APIv3, callbacks; wechatpay-go core/notify, wechatpay-java NotificationParser
[[nodiscard]] Result<std::unique_ptr<Channel>> make_wechatpay_v3(Settings& settings);

}  // namespace postern::channel
