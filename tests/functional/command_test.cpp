// Goal: the commands tell operators the truth, with the daemon running or not, and end with the
// code that scripts rely on.
// Method: the real command code against a real installation; callbacks signed by generated keys.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <sstream>

#include "cli/run.h"
#include "crypto/encoding.h"
#include "tests/functional/running.h"

namespace postern::functional {
namespace {

namespace json = boost::json;
using simulate::Platform;

struct Ended {
  cli::ExitCode code;
  std::string out, err;
};

Ended postern_command(std::vector<std::string> arguments, const std::string& typed = {}) {
  arguments.insert(arguments.begin(), "postern");
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  std::ostringstream out;
  std::ostringstream err;
  std::istringstream in(typed);
  const cli::ExitCode code =
      cli::run(static_cast<int>(pointers.size()), pointers.data(), {out, err, in});
  return {code, out.str(), err.str()};
}

/// Puts the port that the daemon got into the configuration, for commands to find it.
void tell_admin_port(const Site& site, InProcess& gateway) {
  std::string config = site.folder().read("postern.toml");
  const std::string free_port = "[admin]\nlisten = \"127.0.0.1:0\"";
  config.replace(config.find(free_port), free_port.size(),
                 "[admin]\nlisten = \"127.0.0.1:" +
                     std::to_string(gateway.daemon().admin_address().port) + "\"");
  site.folder().write("postern.toml", config);
}

[[nodiscard]] json::object parsed(const std::string& text) {
  return json::parse(text).as_object();
}

/// What the listings say about one paid order, asked in every way.
void expect_listings(const Site& site) {
  const std::string config = "--config=" + site.config_file();
  const Ended list = postern_command({"orders", "list", config});
  EXPECT_EQ(list.code, cli::ExitCode::kOk) << list.err;
  EXPECT_NE(list.out.find("T1     default   paid   88.00 CNY  88.00 CNY  0.00 CNY"),
            std::string::npos)
      << list.out;
  const Ended page = postern_command({"orders", "list", config, "--json", "--state=paid"});
  EXPECT_EQ(parsed(page.out).at("orders").as_array().size(), 1u);

  const Ended show = postern_command({"orders", "show", "T1", config});
  EXPECT_EQ(show.code, cli::ExitCode::kOk) << show.err;
  EXPECT_NE(show.out.find("state: paid\n"), std::string::npos) << show.out;
  EXPECT_NE(show.out.find("order.paid"), std::string::npos) << show.out;
  const Ended none = postern_command({"orders", "show", "T2", config});
  EXPECT_EQ(none.code, cli::ExitCode::kNegative);
  EXPECT_EQ(none.out, "");
  EXPECT_NE(none.err.find("no order of that number"), std::string::npos) << none.err;

  const Ended callbacks = postern_command({"callbacks", "list", config, "--json"});
  ASSERT_EQ(callbacks.code, cli::ExitCode::kOk) << callbacks.err;
  const json::array rows = parsed(callbacks.out).at("callbacks").as_array();
  ASSERT_EQ(rows.size(), 1u);
  const std::string id(rows[0].as_object().at("id").as_string());
  const Ended callback = postern_command({"callbacks", "show", id, config});
  EXPECT_EQ(callback.code, cli::ExitCode::kOk) << callback.err;
  EXPECT_NE(callback.out.find("outcome: applied\n"), std::string::npos) << callback.out;
  // P17: the body, which may name the buyer, comes only where it is asked for.
  EXPECT_EQ(callback.out.find("body_base64"), std::string::npos);
  EXPECT_EQ(postern_command({"callbacks", "show", "cb_1", config}).code, cli::ExitCode::kNegative);
  EXPECT_EQ(postern_command({"orders", "list", config, "--state=payed"}).code,
            cli::ExitCode::kUsage);
}

TEST(Listings, AskTheRunningDaemonAndElseTheStore) {
  Site site;
  {
    InProcess gateway(site);
    tell_admin_port(site, gateway);
    Visitor visitor = gateway.visitor();
    ASSERT_EQ(visitor.register_order("T1"), 201u);
    ASSERT_EQ(visitor.send(site.payment(Platform::kAlipay, "T1")).code, 200u);
    expect_listings(site);

    site.folder().write("admin.key", "another-key-another-key");
    const Ended wrong = postern_command({"orders", "list", "--config=" + site.config_file()});
    EXPECT_EQ(wrong.code, cli::ExitCode::kUsage);
    EXPECT_NE(wrong.err.find("api_key"), std::string::npos) << wrong.err;
    EXPECT_EQ(wrong.err.find("another-key"), std::string::npos) << wrong.err;
    site.folder().write("admin.key", kApiKey);
  }
  expect_listings(site);
}

// A paused endpoint is sent nothing, so that what is retried can be looked at.
TEST(Deliveries, AreRetriedByAPlanThatSomebodyAgreesTo) {
  Site site(
      "[endpoint.shop]\nkind = \"webhook\"\nurl = \"https://shop.example/\"\n"
      "secret = \"file:webhook.key\"\npaused = true\n");
  InProcess gateway(site);
  tell_admin_port(site, gateway);
  Visitor visitor = gateway.visitor();
  for (const std::string number : {"T1", "T2"}) {
    ASSERT_EQ(visitor.register_order(number), 201u);
    ASSERT_EQ(visitor.send(site.payment(Platform::kAlipay, number)).code, 200u);
    const auto rows = visitor.get("/v1/deliveries").body.at("deliveries").as_array();
    const std::string id(rows.at(0).at("id").as_string());
    ASSERT_EQ(visitor.admin("POST", "/v1/deliveries/" + id + "/cancel").code, 200u);
  }
  const auto cancelled = [&] {
    return visitor.get("/v1/deliveries?state=cancelled").body.at("deliveries").as_array().size();
  };
  const std::vector<std::string> command = {"deliveries", "retry", "--config=" + site.config_file(),
                                            "--endpoint=shop", "--state=cancelled"};
  const Ended refused = postern_command(command, "n\n");
  EXPECT_EQ(refused.code, cli::ExitCode::kNegative);
  EXPECT_NE(refused.out.find("2 deliveries of 2 orders"), std::string::npos) << refused.out;
  EXPECT_EQ(cancelled(), 2U);
  const Ended agreed = postern_command(command, "y\n");
  EXPECT_EQ(agreed.code, cli::ExitCode::kOk) << agreed.err;
  EXPECT_NE(agreed.out.find("retried: 2\nchanged meanwhile: 0\n"), std::string::npos) << agreed.out;
  EXPECT_NE(agreed.err.find("2 of 2"), std::string::npos) << agreed.err;
  EXPECT_EQ(cancelled(), 0U);
  const std::string config = "--config=" + site.config_file();
  const Ended endpoints = postern_command({"endpoints", config});
  EXPECT_NE(endpoints.out.find("shop      webhook  paused  0          2 "), std::string::npos)
      << endpoints.out << endpoints.err;
  const Ended audit = postern_command({"audit", config});
  EXPECT_NE(audit.out.find("deliveries_retried"), std::string::npos) << audit.out << audit.err;
  EXPECT_NE(audit.out.find("2 deliveries"), std::string::npos) << audit.out;
  const std::string event(
      visitor.get("/v1/events").body.at("events").as_array().at(0).at("id").as_string());
  ASSERT_EQ(visitor.admin("POST", "/v1/events/" + event + "/applied").code, 200u);
  const Ended order = postern_command({"orders", "show", "T1", config});
  EXPECT_NE(order.out.find("by default"), std::string::npos) << order.out;
  std::vector<std::string> wrong = command;
  wrong.back() = "--state=delivered";
  EXPECT_EQ(postern_command(wrong).code, cli::ExitCode::kUsage);
  wrong.back() = "dlv_1";  // one or many, not both
  EXPECT_EQ(postern_command(wrong).code, cli::ExitCode::kUsage);
}

TEST(Listings, MakeNoStoreAndDisturbNone) {
  Site site;
  const Ended none = postern_command({"orders", "list", "--config=" + site.config_file()});
  EXPECT_EQ(none.code, cli::ExitCode::kStoreFailed);
  EXPECT_FALSE(std::filesystem::exists(site.folder() / "postern.db"));

  // The daemon is up, but the configuration does not say where: its lock keeps the command out.
  InProcess gateway(site);
  const Ended locked = postern_command({"orders", "list", "--config=" + site.config_file()});
  EXPECT_EQ(locked.code, cli::ExitCode::kStoreFailed) << locked.err;
  EXPECT_EQ(gateway.visitor().get("/readyz").code, 200u);
}

TEST(Check, ShowsAccountsAndKeysButNoSecrets) {
  Site site;
  const Ended good = postern_command({"check", "--config=" + site.config_file()});
  EXPECT_EQ(good.code, cli::ExitCode::kOk) << good.err;
  for (const std::string_view part :
       {"account alipay: alipay, merchant default, orders registered",
        "account wechat: wechatpay-v3", "account wechat-v2: wechatpay-v2",
        "callbacks at /payment/wechat-v2/callback", "RSA 2048 public key, fingerprint ",
        "certificate, serial ", "secret of 32 bytes"}) {
    EXPECT_NE(good.out.find(part), std::string::npos) << part << "\n" << good.out;
  }
  EXPECT_EQ(good.out.find(kApiKey), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(site.folder() / "postern.db"));

  Site bad("[account.other]\nchannel = \"alipay\"\n");
  const Ended wrong = postern_command({"check", "--config=" + bad.config_file()});
  EXPECT_EQ(wrong.code, cli::ExitCode::kUsage);
  EXPECT_EQ(wrong.out, "");
  EXPECT_NE(wrong.err.find("[account.other] app_id is missing"), std::string::npos) << wrong.err;
}

/// A callback of each platform as `postern callbacks show ID --json` prints it.
class Verify : public ::testing::TestWithParam<Platform> {
 protected:
  Verify() {
    InProcess gateway(site_);
    Visitor visitor = gateway.visitor();
    EXPECT_LT(visitor.send(site_.payment(GetParam(), "T1")).code, 300u);
    const auto rows = visitor.get("/v1/callbacks").body.at("callbacks").as_array();
    kept_ = visitor.get("/v1/callbacks/" + std::string(rows.at(0).at("id").as_string())).body;
  }
  [[nodiscard]] Ended verify(const json::object& kept, std::vector<std::string> further = {}) {
    site_.folder().write("kept.json", json::serialize(kept));
    std::vector<std::string> arguments = {"verify", site_.folder() / "kept.json",
                                          "--config=" + site_.config_file()};
    arguments.insert(arguments.end(), further.begin(), further.end());
    return postern_command(arguments);
  }
  [[nodiscard]] std::string body() const {
    return crypto::base64_decode(std::string_view(kept_.at("body_base64").as_string())).value();
  }

  Site site_;
  json::object kept_;
};

INSTANTIATE_TEST_SUITE_P(Platforms, Verify, ::testing::ValuesIn(simulate::all_platforms()),
                         [](const auto& test) {
                           std::string text(simulate::name(test.param));
                           std::erase(text, '-');
                           return text;
                         });

// P15
TEST_P(Verify, FindsAKeptCallbackGenuineAtItsOwnTime) {
  const Ended text = verify(kept_);
  EXPECT_EQ(text.code, cli::ExitCode::kOk) << text.err << text.out;
  EXPECT_TRUE(text.out.starts_with("genuine: ")) << text.out;
  EXPECT_NE(text.out.find(std::string(kept_.at("key_id").as_string())), std::string::npos);
  const Ended ended = verify(kept_, {"--json"});
  const json::object verdict = parsed(ended.out);
  EXPECT_EQ(verdict.at("verdict").as_string(), "genuine");
  EXPECT_EQ(verdict.at("facts").as_array().at(0).at("kind").as_string(), "payment");
  EXPECT_EQ(verdict.at("facts").as_array().at(0).at("number").as_string(), "T1");
}

TEST_P(Verify, FindsAChangedOneNotGenuine) {
  std::string changed = body();
  changed[changed.size() / 2] ^= 1;
  json::object other_body = kept_;
  other_body["body_base64"] = crypto::base64_encode(changed);
  EXPECT_EQ(verify(other_body).code, cli::ExitCode::kNegative);
  EXPECT_TRUE(verify(other_body).out.starts_with("not genuine: body_changed"));
  other_body.erase("body_sha256");
  const Ended ended = verify(other_body);
  EXPECT_EQ(ended.code, cli::ExitCode::kNegative);
  EXPECT_TRUE(ended.out.starts_with("not genuine: ")) << ended.out;

  json::object later = kept_;
  later["received_at"] = "2030-01-01T00:00:00.000Z";
  const bool has_window = GetParam() == Platform::kWechatPayV3;
  EXPECT_EQ(verify(later).code, has_window ? cli::ExitCode::kNegative : cli::ExitCode::kOk);
}

TEST_P(Verify, SaysWhatIsWrongWithTheFile) {
  for (const char* name : {"received_at", "headers_base64", "body_base64", "account"}) {
    json::object lacking = kept_;
    lacking.erase(name);
    EXPECT_EQ(verify(lacking).code, cli::ExitCode::kUsage) << name;
  }
  const std::string config = "--config=" + site_.config_file();
  EXPECT_EQ(postern_command({"verify", "/no/such/file", config}).code, cli::ExitCode::kUsage);
  site_.folder().write("broken.json", "{");
  EXPECT_EQ(postern_command({"verify", site_.folder() / "broken.json", config}).code,
            cli::ExitCode::kUsage);
}

/// A request as it is saved from the wire.
[[nodiscard]] std::string as_text(const HttpRequest& request) {
  return "POST " + request.target + " HTTP/1.1\r\nHost: shop.example\r\n" +
         request.headers.block() + "Content-Length: " + std::to_string(request.body.size()) +
         "\r\n\r\n" + request.body;
}

TEST(Explain, NamesTheCauseOfARefusedCallbackThatTheSenderIsNotTold) {
  Site site;
  InProcess gateway(site);
  tell_admin_port(site, gateway);
  Visitor visitor = gateway.visitor();
  const std::string config = "--config=" + site.config_file();
  HttpRequest request = site.payment(Platform::kAlipay, "T1");
  ASSERT_EQ(visitor.send(request).code, 200u);
  const HttpResponse forged =
      visitor.send(site.payment(Platform::kAlipay, "T2", 8800, simulate::Tamper::kWrongKey));
  request.body += "&tenant=7";
  const HttpResponse spoiled = visitor.send(request);
  EXPECT_EQ(spoiled.code, forged.code);
  EXPECT_EQ(spoiled.body, forged.body);

  const auto listed = visitor.get("/v1/rejected/alipay").body.at("rejected").as_array();
  ASSERT_EQ(listed.size(), 2u);
  const std::string id(listed.at(0).as_object().at("id").as_string());
  const Ended ended = postern_command({"explain", id, config});
  EXPECT_EQ(ended.code, cli::ExitCode::kOk) << ended.err;
  EXPECT_TRUE(ended.out.starts_with("alipay: signature_not_verified\n")) << ended.out;
  EXPECT_NE(ended.out.find("cause: field_added (proved)\n  not signed: tenant\n"),
            std::string::npos)
      << ended.out;
  EXPECT_NE(ended.out.find("first difference: tenant came and was not signed\n"), std::string::npos)
      << ended.out;
  const Ended table = postern_command({"callbacks", "rejected", "alipay", config});
  EXPECT_EQ(table.code, cli::ExitCode::kOk) << table.err;
  EXPECT_NE(table.out.find(id + "     "), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("signature_not_verified"), std::string::npos) << table.out;
  EXPECT_EQ(postern_command({"callbacks", "rejected", "bank", config}).code,
            cli::ExitCode::kNegative);
  const std::string kept(
      visitor.get("/v1/callbacks").body.at("callbacks").at(0).as_object().at("id").as_string());
  EXPECT_TRUE(postern_command({"explain", kept, config}).out.starts_with("alipay: genuine\n"));
  EXPECT_EQ(postern_command({"explain", "rej_99", config}).code, cli::ExitCode::kNegative);

  // The entry of the list, saved, says the same without the daemon.
  site.folder().write("entry.json", json::serialize(listed.at(0)));
  const Ended offline =
      postern_command({"explain", site.folder() / "entry.json", config, "--json"});
  EXPECT_EQ(offline.code, cli::ExitCode::kOk) << offline.err;
  EXPECT_EQ(parsed(offline.out), visitor.get("/v1/rejected/" + id + "/explain").body);
}

TEST(Explain, ReadsARequestSavedAsText) {
  Site site;
  const std::string config = "--config=" + site.config_file();
  const auto explain = [&](const std::string& text, std::vector<std::string> further = {}) {
    site.folder().write("request.txt", text);
    std::vector<std::string> arguments = {"explain", site.folder() / "request.txt", config};
    arguments.insert(arguments.end(), further.begin(), further.end());
    return postern_command(arguments);
  };
  for (const Platform platform : simulate::all_platforms()) {
    const HttpRequest request = site.payment(platform, "T1");
    const std::string account(simulate::default_account(platform));
    const Ended genuine = explain(as_text(request));
    EXPECT_TRUE(genuine.out.starts_with(account + ": genuine\n")) << genuine.out << genuine.err;
    // An editor's newline at the end is not the sender's.
    EXPECT_TRUE(explain(as_text(request) + "\n").out.starts_with(account + ": genuine\n"));
    std::string cut = as_text(request);
    cut.resize(cut.size() - 20);
    EXPECT_NE(explain(cut).out.find("cause: body_truncated (proved)"), std::string::npos);
  }
  const std::string wechat = as_text(site.payment(Platform::kWechatPayV3, "T2"));
  EXPECT_NE(explain(wechat, {"--at", "2030-01-01T00:00:00Z"}).out.find("cause: clock (proved)"),
            std::string::npos);
  EXPECT_EQ(explain(wechat, {"--at", "soon"}).code, cli::ExitCode::kUsage);
  EXPECT_EQ(explain(wechat, {"--account", "bank"}).code, cli::ExitCode::kUsage);
  EXPECT_EQ(explain("hello").code, cli::ExitCode::kUsage);
  EXPECT_EQ(explain("").code, cli::ExitCode::kUsage);
  EXPECT_EQ(explain("{}").code, cli::ExitCode::kUsage);
}

}  // namespace
}  // namespace postern::functional
