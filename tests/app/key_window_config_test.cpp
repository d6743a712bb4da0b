// Goal: a key's window is read from the configuration to the instant, and a doubtful one is refused
// with its line; `postern check` says when a key counts.
// Method: small files with one key each, in every spelling of a time that TOML has.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "app/config.h"
#include "channel/channel.h"
#include "crypto/key.h"
#include "tests/support/temporary_folder.h"

namespace postern::app {
namespace {

class KeyWindowConfig : public ::testing::Test {
 protected:
  KeyWindowConfig() {
    static const crypto::PrivateKey key = *crypto::PrivateKey::generate();
    folder_.write("alipay.pem", key.public_key().pem());
    folder_.write("admin.key", "f3a1c95b0e7d42868d1b6c04");
    folder_.write("v2.key", "f3a1c95b0e7d42868d1b6c04f3a1c95b");
  }

  [[nodiscard]] Result<Config> parse(std::string_view key) const {
    return parse_config(fmt::format(R"([admin]
api_key = "file:admin.key"
[account.alipay]
channel = "alipay"
app_id = "2021000000000001"
seller_id = "2088000000000001"
platform_keys = [{}]
)",
                                    key),
                        folder_ / "postern.toml");
  }
  [[nodiscard]] std::string description(std::string_view key) const {
    const Result<Config> config = parse(key);
    return config ? config->accounts.at(0).keys.at(0).description : config.error().detail;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(KeyWindowConfig, IsReadToTheInstant) {
  const Result<Config> config = parse(
      R"({ source = "file:alipay.pem", from = 2026-12-01T08:00:00+08:00, until = 2027-12-01T00:00:00.5Z })");
  ASSERT_TRUE(config) << config.error().detail;
  const KeySummary& key = config->accounts.at(0).keys.at(0);
  EXPECT_NE(key.description.find("counts from 2026-12-01T00:00:00.000Z"), std::string::npos)
      << key.description;
  EXPECT_NE(key.description.find("counts until 2027-12-01T00:00:00.500Z"), std::string::npos);
  EXPECT_EQ(key.counts.until, parse_rfc3339("2027-12-01T00:00:00.500Z"));
  EXPECT_EQ(key.id.size(), 16u);
}

TEST_F(KeyWindowConfig, EitherTimeMayBeLeftOut) {
  EXPECT_NE(description(R"({ source = "file:alipay.pem", from = 2026-12-01T00:00:00Z })")
                .find("counts from"),
            std::string::npos);
  EXPECT_EQ(description(R"({ source = "file:alipay.pem" })").find("counts"), std::string::npos);
  EXPECT_EQ(description(R"("file:alipay.pem")").find("counts"), std::string::npos);
}

TEST_F(KeyWindowConfig, RefusesWhatIsInDoubt) {
  for (
      const std::string_view wrong :
      {R"({ source = "file:alipay.pem", from = 2026-12-01T00:00:00 })",  // no offset
       R"({ source = "file:alipay.pem", from = 2026-12-01 })",
       R"({ source = "file:alipay.pem", from = "2026-12-01T00:00:00Z" })",
       R"({ source = "file:alipay.pem", begins = 2026-12-01T00:00:00Z })",
       R"({ source = "file:alipay.pem", from = 2026-12-01T00:00:00Z, until = 2026-12-01T08:00:00+08:00 })",
       R"({ from = 2026-12-01T00:00:00Z })", R"({ source = 1 })", "1",
       R"({ source = "inline" })"}) {
    const Result<Config> config = parse(wrong);
    ASSERT_FALSE(config) << wrong;
    EXPECT_NE(config.error().detail.find("postern.toml:7: [account.alipay] platform_keys"),
              std::string::npos)
        << config.error().detail;
  }
}

TEST_F(KeyWindowConfig, OfASingleKey) {
  const auto with = [&](std::string_view key) {
    return parse_config(fmt::format("[admin]\napi_key = \"file:admin.key\"\n[account.w]\nchannel = "
                                    "\"wechatpay-v2\"\nmch_id = \"1\"\napp_ids = [\"2\"]\n"
                                    "api_key = {}\n",
                                    key),
                        folder_ / "postern.toml");
  };
  const Result<Config> config = with(R"({ source = "file:v2.key", until = 2027-12-01T00:00:00Z })");
  ASSERT_TRUE(config) << config.error().detail;
  EXPECT_EQ(config->accounts.at(0).keys.at(0).counts.until,
            parse_rfc3339("2027-12-01T00:00:00.000Z"));
}

}  // namespace
}  // namespace postern::app
