// Goal (attack S20): while a key is replaced, the old one counts until its overlap ends and the new
// one from its activation; outside its window a key is as if it were not listed, and the operator
// is told that it is the right one.
// Method: on every channel the same callback, signed by keys with windows, verified at the edges of
// these by `now`; then explained.
#include <gtest/gtest.h>

#include "channel/alipay.h"
#include "channel/wechatpay_v2.h"
#include "channel/wechatpay_v3.h"
#include "tests/channel/accounts.h"
#include "tests/channel/certificates.h"
#include "tests/channel/explained.h"

namespace postern::channel {
namespace {

constexpr std::chrono::minutes kSoon(1);
constexpr std::string_view kNextApiKey = "FEDCBA9876543210fedcba9876543210";

/// Old until a minute from now, new from a minute ago: two minutes of overlap around `test_now`.
[[nodiscard]] KeyWindow old_window() {
  return {.from = TimePoint::min(), .until = test_now() + kSoon};
}
[[nodiscard]] KeyWindow new_window() {
  return {.from = test_now() - kSoon, .until = TimePoint::max()};
}

[[nodiscard]] std::string verdict(const Channel& channel, const HttpRequest& request,
                                  TimePoint now) {
  return code_of(channel.verify(request, now));
}

[[nodiscard]] std::string detail_of(const Asked& asked) {
  const Explanation explanation = explain(asked);
  return explanation.findings.empty() ? "" : explanation.findings[0].detail;
}

/// Checks both keys at every edge.
void expect_rotation(const Channel& channel, const HttpRequest& by_old, const HttpRequest& by_new,
                     std::string_view refusal) {
  const std::chrono::milliseconds instant(1);
  EXPECT_EQ(verdict(channel, by_old, test_now()), "ok");
  EXPECT_EQ(verdict(channel, by_new, test_now()), "ok");
  EXPECT_EQ(verdict(channel, by_old, test_now() + kSoon - instant), "ok");
  EXPECT_EQ(verdict(channel, by_old, test_now() + kSoon), refusal) << "the overlap is over";
  EXPECT_EQ(verdict(channel, by_new, test_now() + kSoon), "ok");
  EXPECT_EQ(verdict(channel, by_new, test_now() - kSoon), "ok");
  EXPECT_EQ(verdict(channel, by_new, test_now() - kSoon - instant), refusal) << "not yet active";
  EXPECT_EQ(verdict(channel, by_old, test_now() - kSoon - instant), "ok");

  Asked late{by_old, channel};
  late.received_at = test_now() + kSoon;
  expect_proved(late, Cause::kKeyNotInForce);
  EXPECT_NE(detail_of(late).find("was in force only until"), std::string::npos);
  Asked early{by_new, channel};
  early.received_at = test_now() - kSoon - instant;
  expect_proved(early, Cause::kKeyNotInForce);
  EXPECT_NE(detail_of(early).find("is not in force until"), std::string::npos);
}

[[nodiscard]] std::string old_pem() {
  return platform_key().public_key().pem();
}
[[nodiscard]] std::string new_pem() {
  return next_platform_key().public_key().pem();
}

TEST(KeyWindow, OfAlipaysPublicKeys) {
  FakeSettings settings = alipay_account();
  settings.set("platform_keys", std::vector{old_pem(), new_pem()});
  settings.in_force(old_pem(), old_window()).in_force(new_pem(), new_window());
  const auto channel = must(make_alipay(settings));
  expect_rotation(*channel, AlipayMessage::paid().sign().request(),
                  AlipayMessage::paid().sign(next_platform_key()).request(),
                  "signature_not_verified");
}

TEST(KeyWindow, OfTheOnlyKeyLeavesNone) {
  FakeSettings settings = alipay_account().in_force(old_pem(), old_window());
  const auto channel = must(make_alipay(settings));
  EXPECT_EQ(verdict(*channel, AlipayMessage::paid().sign().request(), test_now() + kSoon),
            "key_unknown");
}

TEST(KeyWindow, OfAlipaysCertificates) {
  const auto year = std::chrono::hours(24 * 365);
  const Life life{test_now() - year, test_now() + year};
  const std::string root =
      issue_certificate({"root", attacker_key()}, {"root", attacker_key()}, life, "01");
  const std::string older =
      issue_certificate({"alipay", platform_key()}, {"root", attacker_key()}, life, "02");
  const std::string newer =
      issue_certificate({"alipay", next_platform_key()}, {"root", attacker_key()}, life, "03");
  FakeSettings settings = alipay_account();
  settings.remove("platform_keys").set("root_certificates", std::vector{root});
  settings.set("platform_certificates", std::vector{older, newer});
  settings.in_force(older, old_window()).in_force(newer, new_window());
  const auto channel = must(make_alipay(settings));
  expect_rotation(*channel, AlipayMessage::paid().sign().request(),
                  AlipayMessage::paid().sign(next_platform_key()).request(),
                  "signature_not_verified");
  settings.in_force(root, old_window());
  EXPECT_EQ(code_of(make_alipay(settings)), "setting_malformed") << "roots take no window";
}

TEST(KeyWindow, OfWechatPayV3sPublicKeys) {
  FakeSettings settings = wechatpay_v3_account();
  settings.set("platform_public_keys", std::vector{old_pem(), new_pem()});
  settings.set(
      "platform_public_key_ids",
      std::vector<std::string>{"PUB_KEY_ID_0100000000000000000000000000000001", "PUB_KEY_ID_02"});
  settings.in_force(old_pem(), old_window()).in_force(new_pem(), new_window());
  const auto channel = must(make_wechatpay_v3(settings));
  WechatpayV3Message next = WechatpayV3Message::paid();
  next.serial = "PUB_KEY_ID_02";
  expect_rotation(*channel, WechatpayV3Message::paid().request(), next.request(next_platform_key()),
                  "key_unknown");
}

TEST(KeyWindow, OfWechatPayV3sCertificates) {
  const auto year = std::chrono::hours(24 * 365);
  const Life life{test_now() - year, test_now() + year};
  const std::string older =
      issue_certificate({"wechat", platform_key()}, {"wechat", platform_key()}, life, "5A");
  const std::string newer = issue_certificate({"wechat", next_platform_key()},
                                              {"wechat", next_platform_key()}, life, "5B");
  FakeSettings settings = wechatpay_v3_account();
  settings.remove("platform_public_keys").remove("platform_public_key_ids");
  settings.set("platform_certificates", std::vector{older, newer});
  settings.in_force(older, old_window()).in_force(newer, new_window());
  const auto channel = must(make_wechatpay_v3(settings));
  WechatpayV3Message first = WechatpayV3Message::paid();
  first.serial = "5A";
  WechatpayV3Message next = WechatpayV3Message::paid();
  next.serial = "5B";
  expect_rotation(*channel, first.request(), next.request(next_platform_key()), "key_unknown");
}

TEST(KeyWindow, OfWechatPayV3sApiKeys) {
  const std::string old_key = WechatpayV3Message().api_v3_key;
  const std::string new_key(kNextApiKey);
  FakeSettings settings = wechatpay_v3_account();
  settings.set("api_v3_keys", std::vector{new_key});
  settings.in_force(old_key, old_window()).in_force(new_key, new_window());
  const auto channel = must(make_wechatpay_v3(settings));
  WechatpayV3Message next = WechatpayV3Message::paid();
  next.api_v3_key = kNextApiKey;
  expect_rotation(*channel, WechatpayV3Message::paid().request(), next.request(),
                  "decryption_failed");
}

TEST(KeyWindow, OfWechatPayV2sApiKeys) {
  const std::string old_key = WechatpayV2Message().api_key;
  const std::string new_key(kNextApiKey);
  FakeSettings settings = wechatpay_v2_account();
  settings.set("api_keys", std::vector{new_key});
  settings.in_force(old_key, old_window()).in_force(new_key, new_window());
  const auto channel = must(make_wechatpay_v2(settings));
  WechatpayV2Message next = WechatpayV2Message::paid();
  next.api_key = kNextApiKey;
  expect_rotation(*channel, WechatpayV2Message::paid().sign().request(), next.sign().request(),
                  "signature_not_verified");
}

TEST(KeyWindow, OfWechatPayV2sRefundNotices) {
  const std::string old_key = WechatpayV2Message().api_key;
  FakeSettings settings = wechatpay_v2_account().in_force(old_key, old_window());
  const auto channel = must(make_wechatpay_v2(settings));
  const HttpRequest refund = WechatpayV2Message::refund().request();
  EXPECT_EQ(verdict(*channel, refund, test_now()), "ok");
  EXPECT_EQ(verdict(*channel, refund, test_now() + kSoon), "decryption_failed");
}

TEST(KeyWindow, AKeyIsListedOnce) {
  FakeSettings settings = wechatpay_v2_account();
  settings.set("api_keys", std::vector{WechatpayV2Message().api_key});
  EXPECT_EQ(code_of(make_wechatpay_v2(settings)), "setting_malformed");
}

}  // namespace
}  // namespace postern::channel
