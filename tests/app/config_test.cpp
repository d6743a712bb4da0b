// Goal: a configuration is taken whole or refused whole, with the line and what to write; a secret
// is never part of a message.
// Method: a table of files, each with one thing wrong, and the line it must be reported at; real
// keys in a folder of their own.
#include "app/config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "app/channels.h"
#include "base/system.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "tests/support/temporary_folder.h"

namespace postern::app {
namespace {

constexpr std::string_view kWebhookSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=";
constexpr std::string_view kSecretText = "0123456789abcdefghijklmnopqrstuv";

/// The smallest file that is valid; six lines.
constexpr std::string_view kSmallest = R"([admin]
api_key = "file:admin.key"
[account.alipay]
channel = "alipay"
app_id = "2021000000000001"
seller_id = "2088000000000001"
platform_keys = ["file:alipay.pem"]
)";

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    static const crypto::PrivateKey key = *crypto::PrivateKey::generate();
    fingerprint_ = key.public_key().fingerprint();
    folder_.write("alipay.pem", key.public_key().pem());
    folder_.write("private.pem", key.pem().reveal());
    folder_.write("admin.key", std::string(kSecretText) + "\n");
    folder_.write("short.key", "tooshort\n");
    folder_.write("empty.key", "\n");
    folder_.write("v3.key", kSecretText);
    folder_.write("webhook.key", kWebhookSecret);
    ::setenv("POSTERN_TEST_SECRET", std::string(kSecretText).c_str(), 1);
    ::setenv("POSTERN_TEST_EMPTY", "", 1);
    ::unsetenv("POSTERN_TEST_UNSET");
  }

  [[nodiscard]] Result<Config> parse(std::string_view text) const {
    return parse_config(text, folder_ / "postern.toml");
  }
  [[nodiscard]] static std::string with(std::string_view further) {
    return std::string(kSmallest) + std::string(further);
  }

  testing::TemporaryFolder folder_;
  std::string fingerprint_;
};

TEST_F(ConfigTest, TakesTheSmallestFileWithTheDocumentedDefaults) {
  const Result<Config> config = parse(kSmallest);
  ASSERT_TRUE(config.has_value()) << config.error().detail;
  ASSERT_EQ(config->server.listen.size(), 1u);
  EXPECT_EQ(config->server.listen[0].host, "127.0.0.1");
  EXPECT_EQ(config->server.listen[0].port, 8000);
  EXPECT_EQ(config->admin.listen.host, "127.0.0.1");
  EXPECT_EQ(config->admin.listen.port, 8080);
  EXPECT_EQ(config->admin.api_key.reveal(), kSecretText);
  EXPECT_EQ(config->store.file, folder_ / "postern.db");
  EXPECT_EQ(config->store.min_free, 256U << 20);
  EXPECT_EQ(config->log.level, LogLevel::kInfo);
  ASSERT_EQ(config->accounts.size(), 1u);
  const AccountConfig& account = config->accounts[0];
  EXPECT_EQ(account.name.text(), "alipay");
  EXPECT_EQ(account.merchant.text(), "default");
  EXPECT_EQ(account.orders, ledger::OrderMode::kRegistered);
  EXPECT_EQ(account.sub_merchants, admin::SubMerchants::kNone);
  EXPECT_EQ(account.channel->channel_name(), "alipay");
  EXPECT_TRUE(config->endpoints.empty());
}

TEST_F(ConfigTest, TakesEveryKey) {
  const Result<Config> config = parse(R"(
[server]
listen = ["127.0.0.2:9000", "[::1]:9001"]
header_bytes_max = 8192
body_bytes_max = 65536
connections_max = 100
requests_in_flight_max = 50
header_timeout_ms = 1000
body_timeout_ms = 2000
idle_timeout_ms = 3000
write_timeout_ms = 4000
[admin]
listen = "127.0.0.1:9090"
api_key = "env:POSTERN_TEST_SECRET"
[store]
url = "sqlite:data/orders.db"
min_free = "2 GiB"
[log]
level = "warning"
file = "postern.log"
[merchant.shop]
[account.alipay]
channel = "alipay"
merchant = "shop"
orders = "open"
app_id = "2021000000000001"
sellers = ["2021000000000002:2088000000000002"]
platform_keys = ["file:alipay.pem"]
application_key = "file:private.pem"
algorithms = ["RSA2"]
[endpoint.hook]
kind = "webhook"
url = "https://shop.example/payments"
secret = "file:webhook.key"
events = ["order.paid", "order.refund*"]
accounts = ["alipay"]
[endpoint.bus]
kind = "amqp"
url = "amqp://postern@broker/"
secret = "env:POSTERN_TEST_SECRET"
)");
  // The application's own key among the platform's is a mix-up that the channel reports.
  ASSERT_FALSE(config.has_value());
  EXPECT_NE(config.error().detail.find("postern.toml:28:"), std::string::npos)
      << config.error().detail;

  folder_.write("private.pem", crypto::PrivateKey::generate()->pem().reveal());
  const Result<Config> good = parse(R"(
[server]
listen = ["127.0.0.2:9000", "[::1]:9001"]
header_bytes_max = 8192
body_bytes_max = 65536
connections_max = 100
requests_in_flight_max = 50
header_timeout_ms = 1000
body_timeout_ms = 2000
idle_timeout_ms = 3000
write_timeout_ms = 4000
[admin]
listen = "127.0.0.1:9090"
api_key = "env:POSTERN_TEST_SECRET"
[store]
url = "sqlite:data/orders.db"
min_free = "2 GiB"
[log]
level = "warning"
file = "postern.log"
[merchant.shop]
[account.alipay]
channel = "alipay"
merchant = "shop"
orders = "open"
app_id = "2021000000000001"
sellers = ["2021000000000002:2088000000000002"]
platform_keys = ["file:alipay.pem"]
application_key = "file:private.pem"
algorithms = ["RSA2"]
[endpoint.bus]
kind = "amqp"
url = "amqp://postern@broker/"
secret = "env:POSTERN_TEST_SECRET"
[endpoint.hook]
kind = "webhook"
url = "https://shop.example/payments"
secret = "file:webhook.key"
events = ["order.paid", "order.refund*"]
accounts = ["alipay"]
)");
  ASSERT_TRUE(good.has_value()) << good.error().detail;
  ASSERT_EQ(good->server.listen.size(), 2u);
  EXPECT_EQ(good->server.listen[1].host, "::1");
  EXPECT_EQ(good->server.limits.header_bytes_max, 8192u);
  EXPECT_EQ(good->server.limits.body_bytes_max, 65536u);
  EXPECT_EQ(good->server.limits.connections_max, 100u);
  EXPECT_EQ(good->server.limits.requests_in_flight_max, 50u);
  EXPECT_EQ(good->server.limits.header_timeout, std::chrono::seconds(1));
  EXPECT_EQ(good->server.limits.body_timeout, std::chrono::seconds(2));
  EXPECT_EQ(good->server.limits.idle_timeout, std::chrono::seconds(3));
  EXPECT_EQ(good->server.limits.write_timeout, std::chrono::seconds(4));
  EXPECT_EQ(good->store.file, folder_ / "data" / "orders.db");
  EXPECT_EQ(good->store.min_free, std::uint64_t{2} << 30);
  EXPECT_EQ(good->log.level, LogLevel::kWarning);
  EXPECT_EQ(good->log.file, folder_ / "postern.log");
  EXPECT_EQ(good->accounts[0].sub_merchants, admin::SubMerchants::kListed);
  ASSERT_EQ(good->endpoints.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<delivery::AmqpSinkOptions>(good->endpoints[0].way));
  EXPECT_EQ(good->endpoints[0].events, std::vector<std::string>{"*"});
  const auto& webhook = std::get<delivery::WebhookOptions>(good->endpoints[1].way);
  ASSERT_EQ(webhook.secrets.size(), 1u);
  EXPECT_EQ(webhook.secrets[0].reveal(), kWebhookSecret);

  const ledger::Policy policy = good->policy();
  const ledger::AccountPolicy& account = policy.account(AccountName::trusted("alipay"));
  EXPECT_EQ(account.merchant.text(), "shop");
  EXPECT_EQ(account.channel, "alipay");
  EXPECT_EQ(account.orders, ledger::OrderMode::kOpen);
  ASSERT_EQ(policy.endpoints.size(), 2u);
  EXPECT_EQ(policy.endpoints[1].accounts, std::vector{AccountName::trusted("alipay")});
  EXPECT_EQ(good->account_infos().at("alipay").sub_merchants, admin::SubMerchants::kListed);
}

TEST_F(ConfigTest, KnowsEveryChannelOfTheTable) {
  const auto now = SystemClock().now();
  const auto certificate = crypto::Certificate::self_signed(
      *crypto::PrivateKey::generate(), "platform", "0A1B", now, now + std::chrono::hours(24));
  folder_.write("platform.crt", certificate->pem());
  const Result<Config> config = parse(with(R"(
[account.wechat]
channel = "wechatpay-v3"
mchid = "1900000001"
app_id = "wx0000000000000001"
api_v3_key = "file:v3.key"
platform_certificates = ["file:platform.crt"]
[account.wechat-v2]
channel = "wechatpay-v2"
mch_id = "1900000001"
app_id = "wx0000000000000001"
api_key = "env:POSTERN_TEST_SECRET"
sub_merchants = ["1900000002"]
)"));
  ASSERT_TRUE(config.has_value()) << config.error().detail;
  for (const ChannelEntry& entry : channels()) {
    const AccountConfig* account = config->find_account(entry.default_account);
    ASSERT_NE(account, nullptr) << entry.default_account;
    EXPECT_EQ(account->channel->channel_name(), entry.name);
  }
  EXPECT_EQ(config->find_account("wechat-v2")->sub_merchants, admin::SubMerchants::kListed);
  EXPECT_EQ(config->find_account("nobody"), nullptr);
}

TEST_F(ConfigTest, DescribesKeysWithoutGivingThemAway) {
  folder_.write("private.pem", crypto::PrivateKey::generate()->pem().reveal());
  const Result<Config> config = parse(with("application_key = \"file:private.pem\"\n"));
  ASSERT_TRUE(config.has_value()) << config.error().detail;
  const std::vector<KeySummary>& keys = config->accounts[0].keys;
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].setting, "platform_keys");
  EXPECT_EQ(keys[0].description, fmt::format("RSA 2048 public key, fingerprint {}", fingerprint_));
  EXPECT_EQ(keys[1].setting, "application_key");
  EXPECT_TRUE(keys[1].description.starts_with("RSA 2048 private key, fingerprint of its public"));
  EXPECT_EQ(summarize_key("api_key", Secret(std::string(kSecretText))).description,
            "secret of 32 bytes");
}

/// One file with one thing wrong.
struct Wrong {
  std::string name;
  std::string text;   ///< of the file
  std::string place;  ///< how the message begins
  std::string says;   ///< what it also holds
};

[[nodiscard]] std::string admin_and(std::string_view further) {
  return "[admin]\napi_key = \"file:admin.key\"\n" + std::string(further);
}

[[nodiscard]] std::string alipay_with(std::string_view line) {
  return std::string(kSmallest) + std::string(line) + "\n";
}

[[nodiscard]] std::string endpoint_with(std::string_view lines) {
  return std::string(kSmallest) + "[endpoint.shop]\n" + std::string(lines) + "\n";
}

class WrongConfigTest : public ConfigTest, public ::testing::WithParamInterface<Wrong> {};

TEST_P(WrongConfigTest, IsRefusedWithItsPlace) {
  const Wrong& wrong = GetParam();
  const Result<Config> config = parse(wrong.text);
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().error_class, ErrorClass::kFault);
  EXPECT_TRUE(config.error().detail.starts_with(wrong.place)) << config.error().detail;
  EXPECT_NE(config.error().detail.find(wrong.says), std::string::npos) << config.error().detail;
  // P17: no message repeats a secret, wherever it was written.
  EXPECT_EQ(config.error().detail.find(kSecretText), std::string::npos) << config.error().detail;
  EXPECT_EQ(config.error().detail.find("tooshort"), std::string::npos) << config.error().detail;
}

const std::string kKey(kSecretText);

INSTANTIATE_TEST_SUITE_P(
    Sections, WrongConfigTest,
    ::testing::Values(
        Wrong{"NotToml", "[admin]\napi_key = = 1\n", "postern.toml:2: this is not TOML", ""},
        Wrong{"KeyTwice", "[admin]\napi_key = \"a\"\napi_key = \"b\"\n", "postern.toml:3:", ""},
        Wrong{"Empty", "", "postern.toml: [admin] api_key is missing", "env:NAME"},
        Wrong{"NoAdminKey", "[admin]\nlisten = \"127.0.0.1:1\"\n",
              "postern.toml:1: [admin] api_key is missing", "write api_key ="},
        Wrong{"NoAccount", admin_and(""), "postern.toml: no account", "[account.alipay]"},
        Wrong{"UnknownSection", admin_and("[servers]\n"), "postern.toml:3: there is no section",
              "the sections are account, admin"},
        Wrong{"KeyOutsideSections", "listen = 1\n", "postern.toml:1: there is no section listen",
              ""},
        Wrong{"SectionIsNoTable", "server = 1\n", "postern.toml:1: write [server]", ""},
        Wrong{"AccountIsNoTable", admin_and("[account]\nalipay = 1\n"),
              "postern.toml:4: write [account.alipay]", ""},
        Wrong{"AccountNameWithSlash", admin_and("[account.\"a/b\"]\n"),
              "postern.toml:3: [account.NAME]", "letters"},
        Wrong{"AccountNameTooLong", admin_and("[account." + std::string(65, 'a') + "]\n"),
              "postern.toml:3: [account.NAME]", "1 to 64"},
        Wrong{"ArrayOfTables", admin_and("[[account.a]]\n"), "postern.toml:3: write [account.a]",
              ""}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Keys, WrongConfigTest,
    ::testing::Values(
        Wrong{"UnknownServerKey", "[server]\nlisten = [\"127.0.0.1:1\"]\nlimit = 4\n",
              "postern.toml:3: [server] there is no key limit", "body_bytes_max"},
        Wrong{"UnknownAccountKey", alipay_with("app_ID = \"1\""),
              "postern.toml:8: [account.alipay] there is no key app_ID", "app_id"},
        Wrong{"UnknownEndpointKey",
              endpoint_with("kind = \"kafka\"\nurl = \"kafka://a/t\"\nretries = 3"),
              "postern.toml:11: [endpoint.shop] there is no key retries", "events"},
        Wrong{"UnknownMerchantKey", admin_and("[merchant.shop]\nname = \"Shop\"\n"),
              "postern.toml:4: [merchant.shop] there is no key name", ""},
        Wrong{"ListenIsNoList", "[server]\nlisten = \"127.0.0.1:1\"\n",
              "postern.toml:2: [server] listen", "list of texts"},
        Wrong{"ListenIsNoAddress", "[server]\nlisten = [\"localhost:8000\"]\n",
              "postern.toml:2: [server] listen", "127.0.0.1:8000"},
        Wrong{"ListenHoldsANumber", "[server]\nlisten = [\n  \"127.0.0.1:1\",\n  8000,\n]\n",
              "postern.toml:4: [server] listen", "list of texts"},
        Wrong{"SizeIsText", "[server]\nbody_bytes_max = \"1\"\n",
              "postern.toml:2: [server] body_bytes_max", "whole number from 1024 to 16777216"},
        Wrong{"SizeIsFloat", "[server]\nconnections_max = 1.0\n",
              "postern.toml:2: [server] connections_max", "whole number from 1"},
        Wrong{"SizeIsZero", "[server]\nconnections_max = 0\n",
              "postern.toml:2: [server] connections_max", "whole number from 1"},
        Wrong{"TimeoutTooShort", "[server]\nbody_timeout_ms = 5\n",
              "postern.toml:2: [server] body_timeout_ms", "from 100 to 600000"},
        Wrong{"StoreOfAnotherKind", admin_and("[store]\nurl = \"mysql://x\"\n"),
              "postern.toml:4: [store] url", "sqlite:"},
        Wrong{"StoreMinFreeWithoutUnit", admin_and("[store]\nmin_free = \"1000\"\n"),
              "postern.toml:4: [store] min_free", "MiB"},
        Wrong{"StoreMinFreeOfAnotherUnit", admin_and("[store]\nmin_free = \"1 GB\"\n"),
              "postern.toml:4: [store] min_free", "GiB"},
        Wrong{"StoreMinFreeAsNumber", admin_and("[store]\nmin_free = 5\n"),
              "postern.toml:4: [store] min_free", "quotes"},
        Wrong{"StoreWithoutFile", admin_and("[store]\nurl = \"sqlite:\"\n"),
              "postern.toml:4: [store] url", "sqlite:"},
        Wrong{"LogLevel", admin_and("[log]\nlevel = \"verbose\"\n"), "postern.toml:4: [log] level",
              "debug, info, warning or error"},
        Wrong{"Channel", admin_and("[account.a]\nchannel = \"alypay\"\n"),
              "postern.toml:4: [account.a] channel", "alipay, wechatpay-v3, wechatpay-v2"},
        Wrong{"NoChannel", admin_and("[account.a]\napp_id = \"1\"\n"),
              "postern.toml:3: [account.a] channel is missing", "alipay"},
        Wrong{"Merchant", alipay_with("merchant = \"nobody\""),
              "postern.toml:8: [account.alipay] merchant", "[merchant.NAME]"},
        Wrong{"Orders", alipay_with("orders = \"all\""), "postern.toml:8: [account.alipay] orders",
              "\"registered\""},
        Wrong{"ChannelKeyMissing", admin_and("[account.a]\nchannel = \"alipay\"\n"),
              "postern.toml:3: [account.a] app_id is missing", "write app_id = "},
        Wrong{"TextIsEmpty", admin_and("[account.a]\nchannel = \"alipay\"\napp_id = \"\"\n"),
              "postern.toml:5: [account.a] app_id", "empty"},
        Wrong{"TextIsNumber", admin_and("[account.a]\nchannel = \"alipay\"\napp_id = 2021\n"),
              "postern.toml:5: [account.a] app_id", "text in quotes"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Secrets, WrongConfigTest,
    ::testing::Values(
        Wrong{"Inline", "[admin]\napi_key = \"" + kKey + "\"\n", "postern.toml:2: [admin] api_key",
              "env:NAME or file:PATH"},
        Wrong{"InlineNumber", "[admin]\napi_key = 12345678901234567\n",
              "postern.toml:2: [admin] api_key", "env:NAME"},
        Wrong{"InlineInAList",
              admin_and("[account.a]\nchannel = \"alipay\"\napp_id = \"1\"\nseller_id = \"2\"\n"
                        "platform_keys = [\"" +
                        kKey + "\"]\n"),
              "postern.toml:7: [account.a] platform_keys", "env:NAME or file:PATH"},
        Wrong{"InlineBehindEnv", "[admin]\napi_key = \"env:" + kKey + "=\"\n",
              "postern.toml:2: [admin] api_key", "name of an environment variable"},
        Wrong{"EnvironmentUnset", "[admin]\napi_key = \"env:POSTERN_TEST_UNSET\"\n",
              "postern.toml:2: [admin] api_key", "POSTERN_TEST_UNSET"},
        Wrong{"EnvironmentEmpty", "[admin]\napi_key = \"env:POSTERN_TEST_EMPTY\"\n",
              "postern.toml:2: [admin] api_key", "is empty"},
        Wrong{"FileMissing", "[admin]\napi_key = \"file:no.key\"\n",
              "postern.toml:2: [admin] api_key: cannot read", "no.key: No such file"},
        Wrong{"FileEmpty", "[admin]\napi_key = \"file:empty.key\"\n",
              "postern.toml:2: [admin] api_key", "is empty"},
        Wrong{"FileIsFolder", "[admin]\napi_key = \"file:.\"\n", "postern.toml:2: [admin] api_key",
              "it is not a file"},
        Wrong{"KeyTooShort", "[admin]\napi_key = \"file:short.key\"\n",
              "postern.toml:2: [admin] api_key", "at least 16"},
        Wrong{"KeyIsNoPem",
              admin_and("[account.a]\nchannel = \"alipay\"\napp_id = \"1\"\nseller_id = \"2\"\n"
                        "platform_keys = [\"file:admin.key\"]\n"),
              "postern.toml:7: [account.a] platform_keys", ""}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Endpoints, WrongConfigTest,
    ::testing::Values(
        Wrong{"Kind", endpoint_with("kind = \"smtp\""), "postern.toml:9: [endpoint.shop] kind",
              "webhook"},
        Wrong{"NoKind", endpoint_with("url = \"https://a\""),
              "postern.toml:8: [endpoint.shop] kind is missing", ""},
        Wrong{"Url", endpoint_with("kind = \"webhook\"\nurl = \"ftp://a\""),
              "postern.toml:10: [endpoint.shop] url", "https://"},
        Wrong{"NoSecret", endpoint_with("kind = \"webhook\"\nurl = \"https://a\""),
              "postern.toml:8: [endpoint.shop] secret is missing", ""},
        Wrong{"WeakSecret",
              endpoint_with("kind = \"webhook\"\nurl = \"https://a\"\nsecret = \"file:admin.key\""),
              "postern.toml:11: [endpoint.shop] secret", "whsec_"},
        Wrong{"PlainHttp", endpoint_with("kind = \"webhook\"\nurl = \"http://a\""),
              "postern.toml:10: [endpoint.shop] url", "insecure_http"},
        Wrong{"NoUser", endpoint_with("kind = \"amqp\"\nurl = \"amqp://broker/\""),
              "postern.toml:10: [endpoint.shop] url", ""},
        Wrong{"NoTopic", endpoint_with("kind = \"kafka\"\nurl = \"kafka://a\""),
              "postern.toml:10: [endpoint.shop] url", "topic"},
        Wrong{"Flag", endpoint_with("kind = \"kafka\"\nurl = \"kafka://a/t\"\npaused = \"yes\""),
              "postern.toml:11: [endpoint.shop] paused", "true or false"},
        Wrong{"Event",
              endpoint_with("kind = \"kafka\"\nurl = \"kafka://a/t\"\nevents = [\"order.payd\"]"),
              "postern.toml:11: [endpoint.shop] events", "order.paid"},
        Wrong{"Account",
              endpoint_with("kind = \"kafka\"\nurl = \"kafka://a/t\"\naccounts = [\"wechat\"]"),
              "postern.toml:11: [endpoint.shop] accounts", ""}),
    [](const auto& test) { return test.param.name; });

TEST_F(ConfigTest, TellsOfAFileThatIsNotThere) {
  const Result<Config> config = load_config(folder_ / "none.toml");
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().code, "config_unreadable");
  EXPECT_NE(config.error().detail.find("none.toml"), std::string::npos);
}

TEST_F(ConfigTest, ReadsSecretsRelativeToItsOwnFolder) {
  folder_.write("postern.toml", kSmallest);
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path("/");
  const Result<Config> config = load_config(folder_ / "postern.toml");
  std::filesystem::current_path(before);
  EXPECT_TRUE(config.has_value()) << config.error().detail;
}

TEST_F(ConfigTest, TakesOneLineEndOffASecretAndNoMore) {
  folder_.write("admin.key", kKey + "\r\n");
  EXPECT_EQ(parse(kSmallest)->admin.api_key.reveal(), kSecretText);
  folder_.write("admin.key", kKey + "\n\n");
  EXPECT_FALSE(parse(kSmallest).has_value());
}

}  // namespace
}  // namespace postern::app
