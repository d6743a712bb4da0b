// amqp_URI = "amqp[s]://" [ amqp_authority ] [ "/" vhost ], after RabbitMQ's URI Specification.
// Stricter where silence would surprise: no default user and no query.
#include "delivery/amqp_address.h"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <string_view>
#include <utility>

namespace postern::delivery {
namespace {

/// The handshake carries them as C strings.
[[nodiscard]] bool has_nul(std::string_view text) {
  return text.find('\0') != std::string_view::npos;
}

}  // namespace

Result<AmqpAddress> parse_amqp_address(const Secret& url, const Secret& password) {
  const auto malformed = [](std::string detail) {
    return fault("amqp_url_malformed", std::move(detail));
  };
  const auto parsed = boost::urls::parse_uri(url.reveal());
  if (!parsed) return malformed("write it as amqps://user@host:port/vhost");
  const boost::urls::url_view& view = *parsed;

  AmqpAddress address;
  if (view.scheme() == "amqps") {
    address.transport = AmqpAddress::Transport::kTls;
    address.port = 5671;
  } else if (view.scheme() != "amqp") {
    return malformed("it begins with amqp:// or amqps://");
  }
  if (view.has_query() || view.has_fragment()) return malformed("it has no query and no fragment");
  address.host = view.host_address();
  if (address.host.empty() || has_nul(address.host)) return malformed("name the host");
  if (view.has_port() && !view.port().empty()) {
    if (view.port_number() == 0) return malformed("the port is 1 to 65535");
    address.port = view.port_number();
  }
  const auto segments = view.encoded_segments();
  if (segments.size() > 1) return malformed("write a '/' inside the vhost as %2F");
  if (!segments.empty()) {
    if (std::string vhost = (*segments.begin()).decode(); !vhost.empty()) {
      address.vhost = std::move(vhost);
    }
  }
  if (has_nul(address.vhost) || address.vhost.size() > 255) {
    return malformed("the vhost is at most 255 bytes without NUL");
  }

  address.user = view.user();
  if (address.user.empty() || has_nul(address.user)) {
    return fault("amqp_user_missing", "name the user: amqps://user@host/vhost");
  }
  const bool in_url = view.has_password() && !view.encoded_password().empty();
  if (in_url && !password.empty()) {
    return fault("amqp_password_twice", "the password stands in the URL and beside it: keep one");
  }
  address.password = in_url ? Secret(view.password()) : password;
  if (address.password.empty() || has_nul(address.password.reveal())) {
    return fault("amqp_password_missing", "give the password as a secret of its own");
  }
  return address;
}

}  // namespace postern::delivery
