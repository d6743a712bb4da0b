// Goal: an order is registered once, strictly, and everything that happened to it is in one place.
// Method: real HTTP against the real ledger and SQLite store.
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "tests/admin/api_under_test.h"

namespace postern::admin::testing {
namespace {

namespace json = boost::json;

class AdminOrders : public ::testing::Test {
 protected:
  ApiUnderTest api_;
};

[[nodiscard]] std::string order_body(const std::string& id, const std::string& minor = "8800") {
  return R"({"merchant_order_id":")" + id + R"(","expected":{"minor":)" + minor +
         R"(,"currency":"CNY"}})";
}

[[nodiscard]] std::string text(const json::object& object, std::string_view name) {
  return std::string(object.at(name).as_string());
}

TEST_F(AdminOrders, AreRegisteredOnceForAllAccountsOfTheMerchant) {
  const Answer created = api_.post_order(order_body("T1001"));
  EXPECT_EQ(created.code, 201u) << created.response.body;
  EXPECT_EQ(text(created.body, "outcome"), "created");
  EXPECT_EQ(text(created.body, "merchant"), "default");
  EXPECT_EQ(text(created.body, "merchant_order_id"), "T1001");
  EXPECT_TRUE(text(created.body, "id").starts_with("ord_"));

  const Answer again = api_.post_order(order_body("T1001"));
  EXPECT_EQ(again.code, 200u);
  EXPECT_EQ(text(again.body, "outcome"), "unchanged");
  EXPECT_EQ(text(again.body, "id"), text(created.body, "id"));

  const Answer shown = api_.get("/v1/orders/T1001");
  EXPECT_EQ(shown.code, 200u);
  const json::object& order = shown.body.at("order").as_object();
  EXPECT_EQ(text(order, "state"), "awaiting");
  EXPECT_EQ(json::serialize(order.at("expected")), R"({"minor":8800,"currency":"CNY"})");
  EXPECT_EQ(json::serialize(shown.body.at("attempts")),
            R"([{"account":"alipay","number":"T1001"},{"account":"wechat","number":"T1001"}])");
}

TEST_F(AdminOrders, WithAnotherSumAreRefused) {
  EXPECT_EQ(api_.post_order(order_body("T1001")).code, 201u);
  const Answer answer = api_.post_order(order_body("T1001", "8801"));
  EXPECT_EQ(answer.code, 409u);
  EXPECT_EQ(answer.error(), "order_exists");
}

TEST_F(AdminOrders, TakeFurtherAttemptsButNotAnothersNumber) {
  const std::string head =
      R"({"merchant_order_id":"T1","expected":{"minor":100,"currency":"CNY"},"attempts":)";
  EXPECT_EQ(api_.post_order(head + R"([{"account":"alipay","number":"N1"}]})").code, 201u);
  const Answer changed = api_.post_order(
      head + R"([{"account":"alipay","number":"N1"},{"account":"alipay","number":"N2"}]})");
  EXPECT_EQ(changed.code, 200u);
  EXPECT_EQ(text(changed.body, "outcome"), "changed");

  const Answer taken =
      api_.post_order(R"({"merchant_order_id":"T2","expected":{"minor":100,"currency":"CNY"},)"
                      R"("attempts":[{"account":"alipay","number":"N2"}]})");
  EXPECT_EQ(taken.code, 409u);
  EXPECT_EQ(taken.error(), "attempt_taken");
  EXPECT_EQ(api_.get("/v1/orders/T2").code, 404u);
}

TEST_F(AdminOrders, OfAServiceProviderNeedTheirAttemptsWrittenOut) {
  const Answer alike = api_.post_order(
      R"({"merchant":"isv","merchant_order_id":"T1","expected":{"minor":1,"currency":"CNY"}})");
  EXPECT_EQ(alike.code, 422u);
  EXPECT_EQ(alike.error(), "attempts_needed");
  EXPECT_NE(alike.message().find("provider"), std::string::npos);

  const Answer explicitly = api_.post_order(
      R"({"merchant":"isv","merchant_order_id":"T1","expected":{"minor":1,"currency":"CNY"},)"
      R"("attempts":[{"account":"provider","sub_merchant":"2088","number":"T1"}]})");
  EXPECT_EQ(explicitly.code, 201u) << explicitly.response.body;
  EXPECT_EQ(api_.get("/v1/orders/T1").code, 404u);
  const Answer shown = api_.get("/v1/orders/T1?merchant=isv");
  EXPECT_EQ(shown.code, 200u);
  EXPECT_EQ(json::serialize(shown.body.at("attempts")),
            R"([{"account":"provider","sub_merchant":"2088","number":"T1"}])");
}

TEST_F(AdminOrders, AreReadStrictly) {
  struct Case {
    std::string body, code, says;
  };
  const std::string head = R"({"merchant_order_id":"T1",)";
  const std::string sum = R"("expected":{"minor":1,"currency":"CNY"})";
  const Case cases[] = {
      {"not json", "request_malformed", "one JSON object"},
      {"[]", "request_malformed", "one JSON object"},
      {head + sum + "} {}", "request_malformed", "one JSON object"},
      {head + R"("merchant_order_id":"T2",)" + sum + "}", "request_malformed", "names no member"},
      {"{" + sum + "}", "request_malformed", "needs merchant_order_id"},
      {R"({"merchant_order_id":"",)" + sum + "}", "request_malformed", "1 to 128 bytes"},
      {R"({"merchant_order_id":17,)" + sum + "}", "request_malformed", "1 to 128 bytes"},
      {R"({"merchant_order_id":"a\u0000b",)" + sum + "}", "request_malformed", "control"},
      {head + sum + R"(,"state":"paid"})", "request_malformed", "may have only merchant"},
      {R"({"merchant_order_id":"T1"})", "request_malformed", R"("expected")"},
      {head + R"("expected":8800})", "request_malformed", R"("expected")"},
      {head + R"("expected":{"minor":88.0,"currency":"CNY"}})", "request_malformed",
       "whole number"},
      {head + R"("expected":{"minor":1e3,"currency":"CNY"}})", "request_malformed", "whole number"},
      {head + R"("expected":{"minor":"1","currency":"CNY"}})", "request_malformed", "whole number"},
      {head + R"("expected":{"minor":0,"currency":"CNY"}})", "request_malformed", "above zero"},
      {head + R"("expected":{"minor":-1,"currency":"CNY"}})", "request_malformed", "above zero"},
      {head + R"("expected":{"minor":9223372036854775808,"currency":"CNY"}})", "request_malformed",
       "whole number"},
      {head + R"("expected":{"minor":1}})", "currency_unknown", "ISO 4217"},
      {head + R"("expected":{"minor":1,"currency":"cny"}})", "currency_unknown", "ISO 4217"},
      {head + R"("expected":{"minor":1,"currency":"CNY","major":1}})", "request_malformed",
       "expected may have only"},
      {head + sum + R"(,"merchant":"nobody"})", "merchant_unknown", "nobody"},
      {head + sum + R"(,"attempts":[]})", "request_malformed", "1 to 64"},
      {head + sum + R"(,"attempts":{}})", "request_malformed", "1 to 64"},
      {head + sum + R"(,"attempts":null})", "request_malformed", "1 to 64"},
      {head + sum + R"(,"attempts":["T1"]})", "request_malformed", "attempts[0] is an object"},
      {head + sum + R"(,"attempts":[{"account":"alipay"}]})", "request_malformed",
       "attempts[0] needs number"},
      {head + sum + R"(,"attempts":[{"number":"T1"}]})", "request_malformed",
       "attempts[0] needs account"},
      {head + sum + R"(,"attempts":[{"account":"bank","number":"T1"}]})", "account_unknown",
       "attempts[0]"},
      {head + sum + R"(,"attempts":[{"account":"provider","number":"T1"}]})", "account_unknown",
       "merchant default has no account"},
      {head + sum + R"(,"attempts":[{"account":"alipay","number":"T1","sub_merchant":"2"}]})",
       "request_malformed", "leave sub_merchant out"},
      {head + sum +
           R"(,"attempts":[{"account":"alipay","number":"1"},{"account":"alipay","number":"1"}]})",
       "request_malformed", "twice"},
      {head + sum + R"(,"attempts":[{"account":"alipay","number":"1","more":1}]})",
       "request_malformed", "attempts[0] may have only"},
  };
  for (const Case& c : cases) {
    const Answer answer = api_.post_order(c.body);
    EXPECT_EQ(answer.code, 422u) << c.body;
    EXPECT_EQ(answer.error(), c.code) << c.body;
    EXPECT_NE(answer.message().find(c.says), std::string::npos) << c.body << answer.message();
  }
  EXPECT_TRUE(api_.get("/v1/orders").body.at("orders").as_array().empty());
}

TEST_F(AdminOrders, AreTakenAsJsonOnly) {
  HttpRequest request{.method = "POST", .target = "/v1/orders", .body = order_body("T1")};
  request.headers.add("Authorization", "Bearer " + std::string(kKey));
  request.headers.add("Content-Type", "text/plain");
  EXPECT_EQ(api_.send(request).code, 415u);
}

TEST_F(AdminOrders, ShowEverythingOnOneTimeline) {
  EXPECT_EQ(api_.post_order(order_body("T1")).code, 201u);
  api_.clock().pass(std::chrono::seconds(10));
  EXPECT_EQ(api_.record(api_.payment("T1", 8800), "first").outcome,
            store::CallbackOutcome::kApplied);
  api_.clock().pass(std::chrono::seconds(10));
  core::Fact second = api_.payment("T1", 8800, "wechat");
  EXPECT_EQ(api_.record(second, "second").outcome, store::CallbackOutcome::kApplied);

  const Answer shown = api_.get("/v1/orders/T1");
  ASSERT_EQ(shown.code, 200u);
  const json::object& order = shown.body.at("order").as_object();
  EXPECT_EQ(text(order, "state"), "paid");
  EXPECT_EQ(json::serialize(order.at("paid")), R"({"minor":8800,"currency":"CNY"})");
  EXPECT_EQ(shown.body.at("facts").as_array().size(), 2u);
  EXPECT_EQ(shown.body.at("callbacks").as_array().size(), 2u);
  EXPECT_EQ(shown.body.at("events").as_array().size(), 2u);
  EXPECT_EQ(shown.body.at("deliveries").as_array().size(), 2u);
  EXPECT_EQ(shown.body.at("incidents").as_array().size(), 1u);
  EXPECT_EQ(text(shown.body.at("incidents").as_array()[0].as_object(), "kind"),
            "duplicate_payment");
  const json::object& event = shown.body.at("events").as_array()[0].as_object();
  EXPECT_EQ(text(event, "type"), "order.paid");
  EXPECT_EQ(text(event.at("body").as_object(), "type"), "order.paid");

  std::vector<std::string> what;
  std::string before;
  for (const json::value& value : shown.body.at("timeline").as_array()) {
    const json::object& moment = value.as_object();
    EXPECT_LE(before, text(moment, "at"));
    before = text(moment, "at");
    what.push_back(text(moment, "what"));
  }
  EXPECT_EQ(what, (std::vector<std::string>{"order", "callback", "fact", "event", "delivery",
                                            "callback", "fact", "incident", "event", "delivery"}));
}

TEST_F(AdminOrders, AreListedNewestFirstPageByPage) {
  for (const char* id : {"T1", "T2", "T3"}) EXPECT_EQ(api_.post_order(order_body(id)).code, 201u);
  (void)api_.record(api_.payment("T2", 8800), "paid");

  const auto numbers = [](const Answer& answer) {
    std::string all;
    for (const json::value& value : answer.body.at("orders").as_array()) {
      all += text(value.as_object(), "merchant_order_id") + " ";
    }
    return all;
  };
  const Answer first = api_.get("/v1/orders?limit=2");
  EXPECT_EQ(numbers(first), "T3 T2 ");
  const Answer second = api_.get("/v1/orders?limit=2&before=" + text(first.body, "next_before"));
  EXPECT_EQ(numbers(second), "T1 ");
  EXPECT_TRUE(second.body.at("next_before").is_null());
  EXPECT_EQ(numbers(api_.get("/v1/orders?state=paid")), "T2 ");
  EXPECT_EQ(numbers(api_.get("/v1/orders?search=T1")), "T1 ");
  EXPECT_EQ(numbers(api_.get("/v1/orders?search=%27%20OR%201%3D1%20--")), "");
}

TEST_F(AdminOrders, MayHaveAnyNumberThatIsEscapedInThePath) {
  EXPECT_EQ(api_.post_order(order_body("订单/1?#%")).code, 201u);
  const Answer shown = api_.get("/v1/orders/%E8%AE%A2%E5%8D%95%2F1%3F%23%25");
  ASSERT_EQ(shown.code, 200u);
  EXPECT_EQ(text(shown.body.at("order").as_object(), "merchant_order_id"), "订单/1?#%");
  EXPECT_EQ(api_.get("/v1/orders/T%00").code, 422u);
  EXPECT_EQ(api_.get("/v1/orders/none").error(), "order_not_found");
}

}  // namespace
}  // namespace postern::admin::testing
