// Goal: the Kafka sink's answers are what is in the log, whatever the brokers do.
// Method: librdkafka's mock cluster, which speaks Kafka's protocol over TCP; the test injects
// errors, delays and outages there, and reads the topic back as a consumer.
#include "delivery/kafka_sink.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <memory>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include "base/system.h"
#include "tests/delivery/answers.h"
#include "tests/delivery/mock_kafka.h"

namespace postern::delivery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;
using Verdict = Answer::Verdict;

class KafkaSink : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { kafka = std::make_unique<MockKafka>(); }
  static void TearDownTestSuite() { kafka.reset(); }
  void SetUp() override { kafka->heal(); }
  [[nodiscard]] std::vector<ConsumedRecord> read_all() const { return kafka->read_all(topic_); }
  [[nodiscard]] std::multiset<std::string> read_ids() const {
    std::multiset<std::string> ids;
    for (const ConsumedRecord& record : read_all()) ids.insert(record.headers.at("ce_id"));
    return ids;
  }
  [[nodiscard]] KafkaSinkOptions options() const {
    return {.endpoint = "shop",
            .brokers = kafka->brokers(),
            .topic = topic_,
            // So that the tests need not wait for an outage's end as a merchant would.
            .properties = {{"reconnect.backoff.ms", "50"}, {"reconnect.backoff.max.ms", "100"}},
            .deadline = seconds(15)};
  }
  [[nodiscard]] std::unique_ptr<Sink> make(KafkaSinkOptions from) {
    auto sink = make_kafka_sink(std::move(from), clock_, random_, log_);
    EXPECT_TRUE(sink.has_value()) << sink.error().code << " " << sink.error().detail;
    return std::move(*sink);
  }
  [[nodiscard]] Error refusal(KafkaSinkOptions from) {
    auto sink = make_kafka_sink(std::move(from), clock_, random_, log_);
    return sink ? Error{.code = "made"} : sink.error();
  }
  [[nodiscard]] bool delivers_within(Sink& sink, seconds time, int first_number) {
    const MonotonicTime end = clock_.monotonic() + time;
    while (clock_.monotonic() < end) {
      const Answer answer = answers_.send_and_wait(sink, test_message(first_number++));
      if (answer.verdict == Verdict::kDelivered) return true;
      std::this_thread::sleep_for(milliseconds(50));
    }
    return false;
  }

  static inline std::unique_ptr<MockKafka> kafka;
  const std::string topic_ = ::testing::UnitTest::GetInstance()->current_test_info()->name();
  SystemClock clock_;
  SystemRandom random_;
  KeptLog log_;
  Answers answers_;
};

// P7: per order, first deliveries keep sequence.
TEST_F(KafkaSink, DeliversEachMessageOnceInTheOrderOfItsKey) {
  const auto sink = make(options());
  constexpr int kOrders = 30;
  constexpr int kEvents = 20;
  for (int sequence = 1; sequence <= kEvents; ++sequence) {
    for (int order = 0; order < kOrders; ++order) {
      Message message = test_message(order * 1000 + sequence);
      message.merchant_order_id = fmt::format("T{}", order);
      message.sequence = sequence;
      answers_.send(*sink, std::move(message));
    }
  }
  ASSERT_TRUE(answers_.wait());
  EXPECT_TRUE(answers_.is_once_each());
  EXPECT_THAT(answers_.codes(), ElementsAre(Pair("confirmed", kOrders * kEvents)));

  const std::vector<ConsumedRecord> records = read_all();
  ASSERT_THAT(records, SizeIs(kOrders * kEvents));
  std::map<std::string, std::vector<int>> sequences;
  std::map<std::string, std::set<int>> partitions;
  std::set<int> used;
  for (const ConsumedRecord& record : records) {
    sequences[record.key].push_back(std::stoi(record.headers.at("ce_posternsequence")));
    partitions[record.key].insert(record.partition);
    used.insert(record.partition);
  }
  EXPECT_THAT(sequences, SizeIs(kOrders));
  for (const auto& [key, found] : sequences) {
    EXPECT_THAT(found, SizeIs(kEvents)) << key;
    EXPECT_TRUE(std::ranges::is_sorted(found)) << key;
    EXPECT_THAT(partitions[key], SizeIs(1)) << key;
  }
  EXPECT_THAT(used, SizeIs(MockKafka::kPartitions));
}

TEST_F(KafkaSink, CarriesTheAttributesAsHeaders) {
  ASSERT_EQ(answers_.send_and_wait(*make(options()), test_message(42)).verdict,
            Verdict::kDelivered);
  const std::vector<ConsumedRecord> records = read_all();
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].key, "T42");
  EXPECT_EQ(records[0].body, R"({"number":42})");
  EXPECT_THAT(records[0].headers,
              ElementsAre(Pair("ce_id", "evt_test_42"), Pair("ce_posternmerchant", "shop"),
                          Pair("ce_posternsequence", "42"), Pair("ce_source", "/postern/shop"),
                          Pair("ce_specversion", "1.0"), Pair("ce_subject", "T42"),
                          Pair("ce_time", "2027-01-15T08:00:00.123Z"),
                          Pair("ce_type", "order.paid"), Pair("content-type", "application/json")));
}

TEST_F(KafkaSink, PassingErrorsAndLostConnectionsMakeNoSecondCopy) {
  const auto sink = make(options());
  kafka->fail(kProduceRequest, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 2);
  EXPECT_EQ(answers_.send_and_wait(*sink, test_message(1)).code, "confirmed");
  kafka->fail(kProduceRequest, RD_KAFKA_RESP_ERR__TRANSPORT, 2);
  EXPECT_EQ(answers_.send_and_wait(*sink, test_message(2)).code, "confirmed");
  EXPECT_THAT(read_ids(), ElementsAre("evt_test_1", "evt_test_2"));
}

// P6: with several requests in flight, librdkafka takes the acknowledgement of a later one for a
// refused earlier one too, as brokers that check sequence numbers allow. This cluster does not
// check them, so that what was never written shows.
TEST_F(KafkaSink, AcknowledgementStandsForItsOwnRequestOnly) {
  const auto sink = make(options());
  ASSERT_EQ(answers_.send_and_wait(*sink, test_message(0)).code, "confirmed");
  constexpr int kMessages = 2000;
  std::jthread trouble([&](const std::stop_token& over) {
    for (int i = 0; !over.stop_requested(); ++i) {
      std::this_thread::sleep_for(milliseconds(i * 97 % 300));
      kafka->fail(kProduceRequest, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 3);
    }
  });
  for (int i = 1; i <= kMessages; ++i) {
    answers_.send(*sink, test_message(i));
    std::this_thread::sleep_for(milliseconds(3));
  }
  trouble.request_stop();
  trouble.join();
  ASSERT_TRUE(answers_.wait());
  const std::multiset<std::string> there = read_ids();
  EXPECT_THAT(there, SizeIs(kMessages + 1));
  for (const std::string& id : answers_.ids(Verdict::kDelivered)) {
    EXPECT_EQ(there.count(id), 1U) << id;
  }
}

TEST_F(KafkaSink, WhatTheBrokerRefusesIsNotDelivered) {
  const auto sink = make(options());
  kafka->fail(kProduceRequest, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  const Answer answer = answers_.send_and_wait(*sink, test_message(1));
  EXPECT_EQ(answer.verdict, Verdict::kNotDelivered);
  EXPECT_EQ(answer.code, "topic_authorization_failed");
  EXPECT_TRUE(delivers_within(*sink, seconds(10), 100));
  EXPECT_THAT(read_ids(), Not(Contains("evt_test_1")));
}

TEST_F(KafkaSink, PersistentlyTooFewReplicasIsNotDelivered) {
  KafkaSinkOptions changed = options();
  changed.deadline = seconds(2);
  const auto sink = make(changed);
  kafka->fail(kProduceRequest, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 1000);
  const Answer answer = answers_.send_and_wait(*sink, test_message(1));
  EXPECT_EQ(answer.verdict, Verdict::kNotDelivered);
  EXPECT_EQ(answer.code, "timed_out");
  EXPECT_THAT(read_ids(), IsEmpty());
}

TEST_F(KafkaSink, AnswerThatComesTooLateIsUnknown) {
  KafkaSinkOptions changed = options();
  changed.deadline = seconds(2);
  const auto sink = make(changed);
  ASSERT_EQ(answers_.send_and_wait(*sink, test_message(1)).code, "confirmed");
  kafka->delay(kProduceRequest, seconds(6));
  const Answer answer = answers_.send_and_wait(*sink, test_message(2));
  EXPECT_EQ(answer.verdict, Verdict::kUnknown);
  EXPECT_EQ(answer.code, "timed_out");
  // It is there: kNotDelivered would have been a lie.
  EXPECT_THAT(read_ids(), Contains("evt_test_2"));
}

// P13: an outage is told as it is, and ends by itself.
TEST_F(KafkaSink, OutageIsNotDeliveredAndPasses) {
  kafka->set_down();
  KafkaSinkOptions changed = options();
  changed.deadline = seconds(1);
  const auto sink = make(changed);
  for (int i = 0; i < 20; ++i) answers_.send(*sink, test_message(i));
  ASSERT_TRUE(answers_.wait(seconds(5)));
  EXPECT_THAT(answers_.codes(), ElementsAre(Pair("timed_out", 20)));
  EXPECT_THAT(answers_.ids(Verdict::kNotDelivered), SizeIs(20));
  kafka->set_up();
  EXPECT_TRUE(delivers_within(*sink, seconds(10), 100));

  kafka->set_down();
  EXPECT_NE(answers_.send_and_wait(*sink, test_message(200)).verdict, Verdict::kDelivered);
  kafka->set_up();
  EXPECT_TRUE(delivers_within(*sink, seconds(10), 300));
  EXPECT_TRUE(answers_.is_once_each());
  const std::multiset<std::string> there = read_ids();
  for (const std::string& id : answers_.ids(Verdict::kDelivered)) {
    EXPECT_EQ(there.count(id), 1U) << id;
  }
  for (const std::string& id : answers_.ids(Verdict::kNotDelivered)) {
    EXPECT_EQ(there.count(id), 0U) << id;
  }
}

TEST_F(KafkaSink, RefusesMoreThanItsQueueHoldsAndWhatIsTooLarge) {
  kafka->set_down();
  KafkaSinkOptions changed = options();
  changed.queue_max = 5;
  changed.deadline = seconds(1);
  const auto sink = make(changed);
  for (int i = 0; i < 8; ++i) answers_.send(*sink, test_message(i));
  Message large = test_message(100);
  large.body.assign(2'000'000, 'x');
  EXPECT_EQ(answers_.send_and_wait(*sink, std::move(large)).code, "message_too_large");
  EXPECT_EQ(answers_.codes()["queue_full"], 3) << "refusals are prompt";
  ASSERT_TRUE(answers_.wait(seconds(5)));
  EXPECT_THAT(answers_.codes(), ElementsAre(Pair("message_too_large", 1), Pair("queue_full", 3),
                                            Pair("timed_out", 5)));
  EXPECT_THAT(answers_.ids(Verdict::kNotDelivered), SizeIs(9));
}

// An order's number is a key, never a place: what it holds changes neither topic nor headers.
TEST_F(KafkaSink, TakesAnOrdersNumberForAKeyOnly) {
  const auto sink = make(options());
  Message hostile = test_message(1);
  hostile.merchant_order_id = std::string("T1\r\nce_type: x\0other-topic", 26);
  ASSERT_EQ(answers_.send_and_wait(*sink, hostile).code, "confirmed");
  Message huge = test_message(2);
  huge.merchant_order_id.assign(1024 * 1024, 'k');
  EXPECT_EQ(answers_.send_and_wait(*sink, huge).code, "message_too_large");
  const std::vector<ConsumedRecord> records = read_all();
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].key, hostile.merchant_order_id);
  EXPECT_EQ(records[0].headers.at("ce_type"), "order.paid");
}

TEST_F(KafkaSink, MakesANewProducerAfterAFatalError) {
  kafka->fail(kInitProducerIdRequest, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
  const auto sink = make(options());
  const Answer first = answers_.send_and_wait(*sink, test_message(1));
  EXPECT_EQ(first.verdict, Verdict::kNotDelivered);
  // The message may be reported before the producer as a whole is.
  EXPECT_THAT(first.code, AnyOf("fatal", "cluster_authorization_failed"));
  EXPECT_TRUE(delivers_within(*sink, seconds(10), 100));
  EXPECT_EQ(log_.count("kafka_producer_failed"), 1);
  EXPECT_TRUE(answers_.is_once_each());
  EXPECT_THAT(read_ids(), Not(Contains("evt_test_1")));
}

TEST_F(KafkaSink, DestructionAnswersEverything) {
  auto sink = make(options());
  ASSERT_EQ(answers_.send_and_wait(*sink, test_message(0)).code, "confirmed");
  kafka->delay(kProduceRequest, seconds(3));
  answers_.send(*sink, test_message(1));
  std::this_thread::sleep_for(milliseconds(500));
  for (int i = 2; i <= 100; ++i) answers_.send(*sink, test_message(i));
  sink.reset();
  EXPECT_TRUE(answers_.is_once_each());
  EXPECT_EQ(answers_.all()["evt_test_1"].front().verdict, Verdict::kUnknown);
  const std::multiset<std::string> there = read_ids();
  for (const std::string& id : answers_.ids(Verdict::kNotDelivered)) {
    EXPECT_EQ(there.count(id), 0U) << id;
  }
}

TEST_F(KafkaSink, NeedsNoBrokerToBeMade) {
  KafkaSinkOptions changed = options();
  changed.brokers = "127.0.0.1:1";
  changed.deadline = seconds(1);
  const Answer answer = answers_.send_and_wait(*make(changed), test_message(1));
  EXPECT_EQ(answer.verdict, Verdict::kNotDelivered);
  EXPECT_EQ(answer.code, "timed_out");
}

TEST_F(KafkaSink, RefusesPropertiesThatItsPromisesRestOn) {
  for (const std::string_view name : kafka_reserved_properties()) {
    KafkaSinkOptions changed = options();
    changed.properties[std::string(name)] = "1";
    const Error error = refusal(changed);
    EXPECT_EQ(error.code, "kafka_property_reserved") << name;
    EXPECT_THAT(error.detail, HasSubstr(std::string(name)));
  }
  KafkaSinkOptions changed = options();
  changed.secret_properties["acks"] = Secret("0");
  EXPECT_EQ(refusal(changed).code, "kafka_property_reserved");
}

TEST_F(KafkaSink, RefusesOptionsThatCannotWorkAndQuotesNoSecret) {
  KafkaSinkOptions changed = options();
  changed.properties["no.such.property"] = "1";
  EXPECT_EQ(refusal(changed).code, "kafka_property_refused");
  changed = options();
  changed.secret_properties["ssl.key.pem"] = Secret("s3cret-word");
  changed.properties["security.protocol"] = "ssl";
  Error error = refusal(changed);
  EXPECT_THAT(error.code, AnyOf("kafka_property_refused", "kafka_options_refused"));
  EXPECT_THAT(error.detail, Not(HasSubstr("s3cret-word")));
  changed = options();
  changed.secret_properties["socket.timeout.ms"] = Secret("s3cret-word");
  error = refusal(changed);
  EXPECT_EQ(error.code, "kafka_property_refused");
  EXPECT_THAT(error.detail, Not(HasSubstr("s3cret-word")));
  changed = options();
  changed.properties["security.protocol"] = "ssl";
  changed.properties["ssl.ca.location"] = "/nowhere/ca.pem";
  EXPECT_EQ(refusal(changed).code, "kafka_options_refused");
  changed = options();
  changed.brokers.clear();
  EXPECT_EQ(refusal(changed).code, "kafka_brokers_missing");
  changed = options();
  changed.topic = "a topic";
  EXPECT_EQ(refusal(changed).code, "kafka_topic_malformed");
  changed = options();
  changed.queue_max = 0;
  EXPECT_EQ(refusal(changed).code, "kafka_limits_malformed");
  EXPECT_THAT(log_.text(), Not(HasSubstr("s3cret-word")));
}

}  // namespace
}  // namespace postern::delivery
