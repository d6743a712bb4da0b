// Goal: what was given up is sent again by the hundred, but only what was shown as a plan, in the
// order's sequence, spread over time; and retrying again is never swallowed. Method: the real
// router over a real listener and store; deliveries are given up by the commands of the store.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "crypto/encoding.h"
#include "tests/admin/api_under_test.h"

namespace postern::admin::testing {
namespace {

namespace json = boost::json;
using store::DeliveryState;

class BulkRetry : public ::testing::Test {
 protected:
  void pay(const std::string& number, const std::string& account = "alipay") {
    ASSERT_EQ(api_.post_order(R"({"merchant_order_id":")" + number +
                              R"(","expected":{"minor":100,"currency":"CNY"}})")
                  .code,
              201u);
    (void)api_.record(api_.payment(number, 100, account), number);
  }
  void refund(const std::string& number) {
    core::Fact fact = api_.payment(number, 100);
    fact.kind = core::FactKind::kRefund;
    fact.refund_id = "r-" + number;
    (void)api_.record(fact, "refund " + number);
  }
  /// Has deliveries end, or begin, in a state.
  void set(std::vector<store::RowId> ids, DeliveryState state) {
    class Setting final : public store::Command {
     public:
      Setting(std::vector<store::RowId> ids, DeliveryState state, std::promise<void>& done)
          : ids_(std::move(ids)), state_(state), done_(done) {}
      store::KeySet keys() const override {
        store::KeySet keys;
        keys.deliveries = ids_;
        return keys;
      }
      void plan(store::WorkingSet& working) override {
        for (const store::RowId id : ids_) {
          store::DeliveryRow row = working.deliveries().find(id)->row;
          row.state = state_;
          row.tries = 15;
          row.reason = "503";
          working.update_delivery(row, row.due_at);
        }
      }
      void finish(store::Commit /*outcome*/) noexcept override { done_.set_value(); }

     private:
      std::vector<store::RowId> ids_;
      DeliveryState state_;
      std::promise<void>& done_;
    };
    std::promise<void> done;
    api_.store().submit(std::make_unique<Setting>(std::move(ids), state, done));
    done.get_future().get();
  }
  Answer retry(const std::string& body) { return api_.send("POST", "/v1/deliveries/retry", body); }
  Answer carry_out(const json::value& token) {
    return retry(json::serialize(json::object({{"plan", token}})));
  }
  [[nodiscard]] store::DeliveryRow row(store::RowId id) {
    return api_.store().reader().value()->delivery(id).value().value();
  }

  ApiUnderTest api_;
};

TEST_F(BulkRetry, ShowsAPlanAndChangesNothing) {
  for (const char* number : {"T1", "T2", "T3"}) pay(number);
  set({1, 3}, DeliveryState::kDead);
  const Answer plan = retry(R"({"endpoint":"shop","state":"dead"})");
  ASSERT_EQ(plan.code, 200u) << plan.response.body;
  EXPECT_EQ(plan.body.at("deliveries").as_int64(), 2);
  EXPECT_EQ(plan.body.at("orders").as_int64(), 2);
  EXPECT_EQ(plan.body.at("oldest").as_string(), "2026-11-23T09:00:00.000Z");
  ASSERT_EQ(plan.body.at("first").as_array().size(), 2u);
  EXPECT_EQ(plan.body.at("first").at(0).at("state").as_string(), "dead");
  EXPECT_EQ(row(1).state, DeliveryState::kDead);
  EXPECT_EQ(api_.woken, 0);
  const Answer none = retry(R"({"endpoint":"erp"})");
  EXPECT_EQ(none.body.at("deliveries").as_int64(), 0);
  EXPECT_TRUE(none.body.at("plan").is_null());
}

TEST_F(BulkRetry, CarriesOutWhatWasShownAndNothingElse) {
  for (const char* number : {"T1", "T2", "T3", "T4", "T5"}) pay(number);
  set({1, 2, 3}, DeliveryState::kDead);
  const Answer plan = retry(R"({"state":"dead"})");
  set({2}, DeliveryState::kCancelled);  // by somebody else
  set({4, 5}, DeliveryState::kDead);    // after the plan
  const Answer done = carry_out(plan.body.at("plan"));
  ASSERT_EQ(done.code, 200u) << done.response.body;
  EXPECT_EQ(done.body.at("retried").as_int64(), 2);
  EXPECT_EQ(done.body.at("changed_meanwhile").as_int64(), 1);
  EXPECT_TRUE(done.body.at("next").is_null());
  EXPECT_EQ(api_.woken, 1);
  EXPECT_EQ(row(1).state, DeliveryState::kReady);
  EXPECT_EQ(row(1).tries, 0);
  EXPECT_EQ(row(1).due_at, api_.clock().now());
  EXPECT_GT(row(3).due_at, row(1).due_at);
  EXPECT_EQ(row(2).state, DeliveryState::kCancelled);
  EXPECT_EQ(row(4).state, DeliveryState::kDead);
  // Again: those have changed by now, and none is retried twice.
  EXPECT_EQ(carry_out(plan.body.at("plan")).body.at("retried").as_int64(), 0);
}

TEST_F(BulkRetry, RevivesAnOrderInSequence) {
  pay("T1");
  refund("T1");
  ASSERT_EQ(row(2).state, DeliveryState::kWaiting);
  set({1, 2}, DeliveryState::kDead);
  const Answer done = carry_out(retry("{}").body.at("plan"));
  EXPECT_EQ(done.body.at("retried").as_int64(), 2);
  EXPECT_EQ(row(1).state, DeliveryState::kReady);
  EXPECT_EQ(row(2).state, DeliveryState::kWaiting);
  set({1}, DeliveryState::kDelivered);
  EXPECT_EQ(row(2).state, DeliveryState::kReady);
}

TEST_F(BulkRetry, ASecondRetryCountsToo) {
  pay("T1");
  const std::string ready = R"({"state":"ready"})";
  ASSERT_EQ(carry_out(retry(ready).body.at("plan")).body.at("retried").as_int64(), 1);
  const std::int64_t lease = row(1).lease;
  api_.clock().pass(std::chrono::minutes(1));
  ASSERT_EQ(carry_out(retry(ready).body.at("plan")).body.at("retried").as_int64(), 1);
  EXPECT_EQ(row(1).lease, lease + 1);
  EXPECT_EQ(row(1).due_at, api_.clock().now());
}

TEST_F(BulkRetry, GoesStepByStepAndSpreadsThem) {
  constexpr std::int64_t kCount = 450;
  std::vector<store::RowId> ids;
  for (std::int64_t i = 1; i <= kCount; ++i) {
    pay(fmt::format("T{}", i));
    ids.push_back(i);
  }
  set(ids, DeliveryState::kDead);
  json::value token = retry("{}").body.at("plan");
  std::vector<std::int64_t> steps;
  Answer done;
  while (!token.is_null()) {
    done = carry_out(token);
    ASSERT_EQ(done.code, 200u);
    steps.push_back(done.body.at("retried").as_int64());
    token = done.body.at("next");
  }
  EXPECT_EQ(steps, (std::vector<std::int64_t>{200, 200, 50}));
  EXPECT_EQ(done.body.at("retried_in_all").as_int64(), kCount);
  EXPECT_EQ(done.body.at("changed_meanwhile").as_int64(), 0);
  EXPECT_EQ(row(kCount).due_at - row(1).due_at, std::chrono::milliseconds((kCount - 1) * 10));
}

// Its steps go through all ids of the plan, so that those of long ago had better not be in it.
TEST_F(BulkRetry, PlansFromTheFirstThatMatches) {
  for (const char* number : {"T1", "T2", "T3", "T4"}) pay(number);
  set({1, 2}, DeliveryState::kDelivered);
  const std::string token(retry(R"({"state":"ready"})").body.at("plan").as_string());
  const json::object plan =
      json::parse(crypto::base64_decode(token.substr(0, token.find('.'))).value()).as_object();
  EXPECT_EQ(plan.at("after").as_int64(), 2);
  EXPECT_EQ(plan.at("until").as_int64(), 4);
  EXPECT_EQ(carry_out(json::string(token)).body.at("retried").as_int64(), 2);
}

TEST_F(BulkRetry, FindsByWhatTheEventSays) {
  pay("T1");
  pay("T2", "wechat");
  refund("T1");
  set({1, 2, 3}, DeliveryState::kDead);
  struct Case {
    std::string body;
    std::int64_t deliveries, orders;
  };
  const std::string order(api_.get("/v1/orders/T1").body.at("order").at("id").as_string());
  const Case cases[] = {{"{}", 3, 2},
                        {R"({"account":"wechat"})", 1, 1},
                        {R"({"event":"order.paid"})", 2, 2},
                        {R"({"event":"order.refunded","account":"alipay"})", 1, 1},
                        {R"({"order":")" + order + R"("})", 2, 1},
                        {R"({"from":"2026-11-23T09:00:00Z"})", 3, 2},
                        {R"({"to":"2026-11-23T09:00:00Z"})", 0, 0},
                        {R"({"state":"cancelled"})", 0, 0}};
  for (const Case& c : cases) {
    const Answer plan = retry(c.body);
    ASSERT_EQ(plan.code, 200u) << c.body << plan.response.body;
    EXPECT_EQ(plan.body.at("deliveries").as_int64(), c.deliveries) << c.body;
    EXPECT_EQ(plan.body.at("orders").as_int64(), c.orders) << c.body;
    if (c.deliveries == 0) continue;
    // The token carries the filter whole.
    const Answer done = carry_out(plan.body.at("plan"));
    EXPECT_EQ(done.body.at("retried").as_int64(), c.deliveries) << c.body;
    set({1, 2, 3}, DeliveryState::kDead);
  }
}

TEST_F(BulkRetry, RefusesWhatIsNoPlan) {
  pay("T1");
  set({1}, DeliveryState::kDead);
  const std::string token(retry("{}").body.at("plan").as_string());
  std::string changed = token;
  changed[3] = changed[3] == 'A' ? 'B' : 'A';
  for (const std::string& wrong : {changed, token.substr(0, token.find('.')), std::string("x.y")}) {
    const Answer answer = carry_out(json::string(wrong));
    EXPECT_EQ(answer.code, 422u);
    EXPECT_EQ(answer.error(), "plan_malformed");
  }
  EXPECT_EQ(carry_out(nullptr).error(), "plan_malformed");
  EXPECT_EQ(retry(R"({"plan":")" + token + R"(","state":"dead"})").code, 422u);
  EXPECT_EQ(retry(R"({"state":"delivered"})").code, 422u);
  EXPECT_EQ(retry(R"({"status":"dead"})").code, 422u);
  EXPECT_EQ(retry(R"({"account":"a\"b"})").code, 422u);
  EXPECT_EQ(retry(R"({"from":"yesterday"})").code, 422u);
  EXPECT_EQ(retry("[]").code, 422u);
  EXPECT_EQ(row(1).state, DeliveryState::kDead);
  api_.clock().pass(std::chrono::hours(2));
  EXPECT_EQ(carry_out(json::string(token)).error(), "plan_expired");
}

// Both have the same key, as after a new store was begun beside the old one's settings.
TEST_F(BulkRetry, RefusesThePlanOfAnotherStore) {
  pay("T1");
  const std::string ready = R"({"state":"ready"})";
  const std::string token(retry(ready).body.at("plan").as_string());
  ApiUnderTest other;
  ASSERT_NE(other.store().tag(), api_.store().tag());
  const Answer answer =
      other.send("POST", "/v1/deliveries/retry", json::serialize(json::object({{"plan", token}})));
  EXPECT_EQ(answer.code, 422u);
  EXPECT_EQ(answer.error(), "plan_malformed");
  EXPECT_EQ(carry_out(json::string(token)).body.at("retried").as_int64(), 1);
}

}  // namespace
}  // namespace postern::admin::testing
