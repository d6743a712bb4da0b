// Goal: replacing a key can be rehearsed and is not forgotten: a candidate is tried against what
// was accepted, a key that ends raises an incident, and a key file open to strangers stops the
// start. Method: the real daemon and the real command code; callbacks signed by generated keys.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <filesystem>
#include <sstream>

#include "cli/run.h"
#include "crypto/key.h"
#include "tests/functional/running.h"

namespace postern::functional {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using simulate::Platform;

struct Ended {
  cli::ExitCode code;
  std::string out, err;
};

[[nodiscard]] Ended keys_try(const Site& site, std::vector<std::string> further) {
  std::vector<std::string> arguments = {"postern", "keys", "try", "--config=" + site.config_file()};
  arguments.insert(arguments.end(), further.begin(), further.end());
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  std::ostringstream out;
  std::ostringstream err;
  std::istringstream in;
  const cli::ExitCode code =
      cli::run(static_cast<int>(pointers.size()), pointers.data(), {out, err, in});
  return {code, out.str(), err.str()};
}

[[nodiscard]] std::string file(const Site& site, const std::string& name) {
  return "--key=file:" + (site.folder() / name).string();
}

/// The site's configuration with the first `from`, which must be there, replaced.
void edit(const Site& site, std::string_view from, const std::string& to) {
  std::string config = site.folder().read("postern.toml");
  const std::size_t at = config.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  site.folder().write("postern.toml", config.replace(at, from.size(), to));
}

TEST(Keys, ACandidateIsTriedAgainstWhatWasAccepted) {
  Site site;
  {
    InProcess gateway(site);
    Visitor visitor = gateway.visitor();
    for (const char* number : {"T1", "T2", "T3"}) {
      ASSERT_EQ(visitor.register_order(number), 201u);
      ASSERT_EQ(visitor.send(site.payment(Platform::kAlipay, number)).code, 200u);
    }
  }
  // The daemon has stopped: the store answers by itself, through the same code.
  const Ended good = keys_try(site, {"--account=alipay", "--setting=platform_keys", "--json",
                                     file(site, "keys/alipay-platform.pub.pem")});
  ASSERT_EQ(good.code, cli::ExitCode::kOk) << good.err;
  const json::object report = json::parse(good.out).as_object();
  EXPECT_EQ(report.at("would_verify").to_number<int>(), 3);
  EXPECT_EQ(report.at("would_not_verify").to_number<int>(), 0);

  const crypto::PrivateKey other = crypto::PrivateKey::generate().value();
  site.folder().write("other.pem", other.public_key().pem());
  const Ended bad = keys_try(
      site, {"--account=alipay", "--setting=platform_keys", "--last=2", file(site, "other.pem")});
  ASSERT_EQ(bad.code, cli::ExitCode::kOk) << bad.err;
  EXPECT_NE(bad.out.find("of the last 2 callbacks this key alone would verify 0, and not 2"),
            std::string::npos)
      << bad.out;
  EXPECT_NE(bad.out.find("signature_not_verified: other_accounts_key"), std::string::npos)
      << bad.out;

  site.folder().write("weak.key", "changeme");
  const Ended weak =
      keys_try(site, {"--account=wechat-v2", "--setting=api_key", file(site, "weak.key")});
  EXPECT_NE(weak.code, cli::ExitCode::kOk);
  EXPECT_NE(weak.err.find("everybody knows"), std::string::npos) << weak.err;
}

TEST(Keys, OneThatEndsRaisesAnIncidentUntilAnotherGoesOn) {
  Site site;
  const SystemClock clock;
  const std::string soon = format_rfc3339(clock.now() + std::chrono::days(7));
  const std::string key = "\"file:keys/alipay-platform.pub.pem\"";
  const std::string ending =
      fmt::format("{{ source = \"file:keys/alipay-platform.pub.pem\", until = {} }}", soon);
  const auto state = [&] {
    InProcess gateway(site);
    Visitor visitor = gateway.visitor();
    for (int i = 0; i < 100; ++i) {
      const json::array incidents = visitor.get("/v1/incidents").body.at("incidents").as_array();
      if (!incidents.empty()) {
        EXPECT_EQ(incidents.size(), 1u);
        EXPECT_EQ(incidents[0].at("kind").as_string(), "key_expiring");
        EXPECT_NE(visitor.get("/metrics").text.find("postern_key_expires_at_seconds{"),
                  std::string::npos);
        return std::string(incidents[0].at("state").as_string());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return std::string("none");
  };
  edit(site, key, ending);
  EXPECT_EQ(state(), "open");
  const crypto::PrivateKey next = crypto::PrivateKey::generate().value();
  site.folder().write("next.pem", next.public_key().pem());
  edit(site, ending, ending + ", \"file:next.pem\"");
  std::string now;
  for (int i = 0; i < 20 && now != "resolved"; ++i) now = state();
  EXPECT_EQ(now, "resolved");
}

TEST(Keys, OpenToStrangersStopTheStart) {
  Site site;
  fs::permissions(site.folder() / "admin.key", fs::perms(0644));
  Process process(site);
  EXPECT_FALSE(process.ready());
  EXPECT_NE(process.errors().find("chmod 600 " + (site.folder() / "admin.key").string()),
            std::string::npos)
      << process.errors();
}

}  // namespace
}  // namespace postern::functional
