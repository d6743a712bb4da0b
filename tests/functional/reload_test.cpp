// Goal: a reload changes what it should and nothing else: endpoints, limits, the key of the API; by
// SIGHUP, by the API and by command. (P14)
// Method: the real daemon, in this process or as one of its own, reloaded between callbacks; the
// merchant's ends are real listeners, one of which never answers.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

#include "cli/run.h"
#include "crypto/key.h"
#include "http/server.h"
#include "tests/functional/running.h"

namespace postern::functional {
namespace {

using namespace std::chrono_literals;
using simulate::Platform;

/// The merchant's end of a webhook: counts what comes, and answers it, or never does.
class Receiver final : public HttpHandler {
 public:
  enum class Way : unsigned char { kAnswers, kKeepsSilent };
  explicit Receiver(Way way) : way_(way) {
    server_ = http::Server::start({.name = "shop", .address = {.host = "127.0.0.1", .port = 0}},
                                  *this, log_, metrics_)
                  .value();
  }
  ~Receiver() override { server_.reset(); }

  void handle(HttpRequest /*request*/, Responder respond) override {
    const std::lock_guard lock(mutex_);
    ++came_;
    if (way_ == Way::kKeepsSilent) {
      unanswered_.push_back(std::move(respond));
    } else {
      respond({.code = 200, .content_type = {}, .body = {}, .headers = {}});
    }
  }

  [[nodiscard]] bool got(std::size_t count) {
    for (int i = 0; i < 1000; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (came_ >= count) return true;
      }
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  [[nodiscard]] std::size_t came() {
    const std::lock_guard lock(mutex_);
    return came_;
  }
  [[nodiscard]] std::string endpoint(std::string_view name = "shop") const {
    return fmt::format(
        "[endpoint.{}]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/payments\"\n"
        "secret = \"file:webhook.key\"\ninsecure_http = true\n"
        "allow_networks = [\"127.0.0.0/8\"]\n",
        name, server_->port());
  }

 private:
  const Way way_;
  NullLog log_;
  NullMetrics metrics_;
  std::mutex mutex_;
  std::size_t came_ = 0;
  std::vector<Responder> unanswered_;
  std::unique_ptr<http::Server> server_;
};

/// A daemon whose file can be written anew.
class Reloading {
 public:
  explicit Reloading(const std::string& further = {})
      : site_(further), gateway_(site_), visitor_(gateway_.visitor()) {
    base_ = site_.folder().read("postern.toml");
    base_.resize(base_.size() - further.size());
  }

  Answer reload(const std::string& further, std::string_view key = kApiKey) {
    site_.folder().write("postern.toml", base_ + further);
    return visitor_.admin("POST", "/v1/configuration/reload", {}, key);
  }
  void pay(const std::string& number) {
    ASSERT_EQ(visitor_.register_order(number), 201u);
    ASSERT_EQ(visitor_.send(site_.payment(Platform::kWechatPayV2, number)).code, 200u);
  }
  [[nodiscard]] const testing::TemporaryFolder& folder() const { return site_.folder(); }
  [[nodiscard]] Site& site() { return site_; }
  [[nodiscard]] Visitor& visitor() { return visitor_; }
  [[nodiscard]] Visitor another_visitor() const { return gateway_.visitor(); }
  [[nodiscard]] const std::string& base() const { return base_; }

 private:
  Site site_;
  InProcess gateway_;
  Visitor visitor_;
  std::string base_;
};

TEST(Reload, GivesWhatAnEndpointWasTryingToTheOneThatFollows) {
  Receiver silent(Receiver::Way::kKeepsSilent);
  Receiver shop(Receiver::Way::kAnswers);
  Reloading gateway(silent.endpoint());
  gateway.pay("T1");
  ASSERT_TRUE(silent.got(1));

  // It does not wait for the end of the try (15 s), nor of its lease (30 s).
  const auto began = std::chrono::steady_clock::now();
  const Answer answer = gateway.reload(shop.endpoint());
  ASSERT_EQ(answer.code, 200u) << answer.text;
  EXPECT_EQ(answer.body.at("endpoints").as_object().at("changed").as_array(),
            boost::json::array({"shop"}));
  EXPECT_TRUE(shop.got(1));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 8s);
  gateway.pay("T2");
  EXPECT_TRUE(shop.got(2));
  EXPECT_EQ(silent.came(), 1U);
}

// The same `file:` with another key in it is a change, and the audit says so.
TEST(Reload, TellsOfAKeyThatWasReplacedInItsFile) {
  Reloading gateway;
  const Answer same = gateway.reload("");
  EXPECT_TRUE(same.body.at("accounts").as_object().at("changed").as_array().empty()) << same.text;
  gateway.folder().write("keys/alipay-platform.pub.pem",
                         crypto::PrivateKey::generate().value().public_key().pem());
  const Answer changed = gateway.reload("");
  ASSERT_EQ(changed.code, 200u) << changed.text;
  EXPECT_EQ(changed.body.at("accounts").as_object().at("changed").as_array(),
            boost::json::array({"alipay"}));
  EXPECT_EQ(gateway.visitor().send(gateway.site().payment(Platform::kAlipay, "T1")).code, 400u);
}

TEST(Reload, KeepsWhatARemovedEndpointIsOwed) {
  Receiver shop(Receiver::Way::kAnswers);
  Receiver erp(Receiver::Way::kAnswers);
  const std::string paused = shop.endpoint() + "paused = true\n";
  Reloading gateway(paused);
  gateway.pay("T1");
  EXPECT_EQ(gateway.reload("").code, 200u);
  gateway.pay("T2");  // of which nobody is told
  ASSERT_EQ(gateway.reload(erp.endpoint("erp")).code, 200u);
  gateway.pay("T3");
  EXPECT_TRUE(erp.got(1));
  ASSERT_EQ(gateway.reload(shop.endpoint() + erp.endpoint("erp")).code, 200u);
  EXPECT_TRUE(shop.got(1));
  const auto endpoints = gateway.visitor().get("/v1/endpoints").body.at("endpoints").as_array();
  EXPECT_EQ(endpoints.size(), 2u);
}

TEST(Reload, LeavesAnEndpointAloneThatIsTheSame) {
  Receiver silent(Receiver::Way::kKeepsSilent);
  Reloading gateway(silent.endpoint());
  gateway.pay("T1");
  ASSERT_TRUE(silent.got(1));
  const Answer answer = gateway.reload(silent.endpoint() + "[log]\nlevel = \"error\"\n");
  ASSERT_EQ(answer.code, 200u) << answer.text;
  EXPECT_TRUE(answer.body.at("endpoints").as_object().at("changed").as_array().empty());
  const auto endpoints = gateway.visitor().get("/v1/endpoints").text;
  EXPECT_NE(endpoints.find("\"in_flight\":1"), std::string::npos) << endpoints;
}

TEST(Reload, NoticesAnotherSecretInTheSameFile) {
  Receiver shop(Receiver::Way::kAnswers);
  Reloading gateway(shop.endpoint());
  gateway.folder().write("webhook.key", "whsec_" + std::string(43, 'A') + "=");
  const Answer answer = gateway.reload(shop.endpoint());
  ASSERT_EQ(answer.code, 200u) << answer.text;
  EXPECT_EQ(answer.body.at("endpoints").as_object().at("changed").as_array(),
            boost::json::array({"shop"}));
}

TEST(Reload, ChangesLimits) {
  Reloading gateway;
  HttpRequest large = gateway.site().payment(Platform::kWechatPayV2, "T1");
  large.body.append(3000, ' ');
  EXPECT_NE(gateway.visitor().send(large).code, 413u);
  const std::string file = gateway.base();
  const std::string server = "[server]\n";
  const std::size_t place = file.find(server) + server.size();
  gateway.folder().write("postern.toml",
                         file.substr(0, place) + "body_bytes_max = 2048\n" + file.substr(place));
  const Answer answer = gateway.visitor().admin("POST", "/v1/configuration/reload");
  ASSERT_EQ(answer.code, 200u) << answer.text;
  EXPECT_EQ(answer.body.at("settings").as_array(), boost::json::array({"[server] body_bytes_max"}));
  // An open connection keeps its sizes.
  EXPECT_NE(gateway.visitor().send(large).code, 413u);
  EXPECT_EQ(gateway.another_visitor().send(large).code, 413u);
}

TEST(Reload, ChangesTheKeyOfTheApi) {
  Reloading gateway;
  constexpr std::string_view kOther = "another-key-0123456789abcdef";
  gateway.folder().write("admin.key", kOther);
  const Answer answer = gateway.reload("");
  ASSERT_EQ(answer.code, 200u) << answer.text;
  EXPECT_EQ(answer.body.at("settings").as_array(), boost::json::array({"[admin] api_key"}));
  EXPECT_EQ(gateway.visitor().get("/v1/orders").code, 401u);
  EXPECT_EQ(gateway.visitor().admin("GET", "/v1/orders", {}, kOther).code, 200u);
}

TEST(Reload, StandsInTheAuditDoneOrRefused) {
  Reloading gateway;
  EXPECT_EQ(gateway.reload("[log]\nlevel = \"error\"\n").code, 200u);
  EXPECT_EQ(gateway.reload("[log]\nlevel = \"loud\"\n").code, 422u);
  const auto acts = gateway.visitor().get("/v1/audit").body.at("audit").as_array();
  ASSERT_EQ(acts.size(), 2u);
  EXPECT_EQ(acts[0].as_object().at("act").as_string(), "configuration_reloaded");
  EXPECT_EQ(acts[0].as_object().at("outcome").as_string(), "done");
  EXPECT_EQ(acts[0].as_object().at("detail").as_string(), "settings [log] level");
  EXPECT_EQ(acts[1].as_object().at("outcome").as_string(), "refused");
}

TEST(Reload, ComesBySignal) {
  Site site;
  Process process(site);
  ASSERT_TRUE(process.ready());
  Visitor visitor = process.visitor();
  const auto came = [&](const std::string& result) {
    const std::string line =
        fmt::format("postern_configuration_reloads_total{{result=\"{}\"}} 1", result);
    for (int i = 0; i < 500; ++i) {
      if (visitor.get("/metrics").text.find(line) != std::string::npos) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  };
  process.signal(SIGHUP);
  EXPECT_TRUE(came("reloaded"));
  const std::string good = site.folder().read("postern.toml");
  site.folder().write("postern.toml", good + "[log]\nlevel = \"loud\"\n");
  process.signal(SIGHUP);
  EXPECT_TRUE(came("refused"));
  EXPECT_NE(process.errors().find("postern.toml:"), std::string::npos) << process.errors();
  EXPECT_EQ(visitor.send(site.payment(Platform::kAlipay, "T1")).code, 200u);
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0) << process.errors();
}

TEST(Reload, ComesByCommand) {
  Site site;
  const std::string good = site.folder().read("postern.toml");
  std::ostringstream out;
  std::ostringstream err;
  const std::string file = site.config_file();
  const auto command = [&] {
    out.str("");
    err.str("");
    const std::array<const char*, 4> words = {"postern", "reload", "--config", file.c_str()};
    return cli::run(static_cast<int>(words.size()), words.data(), {.out = out, .err = err});
  };
  EXPECT_EQ(command(), cli::ExitCode::kUsage);
  EXPECT_NE(err.str().find("no daemon answers"), std::string::npos) << err.str();

  site.folder().write("postern.toml", good + "[log]\nlevel = \"loud\"\n");
  EXPECT_EQ(command(), cli::ExitCode::kUsage);
  EXPECT_NE(err.str().find("[log] level: write debug"), std::string::npos) << err.str();
}

}  // namespace
}  // namespace postern::functional
