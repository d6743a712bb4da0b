// Two threads: the worker owns the connection and everything of rabbitmq-c, which may block; the
// answering thread of AmqpPending keeps deadlines and calls back. Senders touch only the pending
// messages and wake the worker through an eventfd, since it waits in poll for the socket as well.
#include "delivery/amqp_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdint>
#include <fstream>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "delivery/amqp_connection.h"
#include "delivery/amqp_pending.h"
#include "delivery/excerpt.h"
#include "delivery/reconnect_backoff.h"

namespace postern::delivery {
namespace {

/// How long the destructor leaves the worker to take leave before it cuts the connection.
constexpr std::chrono::milliseconds kLeaveTimeout{1500};
/// Messages written between two looks at what the broker said.
constexpr int kPublishBurst = 64;

class WakeUp {
 public:
  WakeUp() : file_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { POSTERN_CHECK(file_ >= 0); }
  ~WakeUp() { ::close(file_); }
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;

  void signal() const {
    constexpr std::uint64_t kOne = 1;
    // Fails only where it is signalled already.
    [[maybe_unused]] const auto written = ::write(file_, &kOne, sizeof(kOne));
  }
  void clear() const {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto size = ::read(file_, &count, sizeof(count));
  }
  [[nodiscard]] int file() const { return file_; }

 private:
  const int file_;
};

class AmqpSink final : public Sink {
 public:
  AmqpSink(AmqpSinkOptions options, AmqpAddress address, const Clock& clock, Random& random,
           Log& log)
      : options_(std::move(options)),
        connection_options_{.address = std::move(address),
                            .ca_file = options_.ca_file,
                            .name = "postern " + options_.endpoint,
                            .exchange = options_.exchange,
                            .heartbeat = options_.heartbeat,
                            .step_timeout = options_.connect_timeout},
        clock_(clock),
        log_(log),
        backoff_(random),
        pending_({.queue_max = options_.queue_max, .deadline = options_.deadline}, clock),
        worker_([this] { run(); }) {}

  ~AmqpSink() override {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    wake_up_.signal();
    if (!changed_.wait_for(lock, kLeaveTimeout, [this] { return finished_; }) && socket_ >= 0) {
      // The worker hangs in a read or a write: end it.
      ::shutdown(socket_, SHUT_RDWR);
    }
    lock.unlock();
    worker_.join();
  }

  void send(Message message, std::move_only_function<void(Answer)> done) override {
    pending_.submit(std::move(message), std::move(done));
    wake_up_.signal();
  }

 private:
  void run() {
    while (!stopping()) {
      AmqpConnection connection(connection_options_, clock_);
      Error error = use(connection);
      forget_socket();
      if (stopping()) break;
      give_up(error);
    }
    pending_.refuse("shutting_down", "");
    pending_.lose("shutting_down", "");
    const std::scoped_lock lock(mutex_);
    finished_ = true;
    changed_.notify_all();
  }

  /// The whole life of one connection; returns why it ended.
  [[nodiscard]] Error use(AmqpConnection& connection) {
    if (auto connected = connection.connect(); !connected) return connected.error();
    remember_socket(connection.socket());
    if (stopping()) return {};
    if (auto opened = connection.open(); !opened) return opened.error();
    log_.info("amqp_connected", {{"endpoint", options_.endpoint},
                                 {"host", connection_options_.address.host},
                                 {"port", connection_options_.address.port}});
    pending_.accept();
    const MonotonicTime since = clock_.monotonic();
    Result<void> served;
    while (served && !stopping()) {
      served = serve(connection);
    }
    if (clock_.monotonic() - since > ReconnectBackoff::kDelayMax) backoff_.reset();
    if (!served) return served.error();
    connection.close();
    return {};
  }

  /// One round: takes what the broker said, sends what is waiting, sleeps until there is more.
  [[nodiscard]] Result<void> serve(AmqpConnection& connection) {
    const bool was_blocked = connection.is_blocked();
    POSTERN_ASSIGN_OR_RETURN(const auto settled, connection.read());
    for (const auto& [ticket, answer] : settled) {
      pending_.settle(ticket, Answer{.verdict = answer.verdict,
                                     .code = answer.code,
                                     .excerpt = make_excerpt(answer.excerpt)});
    }
    // A broker that answers messages is not one that only lets us in to throw us out.
    if (!settled.empty()) backoff_.reset();
    if (connection.is_blocked() != was_blocked) tell_blocked(connection);
    if (!connection.is_blocked() && connection.oldest_wait() > 2 * options_.deadline) {
      return retryable("connection_lost", "the broker owes a confirm for too long");
    }
    POSTERN_RETURN_IF_ERROR(publish(connection));
    wait(connection);
    return {};
  }

  [[nodiscard]] Result<void> publish(AmqpConnection& connection) {
    for (int i = 0; i < kPublishBurst && may_publish(connection); ++i) {
      const auto outgoing = pending_.take();
      if (!outgoing) break;
      const std::string_view routing_key =
          options_.routing_key.empty() ? outgoing->message.type : options_.routing_key;
      if (!AmqpConnection::fits(outgoing->message, routing_key)) {
        pending_.settle(outgoing->ticket,
                        Answer{.verdict = Answer::Verdict::kNotDelivered,
                               .code = "message_malformed",
                               .excerpt = "id, type and routing key are at most 255 bytes"});
        continue;
      }
      POSTERN_RETURN_IF_ERROR(connection.publish(*outgoing, routing_key));
    }
    return {};
  }

  [[nodiscard]] bool may_publish(const AmqpConnection& connection) const {
    return !connection.is_blocked() && connection.unconfirmed() < options_.unconfirmed_max &&
           connection.is_writable();
  }

  void wait(const AmqpConnection& connection) {
    const bool room = !connection.is_blocked() &&
                      connection.unconfirmed() < options_.unconfirmed_max && pending_.has_untaken();
    // A full socket is waited for; without room only the broker or a new message changes anything.
    const auto events = static_cast<short>(room ? POLLIN | POLLOUT : POLLIN);
    std::array<pollfd, 2> waiting{pollfd{.fd = connection.socket(), .events = events, .revents = 0},
                                  pollfd{.fd = wake_up_.file(), .events = POLLIN, .revents = 0}};
    // rabbitmq-c sends heartbeats only while it is called.
    const auto time = std::min<std::chrono::milliseconds>(
        std::chrono::seconds(1), std::chrono::milliseconds(options_.heartbeat) / 4);
    ::poll(waiting.data(), waiting.size(),
           connection.has_buffered() ? 0 : static_cast<int>(time.count()));
    wake_up_.clear();
  }

  void tell_blocked(const AmqpConnection& connection) {
    if (connection.is_blocked()) {
      log_.warning("amqp_broker_blocked", {{"endpoint", options_.endpoint}});
      pending_.refuse("broker_blocked", "the broker's memory or disk alarm is on");
    } else {
      log_.info("amqp_broker_unblocked", {{"endpoint", options_.endpoint}});
      pending_.accept();
    }
  }

  /// Answers everything and stays away from the broker for a while.
  void give_up(const Error& error) {
    const std::string excerpt = make_excerpt(error.detail);
    const bool was_open = error.code == "connection_lost";
    pending_.refuse(was_open ? "connect_failed" : std::string(error.code), excerpt);
    pending_.lose("connection_lost", excerpt);
    const std::chrono::milliseconds delay = backoff_.next();
    log_.warning(was_open ? "amqp_connection_lost" : "amqp_connection_failed",
                 {{"endpoint", options_.endpoint},
                  {"code", error.code},
                  {"detail", excerpt},
                  {"retry_in_ms", delay.count()}});
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, delay, [this] { return stopping_; });
  }

  [[nodiscard]] bool stopping() {
    const std::scoped_lock lock(mutex_);
    return stopping_;
  }
  void remember_socket(int socket) {
    const std::scoped_lock lock(mutex_);
    // The library closes its own when it likes; the number could be another file's by then.
    socket_ = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
  }
  void forget_socket() {
    const std::scoped_lock lock(mutex_);
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  // Constant after construction.
  const AmqpSinkOptions options_;
  const AmqpConnection::Options connection_options_;
  const Clock& clock_;
  Log& log_;
  const WakeUp wake_up_;

  // The worker's.
  ReconnectBackoff backoff_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  bool stopping_ = false;
  bool finished_ = false;
  int socket_ = -1;  ///< a second handle of the connection in use

  AmqpPending pending_;
  std::thread worker_;
};

[[nodiscard]] Result<void> check_options(const AmqpSinkOptions& options,
                                         AmqpAddress::Transport transport) {
  constexpr std::size_t kShortStringBytesMax = 255;
  if (options.exchange.size() > kShortStringBytesMax) {
    return fault("amqp_exchange_malformed", "an exchange's name is at most 255 bytes");
  }
  if (options.routing_key.size() > kShortStringBytesMax) {
    return fault("amqp_routing_key_malformed", "a routing key is at most 255 bytes");
  }
  if (options.heartbeat < std::chrono::seconds(1) || options.heartbeat > std::chrono::hours(1) ||
      options.connect_timeout <= std::chrono::milliseconds(0) ||
      options.deadline <= std::chrono::milliseconds(0) || options.queue_max == 0 ||
      options.unconfirmed_max == 0) {
    return fault("amqp_limits_malformed",
                 "heartbeat is 1 s to 1 h, every other limit is above zero");
  }
  if (transport == AmqpAddress::Transport::kTls && !std::ifstream(options.ca_file)) {
    return fault("amqp_ca_unreadable",
                 fmt::format("cannot read the CA certificates in {}", options.ca_file));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Sink>> make_amqp_sink(AmqpSinkOptions options, const Clock& clock,
                                             Random& random, Log& log) {
  POSTERN_ASSIGN_OR_RETURN(AmqpAddress address, parse_amqp_address(options.url, options.password));
  POSTERN_RETURN_IF_ERROR(check_options(options, address.transport));
  return std::make_unique<AmqpSink>(std::move(options), std::move(address), clock, random, log);
}

}  // namespace postern::delivery
