#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace postern::delivery {

/// Where a RabbitMQ broker is and who we are there.
struct AmqpAddress {
  enum class Transport : unsigned char { kPlain, kTls };
  Transport transport = Transport::kPlain;
  std::string host;  ///< a name or numeric address, without brackets
  std::uint16_t port = 5672;
  std::string vhost = "/";
  std::string user;
  Secret password;
};

/// Reads amqp[s]://user[:password]@host[:port][/vhost]; user, password and vhost percent-encoded,
/// the vhost "/" written as "/%2F" or left out. The ports default to 5672 and 5671. Errors never
/// quote the URL.
/// @param url       may hold the password, hence a Secret
/// @param password  instead of one in the URL; exactly one of the two must be given
/// @errors kFault amqp_url_malformed, amqp_user_missing, amqp_password_missing, amqp_password_twice
/// @thread any; pure
/// @source RabbitMQ documentation, "URI Specification"; RFC 3986
[[nodiscard]] Result<AmqpAddress> parse_amqp_address(const Secret& url, const Secret& password);

}  // namespace postern::delivery
