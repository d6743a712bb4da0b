// The settings of a WeChat Pay v2 account.
#include "channel/wechatpay_v2_settings.h"

namespace postern::channel {
namespace {

[[nodiscard]] Result<std::vector<WechatpayV2SignType>> read_sign_types(Settings& settings) {
  constexpr std::string_view kKey = "sign_types";
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> names, settings.texts(kKey));
  if (names.empty()) return std::vector{WechatpayV2SignType::kHmacSha256};
  std::vector<WechatpayV2SignType> types;
  for (const std::string& one : names) {
    if (one != name(WechatpayV2SignType::kMd5) && one != name(WechatpayV2SignType::kHmacSha256)) {
      return std::unexpected(settings.wrong(kKey, R"(write "HMAC-SHA256" or "MD5")"));
    }
    types.push_back(one == name(WechatpayV2SignType::kMd5) ? WechatpayV2SignType::kMd5
                                                           : WechatpayV2SignType::kHmacSha256);
  }
  return types;
}

[[nodiscard]] std::vector<std::string> ids_of(const SymmetricKeys& keys) {
  std::vector<std::string> ids;
  for (const Secret& key : keys.texts) ids.push_back(wechatpay_v2_key_id(key));
  return ids;
}

}  // namespace

Result<WechatpayV2Settings> with_candidate(WechatpayV2Settings settings,
                                           const CandidateKey& candidate) {
  if (candidate.setting != "api_key" && candidate.setting != "api_keys") {
    return not_a_key_setting(candidate.setting, "api_key and api_keys");
  }
  CandidateSettings given(candidate, settings.account.text());
  POSTERN_ASSIGN_OR_RETURN(settings.api_keys, read_keys_of_32_bytes(given, "api_key", "api_keys"));
  settings.key_ids = ids_of(settings.api_keys);
  return settings;
}

Result<WechatpayV2Settings> read_wechatpay_v2_settings(Settings& settings) {
  POSTERN_ASSIGN_OR_RETURN(AccountName account, read_account_name(settings));
  POSTERN_ASSIGN_OR_RETURN(std::string mch_id, read_id_setting(settings, "mch_id"));
  POSTERN_ASSIGN_OR_RETURN(std::vector<std::string> app_ids,
                           read_id_settings(settings, "app_id", "app_ids"));
  if (app_ids.empty()) {
    return std::unexpected(settings.wrong("app_ids", "list the app ids that may collect for you"));
  }
  POSTERN_ASSIGN_OR_RETURN(SymmetricKeys api_keys,
                           read_keys_of_32_bytes(settings, "api_key", "api_keys"));
  POSTERN_ASSIGN_OR_RETURN(std::vector<WechatpayV2SignType> sign_types, read_sign_types(settings));
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> sub_merchants,
                           read_sub_merchants(settings, "sub_merchants"));
  std::vector<std::string> key_ids = ids_of(api_keys);
  return WechatpayV2Settings{
      .account = std::move(account),
      .merchants = {.own = std::move(mch_id), .subs = {sub_merchants.begin(), sub_merchants.end()}},
      .app_ids = std::move(app_ids),
      .api_keys = std::move(api_keys),
      .key_ids = std::move(key_ids),
      .sign_types = std::move(sign_types)};
}

}  // namespace postern::channel
