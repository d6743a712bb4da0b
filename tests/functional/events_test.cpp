// Goal: a consumer that follows the pull feed by long poll hears of every payment at once, and
// never holds up a stop. Method: the daemon, with platforms' callbacks and a follower at the same
// time.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <future>
#include <set>

#include "tests/functional/running.h"
#include "tests/functional/site.h"
#include "tests/functional/visitor.h"

namespace postern::functional {
namespace {

using namespace std::chrono_literals;
using simulate::Platform;

TEST(Events, AFollowerHearsOfEveryPaymentOnce) {
  constexpr std::size_t kPayments = 60;
  Site site;
  InProcess gateway(site);
  std::future<std::vector<std::string>> follower = std::async(std::launch::async, [&gateway] {
    Visitor visitor = gateway.visitor();
    std::vector<std::string> orders;
    std::string cursor = "0";
    while (orders.size() < kPayments) {
      const Answer page = visitor.get("/v1/events?wait=15&after=" + cursor);
      if (page.code != 200 || page.body.at("events").as_array().empty()) break;
      for (const auto& event : page.body.at("events").as_array()) {
        orders.emplace_back(
            event.at("body").at("data").at("order").at("merchant_order_id").as_string());
      }
      cursor = page.body.at("next_after").as_string();
    }
    return orders;
  });
  Visitor visitor = gateway.visitor();
  std::set<std::string> paid;
  for (std::size_t i = 0; i < kPayments; ++i) {
    const std::string number = fmt::format("T{}", i);
    ASSERT_EQ(visitor.register_order(number), 201u);
    ASSERT_EQ(visitor.send(site.payment(Platform::kAlipay, number)).body, "success");
    paid.insert(number);
  }
  ASSERT_EQ(follower.wait_for(10s), std::future_status::ready);
  const std::vector<std::string> heard = follower.get();
  EXPECT_EQ(heard.size(), kPayments);
  EXPECT_EQ(std::set(heard.begin(), heard.end()), paid);
}

TEST(Events, WhoWaitsIsAnsweredWhenThePostmanGoes) {
  Site site;
  Process gateway(site);
  ASSERT_TRUE(gateway.ready());
  std::future<Answer> waiting = std::async(
      std::launch::async, [&gateway] { return gateway.visitor().get("/v1/events?wait=60"); });
  ASSERT_EQ(waiting.wait_for(500ms), std::future_status::timeout);
  const auto began = std::chrono::steady_clock::now();
  gateway.signal(SIGTERM);
  const Answer answer = waiting.get();
  EXPECT_EQ(answer.code, 200u);
  EXPECT_TRUE(answer.body.at("events").as_array().empty());
  EXPECT_EQ(gateway.wait(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

}  // namespace
}  // namespace postern::functional
