// Goal: the main job, end to end: an order is registered, paid by a signed callback, and everything
// about it can be seen; any number of copies has one effect. (P1, P2, P4, P15)
// Method: the real daemon in this process, real HTTP, signatures of generated keys.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "app/config.h"
#include "crypto/encoding.h"
#include "simulate/sender.h"
#include "tests/functional/running.h"

namespace postern::functional {
namespace {

using simulate::Platform;

[[nodiscard]] bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(LifeOfACallback, FromRegistrationToThePaidEvent) {
  Site site(R"([endpoint.shop]
kind = "webhook"
url = "http://127.0.0.1:1/payments"
secret = "file:webhook.key"
insecure_http = true
allow_networks = ["127.0.0.0/8"]
paused = true
events = ["order.*"]
)");
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  ASSERT_EQ(visitor.register_order("T1001"), 201u);
  EXPECT_EQ(visitor.order_state("T1001"), "awaiting");
  EXPECT_EQ(visitor.send(site.payment(Platform::kAlipay, "T1001")).body, "success");

  const Answer shown = visitor.get("/v1/orders/T1001");
  const auto& order = shown.body.at("order").as_object();
  EXPECT_EQ(order.at("state").as_string(), "paid");
  EXPECT_EQ(order.at("paid").as_object().at("minor").as_int64(), 8800);
  ASSERT_EQ(shown.body.at("events").as_array().size(), 1u);
  const auto& told = shown.body.at("events").as_array()[0].as_object().at("body").as_object();
  EXPECT_EQ(told.at("type").as_string(), "order.paid");
  ASSERT_EQ(shown.body.at("deliveries").as_array().size(), 1u);
  EXPECT_EQ(shown.body.at("deliveries").as_array()[0].as_object().at("endpoint").as_string(),
            "shop");
  EXPECT_TRUE(shown.body.at("incidents").as_array().empty());
}

TEST(LifeOfACallback, SurvivesARestartAndIsStillADuplicate) {
  Site site;
  {
    InProcess gateway(site);
    Visitor visitor = gateway.visitor();
    ASSERT_EQ(visitor.register_order("T1"), 201u);
    EXPECT_EQ(visitor.send(site.payment(Platform::kAlipay, "T1")).code, 200u);
  }
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  EXPECT_EQ(visitor.order_state("T1"), "paid");
  EXPECT_EQ(visitor.send(site.payment(Platform::kAlipay, "T1")).code, 200u);
  EXPECT_EQ(visitor.count("T1", "facts"), 1u);
  EXPECT_EQ(visitor.count("T1", "events"), 1u);
}

// P15: what was accepted can be verified again from what is kept, byte for byte.
TEST(LifeOfACallback, ItsEvidenceVerifiesAgain) {
  Site site;
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  const app::Config config = app::load_config(site.config_file()).value();
  for (const Platform platform : simulate::all_platforms()) {
    const HttpRequest sent = site.payment(platform, "T1");
    ASSERT_LT(visitor.send(sent).code, 300u);
    const auto list = visitor.get("/v1/callbacks?limit=1").body.at("callbacks").as_array();
    const std::string id(list.at(0).as_object().at("id").as_string());
    const auto kept = visitor.get("/v1/callbacks/" + id).body;
    const HttpRequest again{
        .method = "POST",
        .target = std::string(kept.at("target").as_string()),
        .headers = Headers::from_block(
            crypto::base64_decode(std::string_view(kept.at("headers_base64").as_string())).value()),
        .body =
            crypto::base64_decode(std::string_view(kept.at("body_base64").as_string())).value()};
    EXPECT_EQ(again.body, sent.body);
    const auto* account = config.find_account(simulate::default_account(platform));
    const auto verified = account->channel->verify(
        again, *parse_rfc3339(std::string_view(kept.at("received_at").as_string())));
    ASSERT_TRUE(verified.has_value()) << verified.error().code;
    EXPECT_EQ(verified->key_id(), kept.at("key_id").as_string());
  }
}

// P2: 1,000 copies over 100 connections: one effect, and every copy is told that all is well.
TEST(LifeOfACallback, AThousandCopiesOverAHundredConnectionsHaveOneEffect) {
  Site site;
  InProcess gateway(site, {.io_threads = 2});
  Visitor visitor = gateway.visitor();
  ASSERT_EQ(visitor.register_order("T1"), 201u);
  SystemClock clock;
  const simulate::Sender sender(
      {.host = "127.0.0.1",
       .port = gateway.callback_port(),
       .connections = 100,
       .timeout = std::chrono::seconds(30)},
      clock, [](std::chrono::nanoseconds time) { std::this_thread::sleep_for(time); });
  const std::vector<HttpRequest> requests = {site.payment(Platform::kAlipay, "T1")};
  const std::vector<std::size_t> order(1000, 0);
  std::size_t successes = 0;
  for (const simulate::Reply& reply : sender.send(requests, order)) {
    if (reply.response && reply.response->code == 200 && reply.response->body == "success") {
      ++successes;
    }
  }
  EXPECT_EQ(successes, 1000u);
  EXPECT_EQ(visitor.count("T1", "facts"), 1u);
  EXPECT_EQ(visitor.count("T1", "events"), 1u);
  EXPECT_EQ(visitor.count("T1", "callbacks"), 1u);
  const auto shown = visitor.get("/v1/orders/T1").body;
  EXPECT_EQ(shown.at("callbacks").as_array()[0].as_object().at("copies").as_int64(), 999);
  EXPECT_EQ(shown.at("order").as_object().at("sequence").as_int64(), 1);
}

// Registering and paying at the same moment, from many sides, ends alike whichever comes first.
TEST(LifeOfACallback, RegistrationAndPaymentMayCross) {
  Site site;
  InProcess gateway(site, {.io_threads = 2});
  constexpr int kOrders = 40;
  std::vector<HttpRequest> requests;
  for (int i = 0; i < kOrders; ++i) {
    requests.push_back(site.payment(Platform::kAlipay, "T" + std::to_string(i)));
  }
  std::thread paying([&] {
    Visitor visitor = gateway.visitor();
    for (const HttpRequest& request : requests) EXPECT_EQ(visitor.send(request).code, 200u);
  });
  Visitor visitor = gateway.visitor();
  for (int i = 0; i < kOrders; ++i) {
    EXPECT_EQ(visitor.register_order("T" + std::to_string(i)), 201u);
  }
  paying.join();
  for (int i = 0; i < kOrders; ++i) {
    const std::string number = "T" + std::to_string(i);
    EXPECT_EQ(visitor.order_state(number), "paid") << number;
    EXPECT_EQ(visitor.count(number, "events"), 1u) << number;
  }
  EXPECT_TRUE(visitor.get("/v1/incidents?state=open").body.at("incidents").as_array().empty());
}

TEST(AdminListener, WantsTheKeyAndShowsTheFigures) {
  Site site;
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  EXPECT_EQ(visitor.admin("GET", "/v1/orders", {}, "").code, 401u);
  EXPECT_EQ(visitor.admin("GET", "/v1/orders", {}, "wrong-key-wrong-key").code, 401u);
  EXPECT_EQ(visitor.get("/v1/orders").code, 200u);
  EXPECT_EQ(visitor.admin("GET", "/readyz", {}, "").code, 200u);
  // A callback path is nothing on this listener.
  EXPECT_EQ(visitor.admin("POST", "/payment/alipay/callback").code, 404u);

  EXPECT_EQ(visitor.send(site.payment(Platform::kAlipay, "T1")).code, 200u);
  EXPECT_EQ(
      visitor.send(site.payment(Platform::kAlipay, "T1", 8800, simulate::Tamper::kWrongKey)).code,
      400u);
  const std::string text = visitor.admin("GET", "/metrics", {}, "").text;
  EXPECT_TRUE(has_line(
      text, R"(postern_callbacks_recorded_total{account="alipay",outcome="unknown_order"} 1)"))
      << text;
  EXPECT_TRUE(has_line(text, R"(postern_callbacks_rejected_total{account="alipay"} 1)")) << text;
  EXPECT_TRUE(has_line(text, "postern_admin_unauthorized_total 2")) << text;
  EXPECT_TRUE(has_line(text, "postern_log_lines_dropped 0")) << text;
  EXPECT_TRUE(has_line(text, R"(postern_callback_seconds_count{account="alipay"} 1)")) << text;
}

}  // namespace
}  // namespace postern::functional
