#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "base/secret.h"
#include "channel/account_settings.h"
#include "channel/candidate.h"
#include "channel/settings.h"
#include "crypto/key.h"

namespace postern::channel {

/// A key of WeChat Pay's that may sign, under the id by which messages name it.
struct WechatpayV3Key {
  struct Life {
    TimePoint not_before, not_after;
  };
  std::string id;  ///< serial number of the certificate, or "PUB_KEY_ID_..."
  crypto::PublicKey key;
  std::optional<Life> life;  ///< of the certificate; plain public keys do not expire
  KeyWindow window;
};

/// The settings of one WeChat Pay v3 account, checked.
struct WechatpayV3Settings {
  AccountName account;
  Merchants merchants;
  std::vector<std::string> app_ids;
  SymmetricKeys api_v3_keys;
  std::vector<WechatpayV3Key> platform_keys;
};

/// Reads the settings listed at `make_wechatpay_v3`. @errors setting_missing, setting_malformed
[[nodiscard]] Result<WechatpayV3Settings> read_wechatpay_v3_settings(Settings& settings);

/// `settings` with `candidate` in place of the keys of its kind. @errors kRejected key_refused
[[nodiscard]] Result<WechatpayV3Settings> with_candidate(WechatpayV3Settings settings,
                                                         const CandidateKey& candidate);

/// The key that a message names, compared without case, if it is valid at `now`.
/// @errors key_unknown (also: outside its window), certificate_expired (also: not yet valid)
[[nodiscard]] Result<const WechatpayV3Key*> find_wechatpay_v3_key(
    const std::vector<WechatpayV3Key>& keys, std::string_view id, TimePoint now);

}  // namespace postern::channel
