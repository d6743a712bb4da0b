#include "tests/delivery/rabbitmq_client.h"

#include <amqp.h>
#include <amqp_tcp_socket.h>

#include <array>
#include <stdexcept>
#include <string_view>

namespace postern::delivery {
namespace {

constexpr amqp_channel_t kChannel = 1;

[[nodiscard]] amqp_bytes_t bytes(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};
}
[[nodiscard]] std::string text(amqp_bytes_t from) {
  return {static_cast<const char*>(from.bytes), from.len};
}

void check(const amqp_rpc_reply_t& reply) {
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) throw std::runtime_error("RabbitMQ refused");
}

}  // namespace

RabbitmqClient::RabbitmqClient(std::uint16_t port) : state_(amqp_new_connection()) {
  if (amqp_socket_open(amqp_tcp_socket_new(state_), "127.0.0.1", port) != AMQP_STATUS_OK) {
    throw std::runtime_error("RabbitMQ is not there");
  }
  check(amqp_login(state_, "/", 0, 131'072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"));
  amqp_channel_open(state_, kChannel);
  check(amqp_get_rpc_reply(state_));
}

RabbitmqClient::~RabbitmqClient() {
  amqp_connection_close(state_, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(state_);
}

void RabbitmqClient::declare_exchange(const std::string& name) {
  amqp_exchange_declare(state_, kChannel, bytes(name), bytes("topic"), 0, 1, 0, 0,
                        amqp_empty_table);
  check(amqp_get_rpc_reply(state_));
}

void RabbitmqClient::declare_queue(const std::string& name, QueueLimits limits) {
  std::array<amqp_table_entry_t, 2> entries{};
  entries[0].key = bytes("x-overflow");
  entries[0].value.kind = AMQP_FIELD_KIND_UTF8;
  entries[0].value.value.bytes = bytes("reject-publish");
  entries[1].key = bytes("x-max-length");
  entries[1].value.kind = AMQP_FIELD_KIND_I32;
  entries[1].value.value.i32 = limits.length_max.value_or(0);
  const amqp_table_t limited{.num_entries = 2, .entries = entries.data()};
  amqp_queue_declare(state_, kChannel, bytes(name), 0, 1, 0, 0,
                     limits.length_max ? limited : amqp_empty_table);
  check(amqp_get_rpc_reply(state_));
}

void RabbitmqClient::bind(const std::string& queue, const std::string& exchange,
                          const std::string& routing_key) {
  amqp_queue_bind(state_, kChannel, bytes(queue), bytes(exchange), bytes(routing_key),
                  amqp_empty_table);
  check(amqp_get_rpc_reply(state_));
}

std::vector<ConsumedMessage> RabbitmqClient::take_all(const std::string& queue) {
  std::vector<ConsumedMessage> taken;
  while (true) {
    const amqp_rpc_reply_t reply = amqp_basic_get(state_, kChannel, bytes(queue), 1);
    check(reply);
    if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD) return taken;
    const auto* got = static_cast<const amqp_basic_get_ok_t*>(reply.reply.decoded);
    ConsumedMessage& message = taken.emplace_back();
    message.exchange = text(got->exchange);
    message.routing_key = text(got->routing_key);
    amqp_message_t read;
    check(amqp_read_message(state_, kChannel, &read, 0));
    const amqp_basic_properties_t& properties = read.properties;
    message.message_id = text(properties.message_id);
    message.content_type = text(properties.content_type);
    message.type = text(properties.type);
    message.delivery_mode = properties.delivery_mode;
    message.timestamp = properties.timestamp;
    for (int i = 0; i < properties.headers.num_entries; ++i) {
      const amqp_table_entry_t& entry = properties.headers.entries[i];
      message.headers[text(entry.key)] =
          entry.value.kind == AMQP_FIELD_KIND_UTF8 ? text(entry.value.value.bytes) : "not a text";
    }
    message.body = text(read.body);
    amqp_destroy_message(&read);
    amqp_maybe_release_buffers(state_);
  }
}

bool RabbitmqClient::has_queue(const std::string& name) {
  amqp_queue_declare(state_, kChannel, bytes(name), 1, 0, 0, 0, amqp_empty_table);
  return amqp_get_rpc_reply(state_).reply_type == AMQP_RESPONSE_NORMAL;
}

}  // namespace postern::delivery
