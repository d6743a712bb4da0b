#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "delivery/amqp_address.h"
#include "delivery/amqp_pending.h"
#include "delivery/sink.h"

struct amqp_connection_state_t_;
struct amqp_frame_t_;

namespace postern::delivery {

/// One connection with one channel in confirm mode, by rabbitmq-c. It ends with its first error:
/// every error means that the object is to be destroyed and what it has published is unknown.
/// Lifetime: what the constructor is given outlives it. @thread one at a time
class AmqpConnection {
 public:
  struct Options {
    AmqpAddress address;
    std::string ca_file;   ///< PEM; amqps only
    std::string name;      ///< shown in the broker's list of connections
    std::string exchange;  ///< "" is the default exchange
    std::chrono::seconds heartbeat{10};
    std::chrono::milliseconds step_timeout{5000};  ///< of each of the steps of opening
  };
  struct Settled {
    AmqpPending::Ticket ticket = 0;
    Answer answer;
  };

  AmqpConnection(const Options& options, const Clock& clock);
  ~AmqpConnection();
  AmqpConnection(const AmqpConnection&) = delete;
  AmqpConnection& operator=(const AmqpConnection&) = delete;

  /// The TCP connection and, for amqps, the TLS handshake with the certificate's check.
  /// @errors kRetryable connect_failed, tls_failed
  [[nodiscard]] Result<void> connect();
  /// Logs in, opens the channel and puts it into confirm mode. Declares nothing; asks whether the
  /// exchange is there (a passive declaration). After `connect`.
  /// @errors kRetryable connect_failed, login_refused, exchange_not_found
  [[nodiscard]] Result<void> open();

  /// After `connect`.
  [[nodiscard]] int socket() const;
  /// Whether the socket takes a message now without waiting. It may wait for one longer than what
  /// is free in the kernel's buffer.
  [[nodiscard]] bool is_writable() const;
  /// Whether there is something to read that the socket does not show.
  [[nodiscard]] bool has_buffered() const;

  /// Writes a persistent, mandatory message. After an error it may have been taken all the same.
  /// The message passes `fits`.
  /// @errors kRetryable connection_lost
  [[nodiscard]] Result<void> publish(const AmqpPending::Outgoing& outgoing,
                                     std::string_view routing_key);
  /// Whether the protocol can carry these: short strings end at 255 bytes.
  [[nodiscard]] static bool fits(const Message& message, std::string_view routing_key);

  /// Takes what has arrived, without waiting, and keeps up the heartbeat: call it at least twice in
  /// a heartbeat. Returned and nacked messages are kNotDelivered.
  /// @errors kRetryable connection_lost
  [[nodiscard]] Result<std::vector<Settled>> read();
  /// Takes leave of the broker, so that it does not log a lost client. At most a second.
  void close();

  /// The broker takes nothing for now (connection.blocked: memory or disk alarm).
  [[nodiscard]] bool is_blocked() const { return blocked_; }
  [[nodiscard]] std::size_t unconfirmed() const { return unconfirmed_.size(); }
  /// How long the oldest message has been waiting for its confirm; zero where there is none.
  [[nodiscard]] MonotonicTime oldest_wait() const;

 private:
  struct Unconfirmed {
    AmqpPending::Ticket ticket = 0;
    std::string message_id;
    MonotonicTime published_at{};
  };
  /// The `multiple` flag of a confirm: this message alone, or all up to it.
  enum class Reach : unsigned char { kOne, kUpTo };
  struct Destroy {
    void operator()(amqp_connection_state_t_* state) const;
  };
  using Settlements = std::vector<Settled>;

  [[nodiscard]] Result<void> log_in();
  [[nodiscard]] Result<void> open_channel();
  [[nodiscard]] Result<void> handle(const amqp_frame_t_& frame, Settlements& settled);
  [[nodiscard]] Result<void> handle_method(const amqp_frame_t_& frame, Settlements& settled);
  void settle(std::uint64_t tag, Reach reach, const Answer& answer, Settlements& settled);
  void settle_returned(std::string_view message_id, Settlements& settled);

  const Options& options_;
  const Clock& clock_;
  const std::unique_ptr<amqp_connection_state_t_, Destroy> state_;
  bool blocked_ = false;
  std::uint64_t last_tag_ = 0;
  std::map<std::uint64_t, Unconfirmed> unconfirmed_;  ///< by delivery tag
  std::optional<std::string> return_reason_;          ///< between basic.return and its header
  std::optional<Error> failure_;                      ///< found by a `read` that had settlements
};

}  // namespace postern::delivery
