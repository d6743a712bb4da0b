#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace postern::delivery {

// Numbers of requests. Source: Apache Kafka, protocol guide, "API Keys".
inline constexpr std::int16_t kProduceRequest = 0;
inline constexpr std::int16_t kInitProducerIdRequest = 22;

struct ConsumedRecord {
  std::string key;
  std::string body;
  std::map<std::string, std::string> headers;
  int partition = -1;
};

/// One broker. Topics are there as soon as a producer asks for them, with four partitions. Calls of
/// the mock cluster itself take up to a second each.
class MockKafka {
 public:
  static constexpr int kPartitions = 4;
  MockKafka() : owner_(make_handle(RD_KAFKA_PRODUCER, {{"log_level", "3"}})) {
    cluster_ = rd_kafka_mock_cluster_new(owner_, 1);
  }
  ~MockKafka() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(owner_);
  }
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  /// Up and without errors.
  void heal() {
    rd_kafka_mock_clear_request_errors(cluster_, kProduceRequest);
    rd_kafka_mock_clear_request_errors(cluster_, kInitProducerIdRequest);
    if (is_down_) set_up();
  }
  [[nodiscard]] std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  void set_down() {
    rd_kafka_mock_broker_set_down(cluster_, 1);
    is_down_ = true;
  }
  void set_up() {
    rd_kafka_mock_broker_set_up(cluster_, 1);
    is_down_ = false;
  }
  /// The next `count` requests of this kind are answered with `error`.
  void fail(std::int16_t request, rd_kafka_resp_err_t error, std::size_t count = 1) {
    const std::vector<rd_kafka_resp_err_t> errors(count, error);
    rd_kafka_mock_push_request_errors_array(cluster_, request, count, errors.data());
  }
  /// The next request of this kind is done, but its answer comes late.
  void delay(std::int16_t request, std::chrono::milliseconds time) {
    rd_kafka_mock_broker_push_request_error_rtts(
        cluster_, 1, request, 1, RD_KAFKA_RESP_ERR_NO_ERROR, static_cast<int>(time.count()));
  }
  /// All that is in the topic, in order within each partition.
  [[nodiscard]] std::vector<ConsumedRecord> read_all(const std::string& topic) const {
    rd_kafka_t* const consumer = make_consumer(topic);
    std::vector<ConsumedRecord> records;
    for (int ended = 0, tries = 0; ended < kPartitions && tries < 5000; ++tries) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 1000);
      if (message == nullptr) continue;
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) ++ended;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) records.push_back(to_record(*message));
      rd_kafka_message_destroy(message);
    }
    rd_kafka_destroy(consumer);
    return records;
  }
  /// Gives what comes to `take` as it comes, until `is_over` and nothing more has come for 10 s.
  /// The cluster keeps the last 5 MiB of a partition only.
  void follow(const std::string& topic, const std::atomic<bool>& is_over,
              const std::function<void(const ConsumedRecord&)>& take) const {
    rd_kafka_t* const consumer = make_consumer(topic);
    for (bool came = true; came || !is_over;) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 10'000);
      came = message != nullptr;
      if (!came) continue;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) take(to_record(*message));
      rd_kafka_message_destroy(message);
    }
    rd_kafka_destroy(consumer);
  }

 private:
  [[nodiscard]] static rd_kafka_t* make_handle(rd_kafka_type_t type,
                                               const std::map<std::string, std::string>& settings) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    std::array<char, 256> text{};
    for (const auto& [name, value] : settings) {
      rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size());
    }
    rd_kafka_t* handle = rd_kafka_new(type, conf, text.data(), text.size());
    if (handle == nullptr) throw std::runtime_error(text.data());
    return handle;
  }
  /// Of all partitions of a topic, from their beginning.
  [[nodiscard]] rd_kafka_t* make_consumer(const std::string& topic) const {
    // A cluster that is set down may swallow a request: it is not waited for as long as usual.
    rd_kafka_t* const consumer =
        make_handle(RD_KAFKA_CONSUMER, {{"bootstrap.servers", brokers()},
                                        {"group.id", "test"},
                                        {"log_level", "2"},
                                        {"enable.auto.commit", "false"},
                                        {"enable.partition.eof", "true"},
                                        {"reconnect.backoff.max.ms", "500"},
                                        {"socket.timeout.ms", "5000"}});
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(kPartitions);
    for (int i = 0; i < kPartitions; ++i) {
      rd_kafka_topic_partition_list_add(all, topic.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_assign(consumer, all);
    rd_kafka_topic_partition_list_destroy(all);
    return consumer;
  }
  [[nodiscard]] static ConsumedRecord to_record(const rd_kafka_message_t& message) {
    const auto text = [](const void* data, std::size_t size) {
      return std::string(static_cast<const char*>(data), size);
    };
    ConsumedRecord record{.key = text(message.key, message.key_len),
                          .body = text(message.payload, message.len),
                          .partition = message.partition};
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const char* name = nullptr;
      const void* value = nullptr;
      std::size_t size = 0;
      for (std::size_t i = 0;
           rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
           ++i) {
        record.headers[name] = text(value, size);
      }
    }
    return record;
  }

  rd_kafka_t* const owner_;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  bool is_down_ = false;
};

}  // namespace postern::delivery
