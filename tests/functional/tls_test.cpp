// Goal: an installation whose listeners speak TLS takes callbacks, lets in operators who show a
// certificate, and can be asked by its own commands; with a certificate that is over it does not
// start. Method: the real daemon and the real command code; certificates made on the spot.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <sstream>
#include <thread>
#include <vector>

#include "cli/run.h"
#include "tests/functional/running.h"
#include "tests/support/tls_identities.h"

namespace postern::functional {
namespace {

using simulate::Platform;
using testing::Issued;

constexpr std::string_view kTlsTables = R"(
[server.tls]
certificate = "server.pem"
private_key = "file:server.key"
[admin.tls]
certificate = "server.pem"
private_key = "file:server.key"
client_ca = "clients.pem"
)";

void write_pair(const Site& site, const std::string& name, const Issued& issued) {
  site.folder().write(name + ".pem", issued.certificate());
  site.folder().write(name + ".key", issued.key());
  ::chmod((site.folder() / (name + ".key")).c_str(), 0600);
}

/// An installation with all its keys.
struct TlsSite {
  explicit TlsSite(const Issued::Wanted& wanted = {})
      : authority(testing::make_authority()),
        server(wanted, nullptr),
        operator_({.common_name = "operator"}, &authority),
        site(kTlsTables) {
    write_pair(site, "server", server);
    write_pair(site, "operator", operator_);
    site.folder().write("clients.pem", authority.certificate());
  }
  [[nodiscard]] http::ClientTls knowing() const {
    return {
        .server_certificates = server.certificate(), .own_certificates = {}, .own_private_key = {}};
  }
  [[nodiscard]] http::ClientTls as_operator() const {
    return {.server_certificates = server.certificate(),
            .own_certificates = operator_.certificate(),
            .own_private_key = Secret(operator_.key())};
  }

  const Issued authority, server, operator_;
  Site site;
};

struct Ended {
  cli::ExitCode code;
  std::string text;
};

[[nodiscard]] Ended postern_command(const std::vector<std::string>& arguments) {
  std::vector<const char*> pointers{"postern"};
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  std::ostringstream text;
  std::istringstream in;
  const cli::ExitCode code =
      cli::run(static_cast<int>(pointers.size()), pointers.data(), {text, text, in});
  return {code, text.str()};
}

constexpr std::chrono::milliseconds kTimeout{20'000};

TEST(Tls, CarriesCallbacksAndLetsOperatorsInByCertificate) {
  TlsSite tls;
  Process gateway(tls.site);
  ASSERT_TRUE(gateway.ready()) << gateway.errors();
  http::BlockingClient admin("127.0.0.1", gateway.admin_port(), kTimeout, tls.as_operator());
  HttpRequest registration{.method = "POST", .target = "/v1/orders"};
  registration.headers.add("Authorization", fmt::format("Bearer {}", kApiKey));
  registration.headers.add("Content-Type", "application/json");
  registration.body = order_body("T1");
  EXPECT_EQ(admin.send(registration).value().code, 201u);

  http::BlockingClient platform("127.0.0.1", gateway.callback_port(), kTimeout, tls.knowing());
  for (const Platform one : simulate::all_platforms()) {
    EXPECT_EQ(platform.send(tls.site.payment(one, "T1")).value().code / 100, 2u);
  }

  http::BlockingClient stranger("127.0.0.1", gateway.admin_port(), kTimeout, tls.knowing());
  EXPECT_FALSE(stranger.send(registration));
  http::BlockingClient plain("127.0.0.1", gateway.callback_port(), kTimeout);
  EXPECT_FALSE(plain.send(tls.site.payment(Platform::kAlipay, "T1")));
  for (const std::string_view listener : {"admin", "callback"}) {
    const std::string line =
        fmt::format(R"(http_refused_total{{listener="{}",reason="tls_handshake"}} 1)", listener);
    std::string metrics;
    for (int i = 0; i < 1000 && metrics.find(line) == std::string::npos; ++i) {
      metrics = admin.send({.method = "GET", .target = "/metrics"}).value().body;
    }
    EXPECT_NE(metrics.find(line), std::string::npos) << metrics;
  }
  gateway.signal(SIGTERM);
  EXPECT_EQ(gateway.wait(), 0);
}

// P14: new connections and open ones are served all the while, and the last certificate is shown.
TEST(Tls, LosesNoRequestWhileCertificatesAreReloaded) {
  constexpr int kReloads = 50;
  TlsSite tls;
  Process gateway(tls.site);
  ASSERT_TRUE(gateway.ready()) << gateway.errors();
  http::BlockingClient admin("127.0.0.1", gateway.admin_port(), kTimeout, tls.as_operator());
  HttpRequest reload{.method = "POST", .target = "/v1/configuration/reload"};
  reload.headers.add("Authorization", fmt::format("Bearer {}", kApiKey));
  std::atomic<bool> is_over = false;
  std::atomic<int> answered = 0;
  std::atomic<int> lost = 0;
  std::vector<std::thread> clients;
  for (const int kept : {1, 1, 1'000'000}) {
    clients.emplace_back([&, kept] {
      while (!is_over) {
        // All of the certificates have one key.
        http::BlockingClient client("127.0.0.1", gateway.callback_port(), kTimeout, tls.knowing());
        for (int i = 0; i < kept && !is_over; ++i) {
          const auto response = client.send({.method = "GET", .target = "/none"});
          ++(response && response->code == 404 ? answered : lost);
        }
      }
    });
  }
  std::string last;
  for (int i = 0; i < kReloads; ++i) {
    const Issued renewed(
        {.common_name = fmt::format("certificate {}", i)}, nullptr,
        testing::Key((::EVP_PKEY_up_ref(tls.server.native_key()), tls.server.native_key())));
    last = renewed.certificate();
    tls.site.folder().write("server.pem", last);
    const HttpResponse done = admin.send(reload).value();
    ASSERT_EQ(done.code, 200u) << done.body;
    EXPECT_NE(done.body.find("[server.tls] certificate"), std::string::npos) << done.body;
  }
  // A pair that does not belong together changes nothing.
  tls.site.folder().write("server.pem", Issued({}, nullptr).certificate());
  EXPECT_NE(admin.send(reload).value().code, 200u);
  is_over = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(lost, 0);
  EXPECT_GT(answered, kReloads);
  http::BlockingClient after(
      "127.0.0.1", gateway.callback_port(), kTimeout,
      {{.server_certificates = last, .own_certificates = {}, .own_private_key = {}}});
  EXPECT_EQ(after.send({.method = "GET", .target = "/none"}).value().code, 404u);
}

TEST(Tls, IsSpokenByCommands) {
  TlsSite tls;
  InProcess gateway(tls.site);
  std::string config = tls.site.folder().read("postern.toml");
  const std::string free_port = "[admin]\nlisten = \"127.0.0.1:0\"";
  config.replace(
      config.find(free_port), free_port.size(),
      fmt::format("[admin]\nlisten = \"127.0.0.1:{}\"", gateway.daemon().admin_address().port));
  tls.site.folder().write("postern.toml", config);

  const std::string file = "--config=" + tls.site.config_file();
  const Ended checked = postern_command({"check", file});
  EXPECT_EQ(checked.code, cli::ExitCode::kOk) << checked.text;
  EXPECT_NE(checked.text.find("TLS, certificate valid until"), std::string::npos) << checked.text;
  const Ended without = postern_command({"orders", "list", file});
  EXPECT_EQ(without.code, cli::ExitCode::kUsage);
  EXPECT_NE(without.text.find("--client-cert"), std::string::npos) << without.text;
  const std::string own = "--client-cert=" + (tls.site.folder() / "operator.pem").string();
  const std::string key = "--client-key=" + (tls.site.folder() / "operator.key").string();
  const Ended with = postern_command({"orders", "list", file, own, key});
  EXPECT_EQ(with.code, cli::ExitCode::kOk) << with.text;

  // A daemon that shows what this configuration does not name is not told the API key.
  write_pair(tls.site, "server", Issued({}, nullptr));
  const Ended other = postern_command({"orders", "list", file, own, key});
  EXPECT_EQ(other.code, cli::ExitCode::kUsage);
  EXPECT_NE(other.text.find("certificate"), std::string::npos) << other.text;
}

TEST(Tls, DoesNotStartWithACertificateThatIsOver) {
  const TlsSite tls({.from_seconds = -7200, .to_seconds = -3600});
  Process gateway(tls.site);
  EXPECT_FALSE(gateway.ready());
  EXPECT_EQ(gateway.wait(), 2);
  EXPECT_NE(gateway.errors().find("[server.tls] certificate: "), std::string::npos)
      << gateway.errors();
  EXPECT_NE(gateway.errors().find("expired"), std::string::npos) << gateway.errors();
  const Ended checked = postern_command({"check", "--config=" + tls.site.config_file()});
  EXPECT_EQ(checked.code, cli::ExitCode::kUsage);
  EXPECT_NE(checked.text.find("expired"), std::string::npos) << checked.text;
}

}  // namespace
}  // namespace postern::functional
