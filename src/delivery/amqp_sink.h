#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "base/secret.h"
#include "delivery/sink.h"

namespace postern::delivery {

struct AmqpSinkOptions {
  std::string endpoint;  ///< its name, for log lines and the broker's list of connections
  /// amqp[s]://user[:password]@host[:port][/vhost], the vhost percent-encoded.
  Secret url;
  Secret password;  ///< where it does not stand in the URL
  /// PEM file of the authorities that may vouch for an amqps broker, whose certificate must name
  /// the host of the URL. Read again at every connection.
  std::string ca_file = "/etc/ssl/certs/ca-certificates.crt";
  /// Must be there: Postern declares nothing. "" is the broker's default exchange, whose routing
  /// keys are names of queues.
  std::string exchange;
  std::string routing_key;  ///< empty: the event's type
  std::chrono::seconds heartbeat{10};
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds deadline{15'000};  ///< from `send` to the answer
  std::size_t queue_max = 1000;                ///< unanswered messages
  std::size_t unconfirmed_max = 256;           ///< of them, on the wire
};

/// Publishes to RabbitMQ: persistent, mandatory, with publisher confirms.
///
/// The message has message_id (the event's id), timestamp, type, content_type application/json and
/// the CloudEvents attributes as headers (`cloudEvents:id`, ...); see cloud_events.h. Answers:
/// - kDelivered "confirmed": basic.ack.
/// - kNotDelivered: "returned" (no queue for it), "nacked" (such as a full queue), "queue_full"
///   (ours), "message_malformed", "broker_blocked" (its memory or disk alarm), and without a
///   connection at once "connect_failed", "tls_failed", "login_refused", "exchange_not_found";
///   "timed_out" where it was never sent; "shutting_down".
/// - kUnknown once it was sent: "timed_out", "connection_lost", "shutting_down".
///
/// The connection is opened by a thread of its own, which starts here; the broker need not be up.
/// After a failure the next try comes in 0.5 s to 30 s, longer each time until a message is
/// confirmed. `done` runs on a second thread, in no particular order. The destructor waits for a
/// connection being opened, at most `connect_timeout` and the resolver's.
/// Lifetime: clock, random and log outlive the sink.
/// @errors kFault amqp_url_malformed, amqp_user_missing, amqp_password_missing,
///   amqp_password_twice, amqp_ca_unreadable, amqp_exchange_malformed, amqp_routing_key_malformed,
///   amqp_limits_malformed
/// @thread any
[[nodiscard]] Result<std::unique_ptr<Sink>> make_amqp_sink(AmqpSinkOptions options,
                                                           const Clock& clock, Random& random,
                                                           Log& log);

}  // namespace postern::delivery
