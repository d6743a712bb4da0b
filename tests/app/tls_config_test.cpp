// Goal: [server.tls] and [admin.tls] are taken whole or refused with the line and what to write,
// and no listener that others can reach speaks plain text unless a trusted proxy stands before it.
// Method: configurations in a folder of their own, with certificates made on the spot.
#include "app/tls_config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "app/config.h"
#include "crypto/key.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tls_identities.h"

namespace postern::app {
namespace {

using testing::Issued;

class TlsConfigTest : public ::testing::Test {
 protected:
  TlsConfigTest() {
    static const std::string platform_key = crypto::PrivateKey::generate()->public_key().pem();
    static const Issued own({}, nullptr);
    static const Issued other({}, nullptr);
    static const Issued weak({}, nullptr, testing::rsa_key(1024));
    folder_.write("alipay.pem", platform_key);
    write_secret("admin.key", "0123456789abcdefghijklmnopqrstuv");
    folder_.write("own.pem", own.certificate());
    write_secret("own.key", own.key());
    write_secret("other.key", other.key());
    write_secret("encrypted.key", testing::encrypted_pem_of(own.native_key()));
    folder_.write("weak.pem", weak.certificate());
    write_secret("weak.key", weak.key());
    folder_.write("broken.pem", own.certificate().substr(0, 200));
    folder_.write("empty.pem", "");
    folder_.write("open.pem", own.certificate());
    std::filesystem::permissions(folder_.path() / "open.pem", std::filesystem::perms(0666));
    ::setenv("POSTERN_TEST_CERTIFICATE", own.certificate().c_str(), 1);
  }
  void write_secret(std::string_view name, std::string_view text) const {
    folder_.write(name, text);
    ::chmod((folder_ / name).c_str(), 0600);
  }

  /// `server` and `admin` are the lines of their sections; those of [server] begin at line 2, those
  /// of [admin] at line 20.
  [[nodiscard]] Result<Config> parse(const std::string& server,
                                     const std::string& admin = "") const {
    std::string text = "[server]\n" + server + "\n";
    while (std::ranges::count(text, '\n') < 18) text += "\n";
    text += "[admin]\n" + admin + "\napi_key = \"file:admin.key\"\n";
    // A table within [admin] would swallow the key.
    if (const std::size_t table = admin.find("[admin.tls]"); table != std::string::npos) {
      text.resize(text.find("[admin]\n"));
      text += "[admin]\n" + admin.substr(0, table) + "api_key = \"file:admin.key\"\n" +
              admin.substr(table) + "\n";
    }
    text +=
        "[account.alipay]\nchannel = \"alipay\"\napp_id = \"2021000000000001\"\n"
        "seller_id = \"2088000000000001\"\nplatform_keys = [\"file:alipay.pem\"]\n";
    return parse_config(text, folder_ / "postern.toml");
  }
  [[nodiscard]] std::string refusal(const std::string& server,
                                    const std::string& admin = "") const {
    const Result<Config> config = parse(server, admin);
    return config ? "taken" : config.error().detail;
  }

  testing::TemporaryFolder folder_;
};

[[nodiscard]] std::string tls(std::string_view certificate, std::string_view key,
                              std::string_view further = "") {
  return fmt::format("[server.tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\n{}", certificate,
                     key, further);
}

TEST_F(TlsConfigTest, TakesCertificatesFromFilesPathsAndTheEnvironment) {
  for (const char* source : {"file:own.pem", "own.pem", "env:POSTERN_TEST_CERTIFICATE"}) {
    const Result<Config> config = parse(tls(source, "file:own.key"));
    ASSERT_TRUE(config) << source << config.error().detail;
    ASSERT_TRUE(config->server.tls);
    EXPECT_EQ(config->server.tls->clients, TlsConfig::Clients::kAnyone);
    EXPECT_FALSE(config->admin.tls);
  }
  const Result<Config> config =
      parse("",
            "[admin.tls]\ncertificate = \"own.pem\"\nprivate_key = \"file:own.key\"\n"
            "client_ca = \"own.pem\"");
  ASSERT_TRUE(config) << config.error().detail;
  EXPECT_FALSE(config->server.tls);
  ASSERT_TRUE(config->admin.tls);
  EXPECT_EQ(config->admin.tls->clients, TlsConfig::Clients::kCertified);
}

TEST_F(TlsConfigTest, SaysWhatIsWrongAndWhere) {
  struct Wrong {
    std::string lines;
    std::string place;
    std::string advice;
  };
  for (const auto& [lines, place, advice] : {
           Wrong{"tls = 1", "postern.toml:2: [server] tls", "write [server.tls]"},
           Wrong{"[server.tls]\nprivate_key = \"file:own.key\"",
                 "postern.toml:2: [server.tls] certificate is missing", "file:PATH"},
           Wrong{"[server.tls]\ncertificate = \"own.pem\"",
                 "postern.toml:2: [server.tls] private_key is missing", "file:PATH"},
           Wrong{tls("no.pem", "file:own.key"), "postern.toml:3: [server.tls] certificate",
                 "cannot read"},
           Wrong{tls(".", "file:own.key"), "postern.toml:3: [server.tls] certificate",
                 "not a file"},
           Wrong{tls("broken.pem", "file:own.key"), "postern.toml:3: [server.tls] certificate",
                 "BEGIN CERTIFICATE"},
           Wrong{tls("empty.pem", "file:own.key"), "postern.toml:3: [server.tls] certificate",
                 "is empty"},
           Wrong{tls("own.pem", "own.key"), "postern.toml:4: [server.tls] private_key",
                 "file:PATH"},
           Wrong{tls("own.pem", "file:other.key"), "postern.toml:4: [server.tls] private_key",
                 "does not belong"},
           Wrong{tls("own.pem", "file:encrypted.key"), "postern.toml:4: [server.tls] private_key",
                 "openssl pkey"},
           Wrong{tls("weak.pem", "file:weak.key"), "postern.toml:4: [server.tls] private_key",
                 "1024 bits"},
           Wrong{tls("own.pem", "file:own.key", "client_ca = \"own.pem\""),
                 "postern.toml:5: [server.tls] there is no key client_ca", "private_key"},
       }) {
    const std::string said = refusal(lines);
    EXPECT_TRUE(said.starts_with(place)) << said;
    EXPECT_NE(said.find(advice), std::string::npos) << said;
  }
  const std::string said =
      refusal("",
              "[admin.tls]\ncertificate = \"own.pem\"\nprivate_key = \"file:own.key\"\n"
              "client_ca = \"empty.pem\"");
  EXPECT_NE(said.find("[admin.tls] client_ca"), std::string::npos) << said;
  // Whoever may change it would say who is let in.
  EXPECT_NE(refusal("",
                    "[admin.tls]\ncertificate = \"own.pem\"\nprivate_key = \"file:own.key\"\n"
                    "client_ca = \"open.pem\"")
                .find("can be written by others"),
            std::string::npos);
}

TEST_F(TlsConfigTest, RefusesPlainTextThatOthersCanReach) {
  const std::string with_tls = "\n" + tls("own.pem", "file:own.key");
  for (const char* address : {"0.0.0.0:1", "[::]:1", "203.0.113.1:1", "[2001:db8::1]:1"}) {
    const std::string callbacks = fmt::format("listen = [\"127.0.0.1:1\", \"{}\"]", address);
    const std::string said = refusal(callbacks);
    EXPECT_TRUE(said.starts_with("postern.toml:2: [server] listen")) << said;
    EXPECT_NE(said.find("trusted_proxies"), std::string::npos) << said;
    EXPECT_EQ(
        refusal(callbacks + "\ntrusted_proxies = [\"10.0.0.0/8\"]\npeer_from = \"forwarded\""),
        "taken");
    EXPECT_EQ(refusal(callbacks + with_tls), "taken");

    const std::string admin = fmt::format("listen = \"{}\"\n", address);
    EXPECT_NE(refusal("", admin).find("[admin] listen"), std::string::npos);
    EXPECT_NE(refusal("trusted_proxies = [\"10.0.0.0/8\"]\npeer_from = \"forwarded\"", admin)
                  .find("[admin] listen"),
              std::string::npos);
    EXPECT_EQ(refusal("", admin + "[admin.tls]\ncertificate = \"own.pem\"\n"
                                  "private_key = \"file:own.key\""),
              "taken");
  }
  EXPECT_EQ(
      refusal("listen = [\"127.0.0.1:1\", \"[::1]:1\", \"127.9.9.9:1\"]", "listen = \"[::1]:2\""),
      "taken");
}

TEST_F(TlsConfigTest, NamesThePlaceOfACertificateThatIsNotValid) {
  const Result<Config> config = parse(tls("own.pem", "file:own.key"));
  ASSERT_TRUE(config);
  const TlsConfig& read = *config->server.tls;
  EXPECT_TRUE(read.check_valid(read.identity.not_after()));
  EXPECT_TRUE(*make_tls_context(config->server.tls, read.identity.not_before()));
  EXPECT_EQ(*make_tls_context(std::nullopt, read.identity.not_before()), nullptr);
  const TimePoint late = read.identity.not_after() + std::chrono::seconds(1);
  const auto refused = make_tls_context(config->server.tls, late);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "tls_certificate_expired");
  EXPECT_TRUE(refused.error().detail.starts_with("postern.toml:3: [server.tls] certificate: "))
      << refused.error().detail;
  EXPECT_FALSE(
      make_tls_context(config->server.tls, read.identity.not_before() - std::chrono::seconds(1)));
}

}  // namespace
}  // namespace postern::app
