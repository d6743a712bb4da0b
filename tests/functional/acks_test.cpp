// Goal: each outcome gets the exact reply that its platform understands, and a success only where
// the callback is durable. (P1, P3, P4, P11)
// Method: genuine and spoiled callbacks of each platform over HTTP, against the table written out
// here; the two answers of a store in trouble come from a store that gives no others.
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "app/config.h"
#include "http/server.h"
#include "tests/functional/running.h"

namespace postern::functional {
namespace {

using simulate::Platform;
using simulate::Tamper;

struct Reply {
  unsigned code;
  std::string content_type;
  std::string body;
  friend bool operator==(const Reply&, const Reply&) = default;
};

void PrintTo(const Reply& reply, std::ostream* out) {
  *out << reply.code << " " << reply.content_type << " " << reply.body;
}

[[nodiscard]] Reply reply(const HttpResponse& response) {
  return {response.code, response.content_type, response.body};
}

/// The table: what each platform is told.
struct Table {
  Platform platform;
  Reply accepted, refused, retry_later;
};

[[nodiscard]] const Table& table(Platform platform) {
  static const std::string v3 = R"({"code":"FAIL","message":"失败"})";
  static const std::string v2 =
      "<xml><return_code><![CDATA[FAIL]]></return_code>"
      "<return_msg><![CDATA[ERROR]]></return_msg></xml>";
  static const Table tables[] = {
      {Platform::kAlipay,
       {200, "text/plain", "success"},
       {400, "text/plain", "fail"},
       {503, "text/plain", "fail"}},
      {Platform::kWechatPayV3,
       {204, "", ""},
       {401, "application/json", v3},
       {503, "application/json", v3}},
      {Platform::kWechatPayV2,
       {200, "text/xml",
        "<xml><return_code><![CDATA[SUCCESS]]></return_code>"
        "<return_msg><![CDATA[OK]]></return_msg></xml>"},
       {400, "text/xml", v2},
       {503, "text/xml", v2}},
  };
  for (const Table& one : tables) {
    if (one.platform == platform) return one;
  }
  std::abort();
}

class Acks : public ::testing::TestWithParam<Platform> {
 protected:
  [[nodiscard]] Platform platform() const { return GetParam(); }
  [[nodiscard]] const Table& expected() const { return table(platform()); }
};

INSTANTIATE_TEST_SUITE_P(Platforms, Acks, ::testing::ValuesIn(simulate::all_platforms()),
                         [](const auto& test) {
                           std::string text(simulate::name(test.param));
                           std::erase(text, '-');
                           return text;
                         });

TEST_P(Acks, SuccessForWhateverIsDurable) {
  Site site;
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();

  ASSERT_EQ(visitor.register_order("T1"), 201u);
  EXPECT_EQ(reply(visitor.send(site.payment(platform(), "T1"))), expected().accepted);
  EXPECT_EQ(visitor.order_state("T1"), "paid");

  // A duplicate, an unknown order and another sum: a resend would not help.
  EXPECT_EQ(reply(visitor.send(site.payment(platform(), "T1"))), expected().accepted);
  EXPECT_EQ(visitor.count("T1", "facts"), 1u);

  EXPECT_EQ(reply(visitor.send(site.payment(platform(), "T2"))), expected().accepted);
  ASSERT_EQ(visitor.register_order("T2"), 201u);
  EXPECT_EQ(visitor.order_state("T2"), "paid");

  ASSERT_EQ(visitor.register_order("T3", 8801), 201u);
  EXPECT_EQ(reply(visitor.send(site.payment(platform(), "T3", 8800))), expected().accepted);
  EXPECT_EQ(visitor.order_state("T3"), "awaiting");
  EXPECT_EQ(visitor.count("T3", "incidents"), 1u);
  EXPECT_EQ(visitor.count("T3", "events"), 0u);
}

TEST_P(Acks, RefusalForWhateverIsNotGenuineOrNotOurs) {
  Site site;
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  ASSERT_EQ(visitor.register_order("T1"), 201u);
  for (const Tamper tamper :
       {Tamper::kAmount, Tamper::kSignature, Tamper::kWrongKey, Tamper::kOtherApp}) {
    EXPECT_EQ(reply(visitor.send(site.payment(platform(), "T1", 8800, tamper))), expected().refused)
        << simulate::name(tamper);
  }
  HttpRequest empty = site.payment(platform(), "T1");
  empty.body.clear();
  EXPECT_EQ(reply(visitor.send(empty)), expected().refused);
  HttpRequest cut = site.payment(platform(), "T1");
  cut.body.resize(cut.body.size() / 2);
  EXPECT_EQ(reply(visitor.send(cut)), expected().refused);

  // P5: nothing of it is stored, except that a genuine message for another app is an incident.
  EXPECT_EQ(visitor.order_state("T1"), "awaiting");
  EXPECT_TRUE(visitor.get("/v1/callbacks").body.at("callbacks").as_array().empty());
  // The refusal does not wait for the incident.
  const auto incidents = visitor.eventually_listed("/v1/incidents", "incidents");
  ASSERT_EQ(incidents.size(), 1u);
  EXPECT_EQ(incidents[0].as_object().at("kind").as_string(), "identity_mismatch");
  const std::string account(simulate::default_account(platform()));
  EXPECT_EQ(visitor.get("/v1/rejected/" + account).body.at("rejected").as_array().size(), 6u);
}

TEST_P(Acks, RetryableFailureWhileShuttingDown) {
  Site site;
  const app::Config config = app::load_config(site.config_file()).value();
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  ASSERT_EQ(reply(visitor.send(site.payment(platform(), "T1"))), expected().accepted);
  // A request on a connection that is open already may still be read while the daemon drains.
  gateway.daemon().request_stop();
  EXPECT_EQ(gateway.daemon().wait(-1), app::Daemon::End::kStopped);
  EXPECT_FALSE(visitor.try_send(site.payment(platform(), "T2")).has_value());
}

/// A store that is in trouble in one of the two ways there are.
class TroubledStore final : public store::Store {
 public:
  explicit TroubledStore(store::Commit answer) : answer_(answer) {}
  void submit(std::unique_ptr<store::Command> command) override {
    if (answer_ == store::Commit::kUnknown) {
      // As in a batch whose commit was lost: planned, and perhaps even written.
      store::WorkingSet working(ids_);
      command->plan(working);
    }
    command->finish(answer_);
  }
  [[nodiscard]] bool healthy() const override { return false; }
  [[nodiscard]] Result<std::unique_ptr<store::Reader>> reader() override {
    return retryable("store_unreadable");
  }
  [[nodiscard]] const std::string& tag() const override { return tag_; }

 private:
  class Ids final : public store::RowIds {
   public:
    [[nodiscard]] store::RowId next(store::Table) override { return ++last_; }

   private:
    store::RowId last_ = 0;
  } ids_;
  const store::Commit answer_;
  const std::string tag_ = "trbled";
};

TEST_P(Acks, RetryableFailureWhereTheCommitIsRefusedOrUnknown) {
  Site site;
  for (const store::Commit answer : {store::Commit::kRefused, store::Commit::kUnknown}) {
    app::Config config = app::load_config(site.config_file()).value();
    SystemClock clock;
    NullLog log;
    NullMetrics metrics;
    TroubledStore store(answer);
    ledger::Ledger ledger(store, clock, std::make_shared<const ledger::Policy>(config.policy()));
    ingest::Ingest::Channels channels;
    for (auto& account : config.accounts) {
      channels.emplace(account.name.text(), std::move(account.channel));
    }
    ingest::Ingest ingest(std::move(channels), ledger, clock, log, metrics);
    const auto server =
        http::Server::start({.address = {"127.0.0.1", 0}}, ingest, log, metrics).value();
    Visitor visitor(server->port(), server->port());
    EXPECT_EQ(reply(visitor.send(site.payment(platform(), "T1"))), expected().retry_later);
    EXPECT_EQ(reply(visitor.send(site.payment(platform(), "T1", 8800, Tamper::kWrongKey))),
              expected().refused);
  }
}

TEST(CallbackListener, KnowsNothingButCallbacks) {
  Site site;
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  // The admin API and its neighbours do not exist on the public listener.
  for (const std::string target :
       {"/", "/v1/orders", "/metrics", "/healthz", "/payment/nobody/callback", "/payment/alipay",
        "/payment/alipay/callback/x", "/payment/../v1/orders", "/payment/%61lipay/callback"}) {
    const HttpResponse response = visitor.send({.method = "POST", .target = target});
    EXPECT_EQ(response.code, 404u) << target;
    EXPECT_EQ(response.body, "") << target;
  }
  EXPECT_EQ(visitor.send({.method = "GET", .target = "/payment/alipay/callback"}).code, 405u);
}

}  // namespace
}  // namespace postern::functional
