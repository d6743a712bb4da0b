#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "delivery/sink.h"

namespace postern::delivery {

/// One CloudEvents attribute as a broker's message header.
struct CloudEventHeader {
  std::string name;
  std::string value;
};

/// What the names begin with. AMQP 0-9-1 has no binding of its own; consumers know the names of the
/// AMQP 1.0 binding. @source CloudEvents 1.0.2, AMQP Protocol Binding, section 3.1.3.1
inline constexpr std::string_view kCloudEventsAmqpPrefix = "cloudEvents:";
/// @source CloudEvents 1.0.2, Kafka Protocol Binding, section 3.2.3.1
inline constexpr std::string_view kCloudEventsKafkaPrefix = "ce_";
/// `datacontenttype`: in binary mode both bindings put it into the broker's own content type.
inline constexpr std::string_view kCloudEventsContentType = "application/json";

/// The context attributes of `message` in binary mode (the body stays as it is): specversion, id,
/// type, source ("/postern/<merchant>", percent-encoded), subject (the merchant order id), time,
/// and the extensions posternsequence (decimal) and posternmerchant. Every value is a string.
/// @thread any; pure
/// @source CloudEvents 1.0.2, sections "Required attributes", "Optional attributes"
[[nodiscard]] std::vector<CloudEventHeader> cloud_event_headers(const Message& message,
                                                                std::string_view prefix);

}  // namespace postern::delivery
