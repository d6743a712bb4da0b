// The settings of a WeChat Pay v3 account. WeChat names the key that signed in each message: by the
// serial number of a platform certificate, or, for merchants in public-key mode, by the id of its
// public key. Both kinds arrive side by side while a merchant moves from one to the other.
#include "channel/wechatpay_v3_settings.h"

#include <algorithm>

#include "channel/account_settings.h"
#include "channel/text.h"
#include "crypto/certificate.h"

namespace postern::channel {
namespace {

constexpr std::string_view kPublicKeyIdPrefix = "PUB_KEY_ID_";

[[nodiscard]] Result<std::vector<WechatpayV3Key>> read_certificates(Settings& settings) {
  constexpr std::string_view kKey = "platform_certificates";
  POSTERN_ASSIGN_OR_RETURN(const std::vector<ListedKey> files,
                           settings.keys(kKey, KeyKind::kPublic));
  std::vector<WechatpayV3Key> keys;
  for (const ListedKey& file : files) {
    const auto certificate = crypto::Certificate::parse(file.text.reveal());
    if (!certificate) return wrong_setting(settings, kKey, certificate.error());
    if (certificate->public_key().bits() < crypto::kRsaBitsMin) {
      return std::unexpected(settings.wrong(kKey, "its key is not RSA of 2048 bits or more"));
    }
    keys.push_back({certificate->serial_hex(), certificate->public_key(),
                    WechatpayV3Key::Life{certificate->not_before(), certificate->not_after()},
                    file.window});
  }
  return keys;
}

[[nodiscard]] Result<std::vector<WechatpayV3Key>> read_plain_keys(Settings& settings) {
  POSTERN_ASSIGN_OR_RETURN(const std::vector<TimedPublicKey> parsed,
                           read_public_keys(settings, "platform_public_keys"));
  constexpr std::string_view kIds = "platform_public_key_ids";
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> ids, settings.texts(kIds));
  const bool well_formed = std::ranges::all_of(ids, [](const std::string& id) {
    return is_id_text(id) && id.starts_with(kPublicKeyIdPrefix) &&
           id.size() > kPublicKeyIdPrefix.size();
  });
  if (ids.size() != parsed.size() || !well_formed) {
    return std::unexpected(settings.wrong(
        kIds, "write one PUB_KEY_ID_... for each key in platform_public_keys, in the same order"));
  }
  std::vector<WechatpayV3Key> keys;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    keys.push_back({ids[i], parsed[i].key, std::nullopt, parsed[i].window});
  }
  return keys;
}

[[nodiscard]] Result<std::vector<WechatpayV3Key>> read_platform_keys(Settings& settings) {
  constexpr std::string_view kKey = "platform_public_keys";
  POSTERN_ASSIGN_OR_RETURN(std::vector<WechatpayV3Key> keys, read_plain_keys(settings));
  POSTERN_ASSIGN_OR_RETURN(std::vector<WechatpayV3Key> certified, read_certificates(settings));
  keys.insert(keys.end(), certified.begin(), certified.end());
  if (keys.empty()) {
    return std::unexpected(settings.wrong(
        kKey,
        "list WeChat Pay's public key here and its id in platform_public_key_ids, or its "
        "certificate in platform_certificates; without one no callback can be verified"));
  }
  if (keys.size() > kListedMax) {
    return std::unexpected(settings.wrong(kKey, "this many keys are never in use at once"));
  }
  for (auto one = keys.begin(); one != keys.end(); ++one) {
    const bool repeated = std::any_of(keys.begin(), one, [&](const WechatpayV3Key& other) {
      return equal_without_case(one->id, other.id);
    });
    if (repeated) return std::unexpected(settings.wrong(kKey, "two keys have the same id"));
  }
  return keys;
}

}  // namespace

Result<WechatpayV3Settings> read_wechatpay_v3_settings(Settings& settings) {
  POSTERN_ASSIGN_OR_RETURN(AccountName account, read_account_name(settings));
  POSTERN_ASSIGN_OR_RETURN(std::string mchid, read_id_setting(settings, "mchid"));
  POSTERN_ASSIGN_OR_RETURN(std::vector<std::string> app_ids,
                           read_id_settings(settings, "app_id", "app_ids"));
  if (app_ids.empty()) {
    return std::unexpected(settings.wrong("app_ids", "list the app ids that may collect for you"));
  }
  POSTERN_ASSIGN_OR_RETURN(SymmetricKeys api_v3_keys,
                           read_keys_of_32_bytes(settings, "api_v3_key", "api_v3_keys"));
  POSTERN_ASSIGN_OR_RETURN(std::vector<WechatpayV3Key> keys, read_platform_keys(settings));
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> sub_merchants,
                           read_sub_merchants(settings, "sub_merchants"));
  return WechatpayV3Settings{
      .account = std::move(account),
      .merchants = {.own = std::move(mchid), .subs = {sub_merchants.begin(), sub_merchants.end()}},
      .app_ids = std::move(app_ids),
      .api_v3_keys = std::move(api_v3_keys),
      .platform_keys = std::move(keys)};
}

Result<WechatpayV3Settings> with_candidate(WechatpayV3Settings settings,
                                           const CandidateKey& candidate) {
  CandidateSettings given(candidate, settings.account.text(), "platform_public_key_ids");
  if (candidate.setting == "platform_public_keys" || candidate.setting == "platform_certificates") {
    POSTERN_ASSIGN_OR_RETURN(settings.platform_keys, read_platform_keys(given));
    return settings;
  }
  if (candidate.setting == "api_v3_key" || candidate.setting == "api_v3_keys") {
    POSTERN_ASSIGN_OR_RETURN(settings.api_v3_keys,
                             read_keys_of_32_bytes(given, "api_v3_key", "api_v3_keys"));
    return settings;
  }
  return not_a_key_setting(
      candidate.setting, "platform_public_keys, platform_certificates, api_v3_key and api_v3_keys");
}

Result<const WechatpayV3Key*> find_wechatpay_v3_key(const std::vector<WechatpayV3Key>& keys,
                                                    std::string_view id, TimePoint now) {
  const auto found = std::ranges::find_if(
      keys, [&](const WechatpayV3Key& key) { return equal_without_case(key.id, id); });
  if (found == keys.end()) {
    return rejected("key_unknown", "Wechatpay-Serial names a key that is not configured");
  }
  if (!found->window.holds(now)) {
    return rejected("key_unknown", "the key that Wechatpay-Serial names does not count now");
  }
  if (found->life && (now < found->life->not_before || now >= found->life->not_after)) {
    return rejected("certificate_expired", "the platform certificate is not valid now");
  }
  return &*found;
}

}  // namespace postern::channel
