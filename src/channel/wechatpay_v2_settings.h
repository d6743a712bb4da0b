#pragma once

#include <string>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/secret.h"
#include "channel/account_settings.h"
#include "channel/candidate.h"
#include "channel/settings.h"
#include "channel/wechatpay_v2_signature.h"

namespace postern::channel {

/// The settings of one WeChat Pay v2 account, checked.
struct WechatpayV2Settings {
  AccountName account;
  Merchants merchants;
  std::vector<std::string> app_ids;
  SymmetricKeys api_keys;
  std::vector<std::string> key_ids;  ///< of `api_keys`, at the same places
  std::vector<WechatpayV2SignType> sign_types;
};

/// Reads the settings listed at `make_wechatpay_v2`. @errors setting_missing, setting_malformed
[[nodiscard]] Result<WechatpayV2Settings> read_wechatpay_v2_settings(Settings& settings);

/// `settings` with `candidate` in place of the keys of its kind. @errors kRejected key_refused
[[nodiscard]] Result<WechatpayV2Settings> with_candidate(WechatpayV2Settings settings,
                                                         const CandidateKey& candidate);

}  // namespace postern::channel
