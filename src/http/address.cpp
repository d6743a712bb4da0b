// Addresses in text: http:// URLs (RFC 3986) and "host:port" to listen on. Boost.URL takes them
// apart.

#include <boost/asio/ip/address.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <optional>

#include "http/client.h"
#include "http/server.h"

namespace postern::http {
namespace {

[[nodiscard]] std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed) return rejected("url_malformed", "no absolute URL, such as http://host:8080/path");
  if (parsed->scheme_id() != boost::urls::scheme::http) {
    return rejected("url_scheme_unsupported", "only http:// is spoken here");
  }
  if (!parsed->has_authority() || parsed->has_userinfo() || parsed->encoded_host().empty()) {
    return rejected("url_malformed", "a URL has a host, and no user name here");
  }
  Url url;
  url.host = parsed->host_address();
  if (parsed->has_port() && !std::string_view(parsed->port()).empty()) {
    const auto port = parse_port(parsed->port());
    if (!port || *port == 0) return rejected("url_malformed", "a port is 1 to 65535");
    url.port = *port;
  }
  url.target = std::string_view(parsed->encoded_path());
  if (url.target.empty()) url.target = "/";
  // Boost.URL 1.81 takes what follows the digits of a port for a path: "http://host:80x/".
  if (url.target.front() != '/') return rejected("url_malformed", "a port is 1 to 65535");
  if (parsed->has_query()) url.target.append("?").append(std::string_view(parsed->encoded_query()));
  return url;
}

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const auto malformed = [] {
    return rejected(
        "address_malformed",
        "an address to listen on is an IP address and a port, such as 127.0.0.1:8080 or "
        "[::1]:8080");
  };
  const auto parsed = boost::urls::parse_authority(text);
  if (!parsed || parsed->has_userinfo() || !parsed->has_port()) return malformed();
  const auto port = parse_port(parsed->port());
  if (!port) return malformed();
  ListenAddress address{parsed->host_address(), *port};
  boost::system::error_code ec;
  boost::asio::ip::make_address(address.host, ec);
  if (ec) return malformed();
  return address;
}

}  // namespace postern::http
