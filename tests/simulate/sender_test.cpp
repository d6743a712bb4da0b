// Goal: the sender delivers exactly what it was told, in what order it was told, and says what came
// back; a dead peer is an answer too, not a hang.
// Method: the real client against the room's own HTTP server on a free port; the pace with a clock
// that only moves when it is waited on.
#include "simulate/sender.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "base/system.h"
#include "http/server.h"
#include "simulate/seeded_random.h"

namespace postern::simulate {
namespace {

/// Answers with the request's body and counts each.
class Echo final : public HttpHandler {
 public:
  void handle(HttpRequest request, Responder respond) override {
    {
      const std::lock_guard lock(mutex_);
      ++seen_[request.body];
    }
    respond({.code = 200, .content_type = "text/plain", .body = request.body, .headers = {}});
  }
  [[nodiscard]] std::map<std::string, int> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int> seen_;
};

/// Time that passes only by waiting.
class WaitedClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return TimePoint{}; }
  [[nodiscard]] MonotonicTime monotonic() const override { return MonotonicTime{passed_}; }
  void wait(std::chrono::nanoseconds time) { passed_ += time.count(); }

 private:
  std::atomic<std::int64_t> passed_ = 0;
};

[[nodiscard]] std::vector<HttpRequest> requests(std::size_t count) {
  std::vector<HttpRequest> made;
  for (std::size_t i = 0; i < count; ++i) {
    made.push_back({.method = "POST",
                    .target = "/payment/alipay/callback",
                    .headers = {},
                    .body = "body " + std::to_string(i),
                    .peer = {}});
  }
  return made;
}

class SenderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = http::Server::start({.address = {"127.0.0.1", 0}}, echo_, log_, metrics_);
    ASSERT_TRUE(started.has_value()) << started.error().detail;
    server_ = std::move(*started);
  }
  [[nodiscard]] Sender::Options options(unsigned connections) const {
    return {.host = "127.0.0.1", .port = server_->port(), .connections = connections};
  }

  NullLog log_;
  NullMetrics metrics_;
  Echo echo_;
  std::unique_ptr<http::Server> server_;
  SystemClock clock_;
};

TEST_F(SenderTest, EveryCopyArrivesOnceAndIsAnswered) {
  const auto made = requests(30);
  SeededRandom random(3);
  const auto order = sending_order(made.size(), 5, &random);
  const auto replies = Sender(options(8), clock_, [](auto) {}).send(made, order);
  ASSERT_EQ(replies.size(), 150U);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    ASSERT_TRUE(replies[i].response.has_value()) << replies[i].response.error().detail;
    EXPECT_EQ(replies[i].request, order[i]);
    EXPECT_EQ(replies[i].response->body, made[order[i]].body);
    EXPECT_GT(replies[i].latency.count(), 0);
  }
  const auto seen = echo_.seen();
  EXPECT_EQ(seen.size(), 30U);
  EXPECT_TRUE(std::ranges::all_of(seen, [](const auto& one) { return one.second == 5; }));
}

TEST_F(SenderTest, KeepsThePace) {
  const auto made = requests(10);
  WaitedClock clock;
  Sender::Options slow = options(1);
  slow.per_second = 4;
  const auto replies = Sender(slow, clock, [&](auto time) {
                         clock.wait(time);
                       }).send(made, sending_order(10, 1, nullptr));
  EXPECT_EQ(replies.size(), 10U);
  // The tenth request is due nine quarters of a second after the first.
  EXPECT_EQ(clock.monotonic(), std::chrono::milliseconds(2250));
}

TEST_F(SenderTest, DeadPeerIsAnErrorOfEachRequest) {
  const Sender::Options target = options(2);
  server_.reset();
  const auto replies =
      Sender(target, clock_, [](auto) {}).send(requests(4), sending_order(4, 1, nullptr));
  ASSERT_EQ(replies.size(), 4U);
  for (const Reply& reply : replies) {
    ASSERT_FALSE(reply.response.has_value());
    EXPECT_EQ(reply.response.error().error_class, ErrorClass::kRetryable);
  }
}

TEST(SendingOrder, HoldsEachRequestAsOftenAsAsked) {
  SeededRandom random(9);
  auto order = sending_order(7, 3, &random);
  EXPECT_EQ(order.size(), 21U);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(std::ranges::count(order, i), 3);
}

TEST(SendingOrder, SeedDecidesTheOrder) {
  SeededRandom one(9), same(9), other(10);
  const auto order = sending_order(50, 2, &one);
  EXPECT_EQ(order, sending_order(50, 2, &same));
  EXPECT_NE(order, sending_order(50, 2, &other));
  EXPECT_NE(order, sending_order(50, 2, nullptr));
}

TEST(LatencyPercentile, IsOneOfTheLatencies) {
  std::vector<Reply> replies;
  for (int i = 100; i > 0; --i) {
    replies.push_back(
        {.request = 0, .response = HttpResponse{}, .latency = std::chrono::milliseconds(i)});
  }
  EXPECT_EQ(latency_percentile(replies, 50), std::chrono::milliseconds(50));
  EXPECT_EQ(latency_percentile(replies, 99), std::chrono::milliseconds(99));
  EXPECT_EQ(latency_percentile(replies, 100), std::chrono::milliseconds(100));
  EXPECT_EQ(latency_percentile({}, 50), MonotonicTime{});
}

}  // namespace
}  // namespace postern::simulate
