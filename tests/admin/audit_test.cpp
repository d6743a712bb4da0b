// Goal: what somebody did by hand can be read afterwards, with who, when, from where and which, and
// so can what was refused. Method: the real router over a real listener and store.
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "tests/admin/api_under_test.h"

namespace postern::admin::testing {
namespace {

namespace json = boost::json;

// P16
TEST(Audit, ListsEveryAct) {
  ApiUnderTest api;
  for (const std::string number : {"T1", "T2"}) {
    ASSERT_EQ(api.post_order(R"({"merchant_order_id":")" + number +
                             R"(","expected":{"minor":100,"currency":"CNY"}})")
                  .code,
              201u);
    (void)api.record(api.payment(number, 100), number);
  }
  EXPECT_TRUE(api.get("/v1/audit").body.at("audit").as_array().empty());
  const std::string tag = api.store().tag();
  const std::string first = "dlv_" + tag + "_1";
  const std::string second = "dlv_" + tag + "_2";
  EXPECT_EQ(api.send("POST", "/v1/deliveries/" + first + "/retry").code, 200u);
  api.clock().pass(std::chrono::minutes(1));
  for (const std::string& id : {first, second}) {
    EXPECT_EQ(api.send("POST", "/v1/deliveries/" + id + "/cancel").code, 200u);
  }
  EXPECT_EQ(api.send("POST", "/v1/deliveries/" + first + "/cancel").code, 409u);
  EXPECT_EQ(api.send("POST", "/v1/deliveries/99/retry").code, 404u);
  const json::value plan =
      api.send("POST", "/v1/deliveries/retry", R"({"state":"cancelled"})").body.at("plan");
  EXPECT_EQ(
      api.send("POST", "/v1/deliveries/retry", json::serialize(json::object({{"plan", plan}})))
          .code,
      200u);
  // Without the key nothing is done, and nothing grows.
  EXPECT_EQ(api.send("POST", "/v1/deliveries/" + first + "/cancel", {}, "").code, 401u);

  const Answer listed = api.get("/v1/audit");
  ASSERT_EQ(listed.code, 200u);
  const json::array& rows = listed.body.at("audit").as_array();
  struct Expected {
    std::string act, outcome, at, detail;
    json::array deliveries;
  };
  const std::string later = "2026-11-23T09:01:00.000Z";
  const Expected expected[] = {
      {"delivery_retried", "done", "2026-11-23T09:00:00.000Z", "", {json::string(first)}},
      {"delivery_cancelled", "done", later, "", {json::string(first)}},
      {"delivery_cancelled", "done", later, "", {json::string(second)}},
      {"delivery_cancelled", "refused", later, "delivery_ended", {json::string(first)}},
      {"delivery_retried",
       "refused",
       later,
       "delivery_not_found",
       {json::string("dlv_" + tag + "_99")}},
      {"deliveries_retried",
       "done",
       later,
       R"({"state":"cancelled"})",
       {json::string(first), json::string(second)}}};
  ASSERT_EQ(rows.size(), std::size(expected)) << listed.response.body;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const json::object& row = rows[i].as_object();
    EXPECT_EQ(row.at("act").as_string(), expected[i].act) << i;
    EXPECT_EQ(row.at("outcome").as_string(), expected[i].outcome) << i;
    EXPECT_EQ(row.at("at").as_string(), expected[i].at) << i;
    EXPECT_EQ(row.at("detail").as_string(), expected[i].detail) << i;
    EXPECT_EQ(row.at("deliveries").as_array(), expected[i].deliveries) << i;
    EXPECT_EQ(row.at("actor").as_string(), "the owner of the admin key");
    EXPECT_EQ(row.at("peer").as_string(), "127.0.0.1");
  }
  const std::string cursor(api.get("/v1/audit?limit=4").body.at("next_after").as_string());
  EXPECT_EQ(api.get("/v1/audit?after=" + cursor).body.at("audit").as_array().size(), 2u);
  EXPECT_EQ(api.get("/v1/audit?after=x").code, 422u);
}

TEST(Audit, HasACursorBeforeTheFirstAct) {
  ApiUnderTest api;
  for (const char* target : {"/v1/audit", "/v1/audit?after=0"}) {
    const Answer empty = api.get(target);
    ASSERT_EQ(empty.code, 200u) << target;
    EXPECT_TRUE(empty.body.at("audit").as_array().empty()) << target;
    EXPECT_EQ(empty.body.at("next_after"), "0") << target;
  }
}

}  // namespace
}  // namespace postern::admin::testing
