#include "simulate/signer.h"

#include "simulate/alipay.h"
#include "simulate/wechatpay_v2.h"
#include "simulate/wechatpay_v3.h"

namespace postern::simulate {

std::string_view name(Platform platform) {
  switch (platform) {
    case Platform::kAlipay:
      return "alipay";
    case Platform::kWechatPayV3:
      return "wechatpay-v3";
    case Platform::kWechatPayV2:
      return "wechatpay-v2";
  }
  return "";
}

std::string_view default_account(Platform platform) {
  switch (platform) {
    case Platform::kAlipay:
      return "alipay";
    case Platform::kWechatPayV3:
      return "wechat";
    case Platform::kWechatPayV2:
      return "wechat-v2";
  }
  return "";
}

const std::vector<Platform>& all_platforms() {
  static const std::vector<Platform> platforms{Platform::kAlipay, Platform::kWechatPayV3,
                                               Platform::kWechatPayV2};
  return platforms;
}

Result<Platform> parse_platform(std::string_view text) {
  std::string known;
  for (const Platform platform : all_platforms()) {
    if (name(platform) == text) return platform;
    known.append(known.empty() ? "" : ", ").append(name(platform));
  }
  return rejected("platform_unknown", "write one of " + known);
}

std::string_view name(Answer answer) {
  switch (answer) {
    case Answer::kAccepted:
      return "accepted";
    case Answer::kRefused:
      return "refused";
    case Answer::kRetryLater:
      return "retry later";
  }
  return "";
}

Result<std::unique_ptr<Signer>> generate_signer(Platform platform, std::string account,
                                                TimePoint now, Random& random) {
  switch (platform) {
    case Platform::kAlipay:
      return AlipaySigner::generate(std::move(account));
    case Platform::kWechatPayV3:
      return WechatPayV3Signer::generate(std::move(account), now, random);
    case Platform::kWechatPayV2:
      return WechatPayV2Signer::generate(std::move(account), random);
  }
  return fault("platform_unknown");
}

Result<std::unique_ptr<Signer>> load_signer(Platform platform, const std::string& account,
                                            const std::filesystem::path& folder) {
  switch (platform) {
    case Platform::kAlipay:
      return AlipaySigner::load(account, folder);
    case Platform::kWechatPayV3:
      return WechatPayV3Signer::load(account, folder);
    case Platform::kWechatPayV2:
      return WechatPayV2Signer::load(account, folder);
  }
  return fault("platform_unknown");
}

}  // namespace postern::simulate
