#pragma once

#include <memory>

#include "base/result.h"
#include "channel/channel.h"
#include "channel/settings.h"

namespace postern::channel {

/// WeChat Pay v2: XML posts, signed with MD5 or HMAC-SHA256 under the API key.
///
/// Settings:
/// - `mch_id`: our merchant number; a service provider's own
/// - `app_ids` (or `app_id`): apps that may collect for us
/// - `api_key`: 32 characters; `api_keys`: several while rotating
/// - `sign_types`: ["HMAC-SHA256"] by default; write "MD5" where orders are placed with it, which
///   is what WeChat Pay does unless asked. Only what is listed is accepted: no downgrade
/// - `sub_merchants`: for a service provider, the sub-merchants served; the number is then part of
///   the attempt
///
/// Refund notices (`req_info`) carry no signature. They are encrypted under a digest of the API
/// key, block by block, so whoever saw some can recombine them: what they say is `kEncrypted` and
/// must be confirmed by a query. Their outer fields are not protected at all.
///
/// @errors of `make`: setting_missing, setting_malformed
/// @errors of `verify`: content_type_wrong, content_encoding_wrong, body_malformed, key_duplicate,
///   fields_too_many, signature_missing, signature_malformed, algorithm_not_allowed,
///   signature_not_verified, decryption_failed, merchant_mismatch, app_mismatch,
///   sub_merchant_mismatch
/// @source WeChat Pay v2, payment and refund result notices; wechatpay-php
[[nodiscard]] Result<std::unique_ptr<Channel>> make_wechatpay_v2(Settings& settings);

}  // namespace postern::channel
