// Goal: a consumer can say once and for all that it has applied an event, and an operator sees it.
// Method: the real router over a real listener and store.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/admin/api_under_test.h"

namespace postern::admin::testing {
namespace {

class Applied : public ::testing::Test {
 protected:
  Applied() {
    EXPECT_EQ(api_.post_order(R"({"merchant_order_id":"T1",)"
                              R"("expected":{"minor":100,"currency":"CNY"}})")
                  .code,
              201u);
    (void)api_.record(api_.payment("T1", 100), "T1");
    event_ = "evt_" + api_.store().tag() + "_1";
  }
  Answer say(const std::string& body = {}) {
    return api_.send("POST", "/v1/events/" + event_ + "/applied", body);
  }

  ApiUnderTest api_;
  std::string event_;
};

TEST_F(Applied, IsShownWithTheOrderAndTheFirstTimeCounts) {
  const Answer before = api_.get("/v1/orders/T1");
  EXPECT_TRUE(before.body.at("events").at(0).at("applied").as_array().empty());
  const Answer said = say(R"({"consumer":"erp"})");
  ASSERT_EQ(said.code, 200u) << said.response.body;
  EXPECT_EQ(said.body.at("applied_at").as_string(), "2026-11-23T09:00:00.000Z");
  EXPECT_EQ(said.body.at("event").as_string(), event_);
  api_.clock().pass(std::chrono::minutes(5));
  const Answer again = say(R"({"consumer":"erp"})");
  EXPECT_EQ(again.code, 200u);
  EXPECT_EQ(again.body.at("applied_at").as_string(), "2026-11-23T09:00:00.000Z");
  EXPECT_EQ(say().body.at("consumer").as_string(), "default");

  const Answer order = api_.get("/v1/orders/T1");
  const auto& applied = order.body.at("events").at(0).at("applied").as_array();
  ASSERT_EQ(applied.size(), 2u);
  EXPECT_EQ(applied.at(0).at("consumer").as_string(), "default");
  EXPECT_EQ(applied.at(0).at("applied_at").as_string(), "2026-11-23T09:05:00.000Z");
  EXPECT_EQ(applied.at(1).at("consumer").as_string(), "erp");
  const auto& last = order.body.at("timeline").as_array().back().as_object();
  EXPECT_EQ(last.at("what").as_string(), "applied");
  EXPECT_EQ(last.at("text").as_string(), "by default");
}

TEST_F(Applied, KnowsTheEventAndReadsTheBodyStrictly) {
  const std::string strangers[] = {"evt_" + api_.store().tag() + "_99", "evt_other_1", "nonsense"};
  for (const std::string& id : strangers) {
    const Answer answer = api_.send("POST", "/v1/events/" + id + "/applied");
    EXPECT_EQ(answer.code, 404u) << id;
    EXPECT_EQ(answer.error(), "event_not_found");
  }
  for (const char* body : {"[]", R"({"consumer":1})", R"({"consumer":""})", R"({"who":"erp"})",
                           R"({"consumer":"a","x":1})", "{"}) {
    EXPECT_EQ(say(body).code, 422u) << body;
  }
  EXPECT_EQ(api_.send("POST", "/v1/events/" + event_ + "/applied", {}, "").code, 401u);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(say(fmt::format(R"({{"consumer":"c{}"}})", i)).code, 200u);
  }
  EXPECT_EQ(say(R"({"consumer":"one more"})").error(), "consumers_too_many");
  EXPECT_EQ(say(R"({"consumer":"c3"})").code, 200u);
}

TEST(Endpoints, ShowHowTheyStandAndWhatTheyAreOwed) {
  ApiUnderTest api;
  for (const std::string number : {"T1", "T2"}) {
    ASSERT_EQ(api.post_order(R"({"merchant_order_id":")" + number +
                             R"(","expected":{"minor":100,"currency":"CNY"}})")
                  .code,
              201u);
    (void)api.record(api.payment(number, 100), number);
    api.clock().pass(std::chrono::minutes(1));
  }
  ASSERT_EQ(api.send("POST", "/v1/deliveries/1/cancel").code, 200u);
  const auto shop = [&api] {
    return api.get("/v1/endpoints").body.at("endpoints").as_array().at(0).as_object();
  };
  EXPECT_EQ(shop().at("state").as_string(), "not_running");
  api.standings["shop"] = {.in_flight = 3};
  EXPECT_EQ(shop().at("state").as_string(), "sending");
  EXPECT_EQ(shop().at("in_flight").to_number<int>(), 3);
  EXPECT_EQ(shop().at("ready").as_int64(), 1);
  EXPECT_EQ(shop().at("cancelled").as_int64(), 1);
  EXPECT_EQ(shop().at("oldest_undelivered").as_string(), "2026-11-23T09:01:00.000Z");
  api.standings["shop"] = {.breaker_open = true};
  EXPECT_EQ(shop().at("state").as_string(), "failing");
  api.standings["shop"] = {.breaker_open = true, .gone = true};
  EXPECT_EQ(shop().at("state").as_string(), "gone");
  const auto answer = api.get("/v1/endpoints");
  const auto& erp = answer.body.at("endpoints").as_array().at(1).as_object();
  EXPECT_EQ(erp.at("name").as_string(), "erp");
  EXPECT_EQ(erp.at("kind").as_string(), "kafka");
  EXPECT_EQ(erp.at("state").as_string(), "paused");
  EXPECT_EQ(erp.at("accounts").as_array().at(0).as_string(), "wechat");
  EXPECT_TRUE(erp.at("oldest_undelivered").is_null());
  EXPECT_EQ(api.get("/v1/endpoints?x=1").code, 422u);
}

}  // namespace
}  // namespace postern::admin::testing
