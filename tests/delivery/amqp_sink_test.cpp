// Goal: the AMQP sink's answers are what a real RabbitMQ did, in good times and bad.
// Method: one rabbitmq-server for the suite; the test declares queues as a merchant would, sends,
// and compares the answers with what is in the queues. The server is frozen, killed and restarted.
#include "delivery/amqp_sink.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "base/system.h"
#include "tests/delivery/answers.h"
#include "tests/delivery/rabbitmq_client.h"
#include "tests/delivery/rabbitmq_server.h"

namespace postern::delivery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;
using Verdict = Answer::Verdict;

class AmqpBroker : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (RabbitmqServer::is_installed()) server = std::make_unique<RabbitmqServer>();
  }
  static void TearDownTestSuite() { server.reset(); }
  void SetUp() override {
    if (!server) GTEST_SKIP() << "rabbitmq-server is not installed: script/bootstrap --tests";
  }

  [[nodiscard]] AmqpSinkOptions options(std::string exchange = "") const {
    return {.endpoint = "shop",
            .url = Secret(fmt::format("amqp://guest@127.0.0.1:{}", server->port())),
            .password = Secret("guest"),
            .exchange = std::move(exchange),
            .deadline = seconds(15)};
  }
  [[nodiscard]] std::unique_ptr<Sink> make(AmqpSinkOptions from) {
    auto sink = make_amqp_sink(std::move(from), clock_, random_, log_);
    EXPECT_TRUE(sink.has_value()) << sink.error().code << " " << sink.error().detail;
    return std::move(*sink);
  }
  [[nodiscard]] static std::set<std::string> ids(const std::vector<ConsumedMessage>& messages) {
    std::set<std::string> found;
    for (const ConsumedMessage& message : messages) found.insert(message.message_id);
    return found;
  }
  /// Sends one after the other until one is delivered: the sink has found the broker again.
  [[nodiscard]] bool delivers_within(Sink& sink, seconds time, int first_number) {
    const MonotonicTime end = clock_.monotonic() + time;
    while (clock_.monotonic() < end) {
      const Answer answer = answers_.send_and_wait(sink, test_message(first_number++));
      if (answer.verdict == Verdict::kDelivered) return true;
      std::this_thread::sleep_for(milliseconds(50));
    }
    return false;
  }

  static inline std::unique_ptr<RabbitmqServer> server;
  SystemClock clock_;
  SystemRandom random_;
  KeptLog log_;
  Answers answers_;
};

TEST_F(AmqpBroker, DeliversEachMessageOnceWithItsAttributes) {
  RabbitmqClient client(server->port());
  client.declare_exchange("payments");
  client.declare_queue("all");
  client.bind("all", "payments", "order.*");
  const auto sink = make(options("payments"));

  constexpr int kEach = 200;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) answers_.send(*sink, test_message(thread * kEach + i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(answers_.wait());
  EXPECT_TRUE(answers_.is_once_each());
  EXPECT_THAT(answers_.codes(), ElementsAre(Pair("confirmed", 4 * kEach)));

  const std::vector<ConsumedMessage> messages = client.take_all("all");
  EXPECT_THAT(messages, SizeIs(4 * kEach));
  EXPECT_EQ(ids(messages), answers_.ids(Verdict::kDelivered));
  const auto one = std::ranges::find(messages, "evt_test_42", &ConsumedMessage::message_id);
  ASSERT_NE(one, messages.end());
  EXPECT_EQ(one->exchange, "payments");
  EXPECT_EQ(one->routing_key, "order.paid");
  EXPECT_EQ(one->type, "order.paid");
  EXPECT_EQ(one->delivery_mode, 2);
  EXPECT_EQ(one->content_type, "application/json");
  EXPECT_EQ(one->timestamp, 1'800'000'000U);
  EXPECT_EQ(one->body, R"({"number":42})");
  EXPECT_THAT(one->headers, ElementsAre(Pair("cloudEvents:id", "evt_test_42"),
                                        Pair("cloudEvents:posternmerchant", "shop"),
                                        Pair("cloudEvents:posternsequence", "42"),
                                        Pair("cloudEvents:source", "/postern/shop"),
                                        Pair("cloudEvents:specversion", "1.0"),
                                        Pair("cloudEvents:subject", "T42"),
                                        Pair("cloudEvents:time", "2027-01-15T08:00:00.123Z"),
                                        Pair("cloudEvents:type", "order.paid")));
}

TEST_F(AmqpBroker, KeepsTheOrderInWhichItWasGivenMessages) {
  RabbitmqClient client(server->port());
  client.declare_queue("ordered");
  AmqpSinkOptions changed = options();
  changed.routing_key = "ordered";
  const auto sink = make(changed);
  std::vector<std::string> sent;
  for (int i = 0; i < 100; ++i) {
    sent.push_back(test_message(i).id);
    answers_.send(*sink, test_message(i));
  }
  ASSERT_TRUE(answers_.wait());
  // One confirm may stand for many messages: none of them waits for its deadline.
  EXPECT_THAT(answers_.codes(), ElementsAre(Pair("confirmed", 100)));
  std::vector<std::string> found;
  for (const ConsumedMessage& message : client.take_all("ordered")) {
    found.push_back(message.message_id);
  }
  EXPECT_EQ(found, sent);
}

TEST_F(AmqpBroker, WhatNoQueueTakesIsNotDelivered) {
  RabbitmqClient client(server->port());
  client.declare_exchange("sorted");
  client.declare_queue("paid");
  client.bind("paid", "sorted", "order.paid");
  const auto sink = make(options("sorted"));
  for (int i = 0; i < 100; ++i) {
    answers_.send(*sink, test_message(i, i % 3 == 0 ? "order.closed" : "order.paid"));
  }
  ASSERT_TRUE(answers_.wait());
  EXPECT_EQ(ids(client.take_all("paid")), answers_.ids(Verdict::kDelivered));
  EXPECT_THAT(answers_.codes(), ElementsAre(Pair("confirmed", 66), Pair("returned", 34)));
  const Answer returned = answers_.all()["evt_test_0"].front();
  EXPECT_EQ(returned.verdict, Verdict::kNotDelivered);
  EXPECT_EQ(returned.excerpt, "312 NO_ROUTE");
}

// An order's number is no routing key: what it holds changes neither queue nor headers. What does
// not fit into the protocol's short strings is our own refusal.
TEST_F(AmqpBroker, TakesNothingOfTheOrderForAPlace) {
  RabbitmqClient client(server->port());
  client.declare_exchange("guarded");
  client.declare_queue("guarded");
  client.declare_queue("other");
  client.bind("guarded", "guarded", "order.paid");
  const auto sink = make(options("guarded"));
  Message hostile = test_message(1);
  hostile.merchant_order_id = "other";
  hostile.merchant = "x\r\ncloudEvents:type: y";
  EXPECT_EQ(answers_.send_and_wait(*sink, hostile).code, "confirmed");
  Message huge = test_message(2, std::string(1024 * 1024, 'k'));
  EXPECT_EQ(answers_.send_and_wait(*sink, huge).verdict, Verdict::kNotDelivered);
  EXPECT_EQ(answers_.all()["evt_test_2"].back().code, "message_malformed");
  const std::vector<ConsumedMessage> messages = client.take_all("guarded");
  ASSERT_THAT(messages, SizeIs(1));
  EXPECT_EQ(messages[0].routing_key, "order.paid");
  EXPECT_THAT(client.take_all("other"), IsEmpty());
}

TEST_F(AmqpBroker, WhatAFullQueueRefusesIsNotDelivered) {
  RabbitmqClient client(server->port());
  client.declare_queue("short", {.length_max = 5});
  AmqpSinkOptions changed = options();
  changed.routing_key = "short";
  const auto sink = make(changed);
  for (int i = 0; i < 40; ++i) answers_.send(*sink, test_message(i));
  ASSERT_TRUE(answers_.wait());
  EXPECT_TRUE(answers_.is_once_each());
  EXPECT_EQ(ids(client.take_all("short")), answers_.ids(Verdict::kDelivered));
  EXPECT_THAT(answers_.codes(), Contains(Key("nacked")));
  EXPECT_THAT(answers_.ids(Verdict::kUnknown), IsEmpty());
}

TEST_F(AmqpBroker, DeclaresNothing) {
  {
    AmqpSinkOptions changed = options();
    changed.routing_key = "never_declared";
    EXPECT_EQ(answers_.send_and_wait(*make(changed), test_message(1)).code, "returned");
  }
  EXPECT_FALSE(RabbitmqClient(server->port()).has_queue("never_declared"));
}

TEST_F(AmqpBroker, WaitsForAnExchangeThatIsMissing) {
  const auto sink = make(options("later"));
  const Answer early = answers_.send_and_wait(*sink, test_message(1));
  EXPECT_EQ(early.verdict, Verdict::kNotDelivered);
  EXPECT_EQ(early.code, "exchange_not_found");
  EXPECT_THAT(early.excerpt, HasSubstr("404 NOT_FOUND"));

  RabbitmqClient client(server->port());
  client.declare_exchange("later");
  client.declare_queue("late");
  client.bind("late", "later", "#");
  EXPECT_TRUE(delivers_within(*sink, seconds(10), 100));
}

TEST_F(AmqpBroker, RefusedLoginTellsNoPassword) {
  AmqpSinkOptions changed = options();
  changed.password = Secret("wrong-and-secret");
  const auto sink = make(changed);
  const Answer answer = answers_.send_and_wait(*sink, test_message(1));
  EXPECT_EQ(answer.verdict, Verdict::kNotDelivered);
  EXPECT_EQ(answer.code, "login_refused");
  EXPECT_THAT(answer.excerpt, HasSubstr("ACCESS_REFUSED"));
  EXPECT_THAT(answer.excerpt, Not(HasSubstr("wrong-and-secret")));
  EXPECT_THAT(log_.text(), Not(HasSubstr("wrong-and-secret")));
  EXPECT_EQ(log_.count("amqp_connection_failed"), 1);
}

TEST_F(AmqpBroker, TlsNeedsTheRightAuthorityAndHost) {
  RabbitmqClient client(server->port());
  client.declare_queue("sealed");
  const auto tls = [&](std::string_view host, const std::filesystem::path& ca_file) {
    AmqpSinkOptions changed = options();
    changed.url = Secret(fmt::format("amqps://guest@{}:{}", host, server->tls_port()));
    changed.ca_file = ca_file.string();
    changed.routing_key = "sealed";
    return make(changed);
  };
  const auto right = tls("localhost", server->ca_file());
  for (int i = 0; i < 300; ++i) answers_.send(*right, test_message(i));
  ASSERT_TRUE(answers_.wait());
  EXPECT_THAT(answers_.codes(), ElementsAre(Pair("confirmed", 300)));

  const auto other_ca = tls("localhost", server->other_ca_file());
  EXPECT_EQ(answers_.send_and_wait(*other_ca, test_message(1001)).code, "tls_failed");
  const auto other_host = tls("127.0.0.1", server->ca_file());
  EXPECT_EQ(answers_.send_and_wait(*other_host, test_message(1002)).code, "tls_failed");
  EXPECT_THAT(client.take_all("sealed"), SizeIs(300));
}

TEST_F(AmqpBroker, UnansweredConfirmIsUnknownAndTheQueueIsBounded) {
  RabbitmqClient client(server->port());
  client.declare_queue("frozen");
  AmqpSinkOptions changed = options();
  changed.routing_key = "frozen";
  changed.deadline = seconds(2);
  changed.queue_max = 5;
  changed.unconfirmed_max = 3;
  const auto sink = make(changed);
  ASSERT_EQ(answers_.send_and_wait(*sink, test_message(0)).code, "confirmed");

  server->freeze();
  for (int i = 1; i <= 8; ++i) answers_.send(*sink, test_message(i));
  const bool answered = answers_.wait(seconds(8));
  server->thaw();
  ASSERT_TRUE(answered);
  EXPECT_THAT(answers_.codes(),
              ElementsAre(Pair("confirmed", 1), Pair("queue_full", 3), Pair("timed_out", 5)));
  // Three were on the wire; the two behind them certainly were not.
  EXPECT_THAT(answers_.ids(Verdict::kUnknown),
              ElementsAre("evt_test_1", "evt_test_2", "evt_test_3"));
  // The late confirms are nobody's: the next message gets its own.
  EXPECT_TRUE(delivers_within(*sink, seconds(10), 100));
  const std::set<std::string> there = ids(client.take_all("frozen"));
  for (const std::string& id : answers_.ids(Verdict::kNotDelivered)) {
    EXPECT_THAT(there, Not(Contains(id)));
  }
}

TEST_F(AmqpBroker, HeartbeatNoticesASilentBrokerAndKeepsAnIdleOne) {
  RabbitmqClient client(server->port());
  client.declare_queue("idle");
  AmqpSinkOptions changed = options();
  changed.routing_key = "idle";
  changed.heartbeat = seconds(1);
  const auto sink = make(changed);
  ASSERT_EQ(answers_.send_and_wait(*sink, test_message(1)).code, "confirmed");
  // Longer than the broker would bear without our heartbeats.
  std::this_thread::sleep_for(seconds(4));
  ASSERT_EQ(answers_.send_and_wait(*sink, test_message(2)).code, "confirmed");
  EXPECT_EQ(log_.count("amqp_connected"), 1);

  server->freeze();
  const Answer lost = answers_.send_and_wait(*sink, test_message(3));
  server->thaw();
  EXPECT_EQ(lost.verdict, Verdict::kUnknown);
  EXPECT_EQ(lost.code, "connection_lost");
  EXPECT_TRUE(delivers_within(*sink, seconds(10), 100));
}

TEST_F(AmqpBroker, RefusesWhileTheBrokerIsBlocked) {
  RabbitmqClient client(server->port());
  client.declare_queue("blocked");
  AmqpSinkOptions changed = options();
  changed.routing_key = "blocked";
  changed.deadline = seconds(2);
  const auto sink = make(changed);
  ASSERT_EQ(answers_.send_and_wait(*sink, test_message(1)).code, "confirmed");
  server->control("set_vm_memory_high_watermark absolute 1MB");
  // The broker says so to the first publisher after the alarm.
  (void)answers_.send_and_wait(*sink, test_message(2));
  const Answer refused = answers_.send_and_wait(*sink, test_message(3));
  server->control("set_vm_memory_high_watermark absolute 2GB");
  EXPECT_EQ(refused.verdict, Verdict::kNotDelivered);
  EXPECT_EQ(refused.code, "broker_blocked");
  EXPECT_TRUE(delivers_within(*sink, seconds(10), 100));
}

TEST_F(AmqpBroker, DestructionAnswersEverything) {
  RabbitmqClient client(server->port());
  client.declare_queue("leaving");
  AmqpSinkOptions changed = options();
  changed.routing_key = "leaving";
  auto sink = make(changed);
  ASSERT_EQ(answers_.send_and_wait(*sink, test_message(0)).code, "confirmed");
  server->freeze();
  for (int i = 1; i <= 500; ++i) answers_.send(*sink, test_message(i));
  sink.reset();
  server->thaw();
  EXPECT_TRUE(answers_.is_once_each());
  EXPECT_THAT(answers_.codes(), ElementsAre(Pair("confirmed", 1), Pair("shutting_down", 500)));
  const std::set<std::string> there = ids(client.take_all("leaving"));
  for (const std::string& id : answers_.ids(Verdict::kNotDelivered)) {
    EXPECT_THAT(there, Not(Contains(id)));
  }
}

// P13: what is told as delivered is there, and what is told as not delivered is not.
TEST_F(AmqpBroker, TellsTheTruthAcrossAKilledBroker) {
  RabbitmqClient(server->port()).declare_queue("survivor");
  AmqpSinkOptions changed = options();
  changed.routing_key = "survivor";
  const auto sink = make(changed);

  std::atomic<bool> stop = false;
  std::thread sender([&] {
    for (int i = 0; !stop; ++i) {
      answers_.send(*sink, test_message(i));
      if (i % 8 == 0) std::this_thread::sleep_for(milliseconds(2));
    }
  });
  std::this_thread::sleep_for(milliseconds(1500));
  server->kill();
  std::this_thread::sleep_for(milliseconds(500));
  const std::size_t before = answers_.ids(Verdict::kDelivered).size();
  EXPECT_GT(before, 0U);
  EXPECT_THAT(answers_.codes(), Contains(Key("connect_failed")));
  stop = true;
  sender.join();
  ASSERT_TRUE(answers_.wait(seconds(2))) << "refusals are prompt";
  server->restart();
  EXPECT_TRUE(delivers_within(*sink, seconds(40), 1'000'000));
  EXPECT_TRUE(answers_.is_once_each());

  RabbitmqClient client(server->port());
  const std::set<std::string> there = ids(client.take_all("survivor"));
  std::vector<std::string> wrong;
  std::ranges::set_difference(answers_.ids(Verdict::kDelivered), there, std::back_inserter(wrong));
  EXPECT_THAT(wrong, IsEmpty()) << "told as delivered, but lost";
  wrong.clear();
  std::ranges::set_intersection(answers_.ids(Verdict::kNotDelivered), there,
                                std::back_inserter(wrong));
  EXPECT_THAT(wrong, IsEmpty()) << "told as not delivered, but there";
}

}  // namespace
}  // namespace postern::delivery
