#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct amqp_connection_state_t_;

namespace postern::delivery {

/// A message as a consumer gets it.
struct ConsumedMessage {
  std::string exchange;
  std::string routing_key;
  std::string message_id;
  std::string content_type;
  std::string type;
  int delivery_mode = 0;
  std::uint64_t timestamp = 0;
  std::map<std::string, std::string> headers;
  std::string body;
};

/// The merchant's side of a broker: declares and consumes. Every error throws.
class RabbitmqClient {
 public:
  struct QueueLimits {
    std::optional<int> length_max;  ///< what comes beyond is refused (reject-publish)
  };
  explicit RabbitmqClient(std::uint16_t port);
  ~RabbitmqClient();
  RabbitmqClient(const RabbitmqClient&) = delete;
  RabbitmqClient& operator=(const RabbitmqClient&) = delete;

  /// A durable topic exchange.
  void declare_exchange(const std::string& name);
  /// A durable queue.
  void declare_queue(const std::string& name, QueueLimits limits = {});
  void bind(const std::string& queue, const std::string& exchange, const std::string& routing_key);
  /// All that is in the queue now, taken out.
  [[nodiscard]] std::vector<ConsumedMessage> take_all(const std::string& queue);
  /// Whether an exchange or a queue of that name is there. Ends the channel, and so this object.
  [[nodiscard]] bool has_queue(const std::string& name);

 private:
  amqp_connection_state_t_* const state_;
};

}  // namespace postern::delivery
