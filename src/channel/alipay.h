#pragma once

#include <memory>

#include "base/result.h"
#include "channel/channel.h"
#include "channel/settings.h"

namespace postern::channel {

/// Alipay: form posts signed with RSA ("asynchronous notifications").
///
/// Settings:
/// - `app_id`: of the application whose notify URL this is
/// - `seller_id`: our 2088... number; needed unless `sellers` is given
/// - `sellers`: for a service provider, the merchants served, as "auth_app_id:seller_id"; the
///   seller id is then the sub-merchant of the attempt
/// - `platform_keys`: Alipay's public keys, several while rotating; PEM or bare base64
/// - `platform_certificates`, `root_certificates`: certificate mode instead of, or beside, keys
/// - `algorithms`: ["RSA2"] by default; "RSA" (SHA-1) only where listed. Never taken from the
///   message: a message without sign_type is read as RSA2, or as the only algorithm listed
/// - `application_key`: our private key, for queries
///
/// A synchronous return (no notify_id, no notify_type) is genuine and proves nothing to a server:
/// it is refused here. Only `notify_type` trade_status_sync speaks of orders; other messages of
/// Alipay are genuine and recorded as nothing.
///
/// @errors of `make`: setting_missing, setting_malformed
/// @errors of `verify`: content_type_wrong, content_encoding_wrong, body_malformed, key_duplicate,
///   fields_too_many, charset_unknown, text_malformed, signature_missing, signature_malformed,
///   algorithm_not_allowed, key_unknown, certificate_expired, certificate_untrusted,
///   signature_not_verified, app_mismatch, seller_mismatch, sub_merchant_mismatch
/// @source Alipay open platform, asynchronous notification; official SDKs for Java, Node, PHP
[[nodiscard]] Result<std::unique_ptr<Channel>> make_alipay(Settings& settings);

}  // namespace postern::channel
