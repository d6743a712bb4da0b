// CloudEvents 1.0.2 in binary content mode: the body is the event's data, byte for byte, and each
// context attribute is one header of the broker's message.
#include "delivery/cloud_events.h"

#include <fmt/format.h>

#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <utility>

namespace postern::delivery {

std::vector<CloudEventHeader> cloud_event_headers(const Message& message, std::string_view prefix) {
  std::vector<CloudEventHeader> headers;
  headers.reserve(8);
  const auto add = [&](std::string_view name, std::string value) {
    headers.push_back({fmt::format("{}{}", prefix, name), std::move(value)});
  };
  add("specversion", "1.0");
  add("id", message.id);
  add("type", message.type);
  // A URI reference: a merchant's name may hold characters that a path segment may not.
  add("source", "/postern/" + boost::urls::encode(message.merchant, boost::urls::unreserved_chars));
  add("subject", message.merchant_order_id);
  add("time", format_rfc3339(message.created_at));
  add("posternsequence", fmt::format("{}", message.sequence));
  add("posternmerchant", message.merchant);
  return headers;
}

}  // namespace postern::delivery
