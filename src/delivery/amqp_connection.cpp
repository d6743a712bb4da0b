// AMQP 0-9-1 with RabbitMQ's extensions: confirm.select numbers the messages of a channel 1, 2, 3,
// ... and basic.ack or basic.nack answer a number, or with `multiple` all numbers up to it. An
// unroutable mandatory message comes back first, as basic.return, header and body, and is then
// acked. Sources: RabbitMQ documentation, "Consumer Acknowledgements and Publisher Confirms" and
// "Blocked Connections"; rabbitmq-c 0.11, amqp.h.
#include "delivery/amqp_connection.h"

#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <fmt/format.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>

#include <array>
#include <utility>

#include "base/check.h"
#include "delivery/cloud_events.h"

namespace postern::delivery {
namespace {

constexpr amqp_channel_t kChannel = 1;
constexpr int kFrameBytesMax = 131'072;
constexpr std::size_t kShortStringBytesMax = 255;
/// More than this at once, and new messages would wait for the reading of old confirms.
constexpr int kFramesPerRead = 1000;
constexpr std::uint8_t kPersistent = 2;

[[nodiscard]] amqp_bytes_t bytes(std::string_view text) {
  // The library reads only; its struct knows no const.
  return {text.size(), const_cast<char*>(text.data())};
}
[[nodiscard]] std::string_view view(amqp_bytes_t text) {
  return {static_cast<const char*>(text.bytes), text.len};
}
[[nodiscard]] amqp_table_entry_t text_entry(std::string_view key, std::string_view value) {
  amqp_table_entry_t entry{};
  entry.key = bytes(key);
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = bytes(value);
  return entry;
}
[[nodiscard]] timeval to_timeval(std::chrono::milliseconds time) {
  return {.tv_sec = time.count() / 1000, .tv_usec = time.count() % 1000 * 1000};
}

/// What a closing broker says: "403 ACCESS_REFUSED - ...".
struct Closing {
  int code = 0;
  std::string text;
};
[[nodiscard]] std::optional<Closing> closing(const amqp_method_t& method) {
  if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto* close = static_cast<const amqp_channel_close_t*>(method.decoded);
    return Closing{close->reply_code, std::string(view(close->reply_text))};
  }
  if (method.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto* close = static_cast<const amqp_connection_close_t*>(method.decoded);
    return Closing{close->reply_code, std::string(view(close->reply_text))};
  }
  return std::nullopt;
}

/// The error of a step that waits for an answer; `refused` where it was the broker that said no.
[[nodiscard]] Result<void> check_reply(const amqp_rpc_reply_t& reply, std::string_view refused) {
  switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
      return {};
    case AMQP_RESPONSE_SERVER_EXCEPTION:
      if (const auto said = closing(reply.reply)) {
        return retryable(refused, fmt::format("{} {}", said->code, said->text));
      }
      return retryable(refused, "the broker refused without a reason");
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
      return retryable("connect_failed", amqp_error_string2(reply.library_error));
    case AMQP_RESPONSE_NONE:
      break;
  }
  return retryable("connect_failed", "no answer from the broker");
}

[[nodiscard]] bool is_tls_failure(int status) {
  return status == AMQP_STATUS_SSL_ERROR || status == AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED ||
         status == AMQP_STATUS_SSL_PEER_VERIFY_FAILED ||
         status == AMQP_STATUS_SSL_CONNECTION_FAILED;
}

}  // namespace

void AmqpConnection::Destroy::operator()(amqp_connection_state_t_* state) const {
  amqp_destroy_connection(state);
}

AmqpConnection::AmqpConnection(const Options& options, const Clock& clock)
    : options_(options), clock_(clock), state_(amqp_new_connection()) {
  POSTERN_CHECK(state_ != nullptr);
}

AmqpConnection::~AmqpConnection() = default;

Result<void> AmqpConnection::connect() {
  const bool tls = options_.address.transport == AmqpAddress::Transport::kTls;
  amqp_socket_t* socket =
      tls ? amqp_ssl_socket_new(state_.get()) : amqp_tcp_socket_new(state_.get());
  if (socket == nullptr) return retryable("connect_failed", "no memory for a socket");
  if (tls) {
    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 1);
    if (amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST) != AMQP_STATUS_OK) {
      return retryable("tls_failed", "TLS 1.2 is not available");
    }
    if (amqp_ssl_socket_set_cacert(socket, options_.ca_file.c_str()) != AMQP_STATUS_OK) {
      return retryable("tls_failed", "the file of CA certificates cannot be read");
    }
  }
  const timeval timeout = to_timeval(options_.step_timeout);
  const int status = amqp_socket_open_noblock(socket, options_.address.host.c_str(),
                                              options_.address.port, &timeout);
  if (status != AMQP_STATUS_OK) {
    return retryable(is_tls_failure(status) ? "tls_failed" : "connect_failed",
                     amqp_error_string2(status));
  }
  return {};
}

Result<void> AmqpConnection::open() {
  POSTERN_RETURN_IF_ERROR(log_in());
  return open_channel();
}

Result<void> AmqpConnection::log_in() {
  const timeval timeout = to_timeval(options_.step_timeout);
  amqp_set_handshake_timeout(state_.get(), &timeout);
  amqp_set_rpc_timeout(state_.get(), &timeout);

  // Without this capability the broker would stop reading and not say why.
  amqp_table_entry_t capability{};
  capability.key = bytes("connection.blocked");
  capability.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  capability.value.value.boolean = 1;
  std::array<amqp_table_entry_t, 3> entries{
      text_entry("product", "Postern"), text_entry("connection_name", options_.name), {}};
  entries[2].key = bytes("capabilities");
  entries[2].value.kind = AMQP_FIELD_KIND_TABLE;
  entries[2].value.value.table = {.num_entries = 1, .entries = &capability};
  const amqp_table_t properties{.num_entries = static_cast<int>(entries.size()),
                                .entries = entries.data()};

  const AmqpAddress& address = options_.address;
  // The library wants a C string.
  std::string password(address.password.reveal());
  const amqp_rpc_reply_t reply =
      amqp_login_with_properties(state_.get(), address.vhost.c_str(), 0, kFrameBytesMax,
                                 static_cast<int>(options_.heartbeat.count()), &properties,
                                 AMQP_SASL_METHOD_PLAIN, address.user.c_str(), password.c_str());
  explicit_bzero(password.data(), password.size());
  return check_reply(reply, "login_refused");
}

Result<void> AmqpConnection::open_channel() {
  amqp_channel_open(state_.get(), kChannel);
  POSTERN_RETURN_IF_ERROR(check_reply(amqp_get_rpc_reply(state_.get()), "login_refused"));
  // The default exchange is always there, and asking for it is an error.
  if (!options_.exchange.empty()) {
    constexpr amqp_boolean_t kPassive = 1;
    amqp_exchange_declare(state_.get(), kChannel, bytes(options_.exchange), amqp_empty_bytes,
                          kPassive, 0, 0, 0, amqp_empty_table);
    POSTERN_RETURN_IF_ERROR(check_reply(amqp_get_rpc_reply(state_.get()), "exchange_not_found"));
  }
  amqp_confirm_select(state_.get(), kChannel);
  return check_reply(amqp_get_rpc_reply(state_.get()), "login_refused");
}

int AmqpConnection::socket() const {
  return amqp_get_sockfd(state_.get());
}

bool AmqpConnection::is_writable() const {
  pollfd waiting{.fd = socket(), .events = POLLOUT, .revents = 0};
  return ::poll(&waiting, 1, 0) == 1 && (waiting.revents & POLLOUT) != 0;
}

bool AmqpConnection::has_buffered() const {
  return amqp_frames_enqueued(state_.get()) != 0 || amqp_data_in_buffer(state_.get()) != 0;
}

MonotonicTime AmqpConnection::oldest_wait() const {
  if (unconfirmed_.empty()) return {};
  return clock_.monotonic() - unconfirmed_.begin()->second.published_at;
}

bool AmqpConnection::fits(const Message& message, std::string_view routing_key) {
  return message.id.size() <= kShortStringBytesMax && message.type.size() <= kShortStringBytesMax &&
         routing_key.size() <= kShortStringBytesMax;
}

Result<void> AmqpConnection::publish(const AmqpPending::Outgoing& outgoing,
                                     std::string_view routing_key) {
  const Message& message = outgoing.message;
  const std::vector<CloudEventHeader> attributes =
      cloud_event_headers(message, kCloudEventsAmqpPrefix);
  std::vector<amqp_table_entry_t> headers;
  headers.reserve(attributes.size());
  for (const CloudEventHeader& attribute : attributes) {
    headers.push_back(text_entry(attribute.name, attribute.value));
  }
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_HEADERS_FLAG |
                      AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
                      AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG;
  properties.content_type = bytes(kCloudEventsContentType);
  properties.headers = {.num_entries = static_cast<int>(headers.size()), .entries = headers.data()};
  properties.delivery_mode = kPersistent;
  properties.message_id = bytes(message.id);
  properties.timestamp = static_cast<std::uint64_t>(
      std::chrono::floor<std::chrono::seconds>(message.created_at).time_since_epoch().count());
  properties.type = bytes(message.type);

  unconfirmed_.emplace(++last_tag_, Unconfirmed{.ticket = outgoing.ticket,
                                                .message_id = message.id,
                                                .published_at = clock_.monotonic()});
  constexpr amqp_boolean_t kMandatory = 1;
  const int status =
      amqp_basic_publish(state_.get(), kChannel, bytes(options_.exchange), bytes(routing_key),
                         kMandatory, 0, &properties, bytes(message.body));
  if (status != AMQP_STATUS_OK) return retryable("connection_lost", amqp_error_string2(status));
  return {};
}

Result<AmqpConnection::Settlements> AmqpConnection::read() {
  if (failure_) return std::unexpected(*failure_);
  Settlements settled;
  for (int i = 0; i < kFramesPerRead; ++i) {
    amqp_frame_t frame;
    const timeval no_wait{};
    const int status = amqp_simple_wait_frame_noblock(state_.get(), &frame, &no_wait);
    if (status == AMQP_STATUS_TIMEOUT) break;
    Result<void> handled;
    if (status != AMQP_STATUS_OK) {
      handled = retryable("connection_lost", amqp_error_string2(status));
    } else {
      handled = handle(frame, settled);
    }
    if (!handled) {
      if (settled.empty()) return std::unexpected(std::move(handled).error());
      // What was confirmed before the end counts: the error is told by the next read.
      failure_ = std::move(handled).error();
      break;
    }
  }
  amqp_maybe_release_buffers(state_.get());
  return settled;
}

Result<void> AmqpConnection::handle(const amqp_frame_t_& frame, Settlements& settled) {
  if (frame.frame_type == AMQP_FRAME_METHOD) return handle_method(frame, settled);
  // The header that follows basic.return names the message; its body is of no interest.
  if (frame.frame_type == AMQP_FRAME_HEADER && return_reason_) {
    const auto* properties =
        static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded);
    if ((properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0) {
      settle_returned(view(properties->message_id), settled);
    }
    return_reason_.reset();
  }
  return {};
}

Result<void> AmqpConnection::handle_method(const amqp_frame_t_& frame, Settlements& settled) {
  const amqp_method_t& method = frame.payload.method;
  if (const auto said = closing(method)) {
    return retryable("connection_lost",
                     fmt::format("closed by the broker: {} {}", said->code, said->text));
  }
  const auto reach = [](amqp_boolean_t multiple) {
    return multiple != 0 ? Reach::kUpTo : Reach::kOne;
  };
  switch (method.id) {
    case AMQP_BASIC_ACK_METHOD: {
      const auto* ack = static_cast<const amqp_basic_ack_t*>(method.decoded);
      settle(ack->delivery_tag, reach(ack->multiple),
             Answer{.verdict = Answer::Verdict::kDelivered, .code = "confirmed"}, settled);
      break;
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto* nack = static_cast<const amqp_basic_nack_t*>(method.decoded);
      settle(nack->delivery_tag, reach(nack->multiple),
             Answer{.verdict = Answer::Verdict::kNotDelivered,
                    .code = "nacked",
                    .excerpt = "the broker did not take it: is the queue full?"},
             settled);
      break;
    }
    case AMQP_BASIC_RETURN_METHOD: {
      const auto* returned = static_cast<const amqp_basic_return_t*>(method.decoded);
      return_reason_ = fmt::format("{} {}", returned->reply_code, view(returned->reply_text));
      break;
    }
    case AMQP_CONNECTION_BLOCKED_METHOD:
      blocked_ = true;
      break;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
      blocked_ = false;
      break;
    default:  // The broker's other methods answer what we never ask.
      break;
  }
  return {};
}

void AmqpConnection::settle(std::uint64_t tag, Reach reach, const Answer& answer,
                            Settlements& settled) {
  const bool up_to = reach == Reach::kUpTo;
  const auto first = up_to ? unconfirmed_.begin() : unconfirmed_.lower_bound(tag);
  // Number 0 with `multiple` means all there are. A number that is answered already finds nothing.
  const auto last = up_to && tag == 0 ? unconfirmed_.end() : unconfirmed_.upper_bound(tag);
  for (auto one = first; one != last; one = unconfirmed_.erase(one)) {
    settled.push_back({.ticket = one->second.ticket, .answer = answer});
  }
}

void AmqpConnection::settle_returned(std::string_view message_id, Settlements& settled) {
  // Messages come back in the order they were sent: of several with one id it is the oldest.
  for (auto one = unconfirmed_.begin(); one != unconfirmed_.end(); ++one) {
    if (one->second.message_id != message_id) continue;
    settled.push_back({.ticket = one->second.ticket,
                       .answer = {.verdict = Answer::Verdict::kNotDelivered,
                                  .code = "returned",
                                  .excerpt = *return_reason_}});
    unconfirmed_.erase(one);
    return;
  }
}

void AmqpConnection::close() {
  const timeval timeout{.tv_sec = 1, .tv_usec = 0};
  amqp_set_rpc_timeout(state_.get(), &timeout);
  amqp_connection_close(state_.get(), AMQP_REPLY_SUCCESS);
}

}  // namespace postern::delivery
