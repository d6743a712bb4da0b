// Goal: an operator sees what is owed and tried, and can send again or cancel.
// Method: the real router over a real listener and store.
#include <gtest/gtest.h>

#include "tests/admin/api_under_test.h"

namespace postern::admin::testing {
namespace {

[[nodiscard]] std::string order(const std::string& number) {
  return R"({"merchant_order_id":")" + number + R"(","expected":{"minor":100,"currency":"CNY"}})";
}

TEST(Deliveries, AreListedRetriedAndCancelled) {
  ApiUnderTest api;
  for (const char* number : {"T1", "T2"}) {
    ASSERT_EQ(api.post_order(order(number)).code, 201u);
    (void)api.record(api.payment(number, 100), number);
  }
  const Answer listed = api.get("/v1/deliveries?state=ready&endpoint=shop");
  ASSERT_EQ(listed.code, 200u);
  ASSERT_EQ(listed.body.at("deliveries").as_array().size(), 2u);
  const auto& newest = listed.body.at("deliveries").as_array()[0].as_object();
  const std::string id(newest.at("id").as_string());
  EXPECT_EQ(api.get("/v1/deliveries?endpoint=erp").body.at("deliveries").as_array().size(), 0u);

  EXPECT_EQ(api.send("POST", "/v1/deliveries/" + id + "/retry").code, 200u);
  EXPECT_EQ(api.woken, 1);
  EXPECT_EQ(api.send("POST", "/v1/deliveries/" + id + "/cancel").code, 200u);
  const Answer shown = api.get("/v1/deliveries/" + id);
  EXPECT_EQ(shown.body.at("state").as_string(), "cancelled");
  EXPECT_NE(shown.body.at("reason").as_string().find("admin key"), std::string::npos);
  EXPECT_EQ(shown.body.at("tries").as_array().size(), 0u);
  EXPECT_EQ(api.send("POST", "/v1/deliveries/" + id + "/cancel").code, 409u);
  EXPECT_EQ(api.get("/v1/deliveries/dlv_none_1").code, 404u);
  EXPECT_EQ(api.send("POST", "/v1/deliveries/9999/retry").code, 404u);
  EXPECT_EQ(api.get("/v1/deliveries?state=lost").code, 422u);
}

}  // namespace
}  // namespace postern::admin::testing
