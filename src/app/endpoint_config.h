#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "app/config_section.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "delivery/amqp_sink.h"
#include "delivery/kafka_sink.h"
#include "delivery/webhook_sink.h"
#include "http/async_client.h"

namespace postern::app {

struct EndpointConfig {
  using Way =
      std::variant<delivery::WebhookOptions, delivery::AmqpSinkOptions, delivery::KafkaSinkOptions>;

  EndpointName name;
  Way way;
  std::vector<std::string> events;
  std::vector<AccountName> accounts;  ///< empty: all
  std::size_t concurrency = 8;        ///< tries under way at once
  /// What is owed is written and kept, and nothing is sent.
  enum class Sending : unsigned char { kOn, kPaused } sending = Sending::kOn;
};

/// As the configuration calls it: "webhook", "amqp", "kafka".
[[nodiscard]] std::string_view kind_of(const EndpointConfig& endpoint);

/// Reads [endpoint.NAME] and checks what can be checked without the other side.
/// @param accounts  those the file has
/// @errors kFault setting_missing, setting_malformed, setting_unknown
[[nodiscard]] Result<EndpointConfig> read_endpoint(Section section, const std::string& name,
                                                   const std::vector<AccountName>& accounts,
                                                   const std::filesystem::path& folder);

/// What sinks ask of the world. Lifetime: outlives them.
struct SinkWorld {
  http::ClientThread& client_thread;  ///< shared by all webhooks
  const Clock& clock;
  Random& random;
  Log& log;
};

/// Makes the way out of an endpoint; nothing is connected yet. @errors those of the sinks
[[nodiscard]] Result<std::unique_ptr<delivery::Sink>> make_sink(const EndpointConfig& endpoint,
                                                                SinkWorld world);

}  // namespace postern::app
