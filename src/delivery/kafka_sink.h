#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "base/secret.h"
#include "delivery/sink.h"

namespace postern::delivery {

struct KafkaSinkOptions {
  std::string endpoint;  ///< its name, for log lines
  std::string brokers;   ///< "host:port,host:port"
  std::string topic;
  /// Further librdkafka properties ("security.protocol", "ssl.ca.location", "sasl.mechanism", ...),
  /// except those of `kafka_reserved_properties`.
  std::map<std::string, std::string> properties;
  /// The same for values that must not be shown ("sasl.password", "ssl.key.password").
  std::map<std::string, Secret> secret_properties;
  std::chrono::milliseconds deadline{15'000};  ///< from `send` to the answer
  std::size_t queue_max = 1000;                ///< unanswered messages
};

/// The properties that hold up the sink's promises and cannot be set.
[[nodiscard]] std::span<const std::string_view> kafka_reserved_properties();

/// Publishes to a Kafka topic by librdkafka's idempotent producer with acks=all.
///
/// The message's key is the merchant order id, so the events of one order share a partition and
/// keep their order; the CloudEvents attributes are headers (`ce_id`, ..., `content-type`); see
/// cloud_events.h. The delivery report decides:
/// - kDelivered "confirmed": written to every replica in sync.
/// - kNotDelivered: the report says that it is not in the log; "timed_out", "queue_full",
///   "message_too_large", "fatal" (until the producer is made anew), "shutting_down", or the lower
///   case of librdkafka's name ("not_enough_replicas").
/// - kUnknown: it may be in the log; same words.
///
/// A fatal error ends a producer (its sequence cannot go on); a new one is made after 0.5 s to
/// 30 s, longer each time until a message is delivered. The brokers need not be up at any time.
/// `done` runs on the sink's own thread. Deadlines are kept to about a second.
/// Lifetime: clock, random and log outlive the sink.
/// @errors kFault kafka_brokers_missing, kafka_topic_malformed, kafka_limits_malformed,
///   kafka_property_reserved, kafka_property_refused, kafka_options_refused
/// @thread any
[[nodiscard]] Result<std::unique_ptr<Sink>> make_kafka_sink(KafkaSinkOptions options,
                                                            const Clock& clock, Random& random,
                                                            Log& log);

}  // namespace postern::delivery
