// Goal: every broken configuration is refused whole, with the line and what to write, and a running
// daemon that is told to reload it goes on as before. (P14)
// Method: the corpus in tests/vectors/broken_configs, each file a valid configuration with one
// mistake; its first line says where. Each is read, and each is given to the real daemon, which
// then has to take a callback signed under the configuration before.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <regex>
#include <vector>

#include "app/config.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "tests/functional/running.h"

namespace postern::functional {
namespace {

using simulate::Platform;

constexpr std::size_t kFilesMin = 100;

struct Broken {
  std::string name;
  std::string text;
  std::string place;  ///< how the message begins
  std::string says;
  bool is_valid_alone = false;  ///< wrong for a running daemon only
};

[[nodiscard]] std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

[[nodiscard]] Broken parse(const std::filesystem::path& path) {
  static const std::regex kHead(
      "# (wrong|wrong for a running daemon): (?:line ([0-9]+)|no line), says: (.+)");
  Broken broken{.name = path.stem().string(), .text = read(path)};
  std::smatch head;
  const std::string first = broken.text.substr(0, broken.text.find('\n'));
  if (!std::regex_match(first, head, kHead)) {
    ADD_FAILURE() << path << " does not begin with what is wrong";
    return broken;
  }
  broken.place =
      head[2].matched ? fmt::format("postern.toml:{}: ", head[2].str()) : "postern.toml: ";
  broken.says = head[3];
  broken.is_valid_alone = head[1] != "wrong";
  return broken;
}

[[nodiscard]] std::vector<Broken> corpus() {
  std::vector<Broken> all;
  for (const auto& entry : std::filesystem::directory_iterator(POSTERN_BROKEN_CONFIGS)) {
    all.push_back(parse(entry.path()));
  }
  std::ranges::sort(all, {}, &Broken::name);
  return all;
}

/// The files that the corpus names. Making RSA keys takes a while: once.
void write_keys(const testing::TemporaryFolder& folder) {
  static const crypto::PrivateKey key = *crypto::PrivateKey::generate();
  static const std::string certificate = [] {
    const auto now = SystemClock().now();
    return crypto::Certificate::self_signed(key, "platform", "0A1B", now,
                                            now + std::chrono::hours(24))
        ->pem();
  }();
  folder.write("alipay.pem", key.public_key().pem());
  folder.write("private.pem", key.pem().reveal());
  folder.write("platform.crt", certificate);
  // RSA of 1024 bits, made for this test.
  folder.write("weak.pem", R"(-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDCDFB+IHnkkAxjVbJ9bnaKkCR0
Zh/HLl0oJ9DcH92XmXDimMwE4pb5R+YQHijdLyJjgqWqUqxv6+rS73vE8ePI3dIi
ndldfgDtfBdjzy71yAtlnnYcUeEOdykDr0ACEKTsZHbJC6egtCG4EeUHXDWLuOvB
QsWWJUlHuGkg0dOALQIDAQAB
-----END PUBLIC KEY-----
)");
  folder.write("admin.key", kApiKey);
  folder.write("short.key", "short");
  folder.write("empty.key", "\n");
  folder.write("v3.key", "0123456789abcdefghijklmnopqrstuv");
  folder.write("v2.key", "0123456789abcdefghijklmnopqrstuv");
  folder.write("webhook.key", kWebhookSecret);
}

TEST(BrokenConfigs, AreRefusedWithTheirLine) {
  const testing::TemporaryFolder folder;
  write_keys(folder);
  const std::vector<Broken> all = corpus();
  EXPECT_GE(all.size(), kFilesMin);
  for (const Broken& broken : all) {
    const auto config = app::parse_config(broken.text, folder / "postern.toml");
    if (broken.is_valid_alone) {
      EXPECT_TRUE(config.has_value()) << broken.name << ": " << config.error().detail;
      continue;
    }
    ASSERT_FALSE(config.has_value()) << broken.name;
    const std::string& detail = config.error().detail;
    EXPECT_TRUE(detail.starts_with(broken.place)) << broken.name << ": " << detail;
    EXPECT_NE(detail.find(broken.says), std::string::npos) << broken.name << ": " << detail;
    // P17: no secret is repeated.
    for (const std::string_view secret :
         {kApiKey, std::string_view("hunter2"), std::string_view("correct-horse-battery-staple")}) {
      EXPECT_EQ(detail.find(secret), std::string::npos) << broken.name << ": " << detail;
    }
  }
}

TEST(BrokenConfigs, LeaveARunningDaemonAsItWas) {
  Site site;
  const std::string good = site.folder().read("postern.toml");
  write_keys(site.folder());
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  std::size_t number = 0;
  const auto reload = [&] { return visitor.admin("POST", "/v1/configuration/reload"); };
  const auto is_taken = [&] {
    const std::string order = fmt::format("T{}", ++number);
    return visitor.send(site.payment(Platform::kWechatPayV2, order)).code == 200;
  };
  const std::vector<Broken> all = corpus();
  for (const Broken& broken : all) {
    site.folder().write("postern.toml", broken.text);
    const Answer refused = reload();
    ASSERT_EQ(refused.code, 422u) << broken.name << ": " << refused.text;
    const std::string detail(refused.body.at("error").as_object().at("message").as_string());
    EXPECT_TRUE(detail.starts_with(broken.place)) << broken.name << ": " << detail;
    EXPECT_NE(detail.find(broken.says), std::string::npos) << broken.name << ": " << detail;
    EXPECT_TRUE(is_taken()) << broken.name;
  }
  const auto incidents =
      visitor.get("/v1/incidents?state=open&limit=200").body.at("incidents").as_array();
  const auto incident = std::ranges::find_if(incidents, [](const auto& one) {
    return one.as_object().at("kind").as_string() == "configuration_refused";
  });
  ASSERT_NE(incident, incidents.end());
  EXPECT_EQ(incident->as_object().at("count").as_int64(), static_cast<std::int64_t>(all.size()));
  const std::string figures = visitor.get("/metrics").text;
  EXPECT_NE(figures.find(fmt::format("postern_configuration_reloads_total{{result=\"refused\"}} {}",
                                     all.size())),
            std::string::npos);

  // Mended, it is taken, and the incident is over.
  site.folder().write("postern.toml", good + "[log]\nlevel = \"debug\"\n");
  const Answer reloaded = reload();
  ASSERT_EQ(reloaded.code, 200u) << reloaded.text;
  EXPECT_EQ(reloaded.body.at("settings").as_array(), boost::json::array({"[log] level"}));
  EXPECT_TRUE(is_taken());
  for (const auto& one :
       visitor.get("/v1/incidents?state=open&limit=200").body.at("incidents").as_array()) {
    EXPECT_NE(one.as_object().at("kind").as_string(), "configuration_refused");
  }
}

}  // namespace
}  // namespace postern::functional
