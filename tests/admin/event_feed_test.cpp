// Goal: a consumer reads every event once by its cursor, and may wait for the next one without
// holding up anybody. Method: the real router over a real listener and store, with consumers on
// connections of their own.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "tests/admin/api_under_test.h"

namespace postern::admin::testing {
namespace {

using namespace std::chrono_literals;

[[nodiscard]] std::string order(const std::string& number) {
  return R"({"merchant_order_id":")" + number + R"(","expected":{"minor":100,"currency":"CNY"}})";
}

void pay(ApiUnderTest& api, const std::string& number) {
  ASSERT_EQ(api.post_order(order(number)).code, 201u);
  (void)api.record(api.payment(number, 100), number);
}

[[nodiscard]] std::size_t events_in(const Answer& answer) {
  return answer.body.at("events").as_array().size();
}

[[nodiscard]] bool still_waits(const std::future<Answer>& answer) {
  return answer.wait_for(300ms) == std::future_status::timeout;
}

TEST(Events, AreReadByCursor) {
  ApiUnderTest api;
  for (const char* number : {"T1", "T2", "T3"}) {
    ASSERT_EQ(api.post_order(order(number)).code, 201u);
    (void)api.record(api.payment(number, 100), number);
  }
  const Answer first = api.get("/v1/events?limit=2");
  ASSERT_EQ(first.code, 200u);
  ASSERT_EQ(first.body.at("events").as_array().size(), 2u);
  const std::string cursor(first.body.at("next_after").as_string());
  const Answer second = api.get("/v1/events?after=" + cursor);
  ASSERT_EQ(second.body.at("events").as_array().size(), 1u);
  const std::string end(second.body.at("next_after").as_string());
  const Answer last = api.get("/v1/events?after=" + end);
  EXPECT_TRUE(last.body.at("events").as_array().empty());
  EXPECT_EQ(last.body.at("next_after").as_string(), end);
  EXPECT_EQ(api.get("/v1/events?after=nonsense").code, 422u);
}

// A follower that begins before the first event gives back what it was given.
TEST(Events, HaveACursorBeforeTheFirst) {
  ApiUnderTest api;
  for (const char* target : {"/v1/events", "/v1/events?after=0", "/v1/events?after=0&wait=1"}) {
    const Answer empty = api.get(target);
    ASSERT_EQ(empty.code, 200u) << target;
    EXPECT_EQ(events_in(empty), 0u) << target;
    EXPECT_EQ(empty.body.at("next_after"), "0") << target;
  }
  pay(api, "T1");
  EXPECT_EQ(events_in(api.get("/v1/events?after=0")), 1u);
}

template <class Value>
[[nodiscard]] bool still_runs(const std::future<Value>& answer) {
  return answer.wait_for(0s) == std::future_status::timeout;
}

TEST(EventsWait, AnswersAtOnceWhereThereAreEvents) {
  ApiUnderTest api;
  pay(api, "T1");
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(events_in(api.get("/v1/events?wait=15")), 1u);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

TEST(EventsWait, AnswersWhenAnEventComes) {
  ApiUnderTest api;
  pay(api, "T1");
  const std::string cursor(api.get("/v1/events").body.at("next_after").as_string());
  std::future<Answer> waiting = api.get_later("/v1/events?wait=15&after=" + cursor);
  EXPECT_TRUE(still_waits(waiting));
  // A commit without an event wakes nobody for good.
  ASSERT_EQ(api.post_order(order("T2")).code, 201u);
  EXPECT_TRUE(still_waits(waiting));
  (void)api.record(api.payment("T2", 100), "T2");
  ASSERT_EQ(waiting.wait_for(5s), std::future_status::ready);
  const Answer answer = waiting.get();
  ASSERT_EQ(answer.code, 200u);
  ASSERT_EQ(events_in(answer), 1u);
  EXPECT_NE(answer.body.at("next_after").as_string(), cursor);
}

TEST(EventsWait, EndsWithAnEmptyPageAndTheSameCursor) {
  ApiUnderTest api;
  pay(api, "T1");
  const std::string cursor(api.get("/v1/events").body.at("next_after").as_string());
  const auto began = std::chrono::steady_clock::now();
  std::future<Answer> longer = api.get_later("/v1/events?wait=2&after=" + cursor);
  const Answer answer = api.get("/v1/events?wait=1&after=" + cursor);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 1s);
  EXPECT_EQ(answer.code, 200u);
  EXPECT_EQ(events_in(answer), 0u);
  EXPECT_EQ(answer.body.at("next_after").as_string(), cursor);
  EXPECT_EQ(events_in(longer.get()), 0u);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 2s);
}

TEST(EventsWait, RefusesOtherTimes) {
  ApiUnderTest api;
  for (const char* wait : {"61", "-1", "1.5", "x", "", "99999999999"}) {
    const Answer answer = api.get(std::string("/v1/events?wait=") + wait);
    EXPECT_EQ(answer.code, 422u) << wait;
    EXPECT_NE(answer.message().find("0 to 60"), std::string::npos);
  }
}

TEST(EventsWait, HoldsUpNobodyAndLetsOnlySoManyWait) {
  ApiUnderTest api;
  std::vector<std::future<Answer>> waiting;
  for (std::size_t i = 0; i < kWaitingMax; ++i) {
    waiting.push_back(api.get_later("/v1/events?wait=15"));
  }
  EXPECT_TRUE(still_waits(waiting.back()));
  EXPECT_EQ(api.get("/v1/orders").code, 200u);
  const Answer refused = api.get("/v1/events?wait=15");
  EXPECT_EQ(refused.code, 503u);
  EXPECT_EQ(refused.error(), "feed_busy");
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_EQ(api.get("/v1/events").code, 200u);
  pay(api, "T1");
  for (std::future<Answer>& one : waiting) {
    ASSERT_EQ(one.wait_for(5s), std::future_status::ready);
    EXPECT_EQ(events_in(one.get()), 1u);
  }
  // Their places are free again.
  std::future<Answer> next = api.get_later("/v1/events?wait=1&after=999");
  EXPECT_EQ(next.get().code, 200u);
}

TEST(EventsWait, StoppingAnswersAll) {
  ApiUnderTest api;
  std::future<Answer> waiting = api.get_later("/v1/events?wait=15");
  EXPECT_TRUE(still_waits(waiting));
  api.feed().stop();
  ASSERT_EQ(waiting.wait_for(5s), std::future_status::ready);
  EXPECT_EQ(events_in(waiting.get()), 0u);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(events_in(api.get("/v1/events?wait=15")), 0u);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

// No event falls between a look at the store and the waiting: the follower would sit there until
// its time is over. So each payment comes about when the follower parks; the store stands in
// memory where there is room, since a real disk takes longer than the follower needs.
TEST(EventsWait, AFollowerMissesNothingAndNeverOversleeps) {
  const std::filesystem::path memory = "/dev/shm";
  const bool has_memory = std::filesystem::is_directory(memory);
  ApiUnderTest api(has_memory ? memory : std::filesystem::temp_directory_path());
  constexpr std::size_t kEvents = 800;
  for (std::size_t i = 0; i < kEvents; ++i) {
    ASSERT_EQ(api.post_order(order(fmt::format("T{}", i))).code, 201u);
  }
  std::atomic<std::size_t> followed = 0;
  std::future<std::vector<std::string>> follower = std::async(std::launch::async, [&] {
    const auto client = api.another_client();
    std::vector<std::string> seen;
    std::string cursor = "0";
    while (seen.size() < kEvents) {
      HttpRequest request{.method = "GET", .target = "/v1/events?wait=15&after=" + cursor};
      request.headers.add("Authorization", "Bearer " + std::string(kKey));
      const Answer answer = ApiUnderTest::send(*client, request);
      if (answer.code != 200 || events_in(answer) == 0) break;
      for (const auto& event : answer.body.at("events").as_array()) {
        seen.emplace_back(event.as_object().at("id").as_string());
      }
      cursor = answer.body.at("next_after").as_string();
      followed = seen.size();
    }
    return seen;
  });
  for (std::size_t i = 0; i < kEvents; ++i) {
    while (followed < i && still_runs(follower)) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(i % 50 * 5));
    const std::string number = fmt::format("T{}", i);
    (void)api.record(api.payment(number, 100), number);
  }
  ASSERT_EQ(follower.wait_for(10s), std::future_status::ready);
  const std::vector<std::string> seen = follower.get();
  ASSERT_EQ(seen.size(), kEvents);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i],
              store::public_id("evt", api.store().tag(), static_cast<store::RowId>(i + 1)));
  }
}

}  // namespace
}  // namespace postern::admin::testing
