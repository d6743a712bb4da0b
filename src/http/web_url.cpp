// Absolute http:// and https:// URLs (RFC 3986). Boost.URL takes them apart; what it allows and no
// host on the Internet is called is refused here.

#include <fmt/format.h>

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>

#include "http/async_client.h"

namespace postern::http {
namespace {

[[nodiscard]] bool is_host_name(std::string_view host) {
  return host.size() <= 253 && !host.starts_with('.') && !host.ends_with('.') &&
         std::ranges::all_of(host, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                  c == '_';
         });
}

}  // namespace

Result<WebUrl> WebUrl::parse(std::string_view text) {
  const auto malformed = [](std::string why) { return rejected("url_malformed", std::move(why)); };
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed) return malformed("no absolute URL, such as https://shop.example/payments");
  WebUrl url;
  if (parsed->scheme_id() == boost::urls::scheme::http) {
    url.scheme = Scheme::kHttp;
    url.port = 80;
  } else if (parsed->scheme_id() != boost::urls::scheme::https) {
    return rejected("url_scheme_unsupported", "only https:// and http:// are spoken here");
  }
  if (!parsed->has_authority() || parsed->has_userinfo() || parsed->has_fragment()) {
    return malformed("a URL has a host here, and neither a user name nor a fragment");
  }
  url.host = parsed->host_address();
  std::ranges::transform(url.host, url.host.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (url.host.empty() || (!IpAddress::parse(url.host) && !is_host_name(url.host))) {
    return malformed("the host is neither a DNS name nor an address without a zone");
  }
  if (parsed->has_port() && !std::string_view(parsed->port()).empty()) {
    const std::string_view digits = parsed->port();
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), url.port);
    if (error != std::errc{} || end != digits.data() + digits.size() || url.port == 0) {
      return malformed("a port is 1 to 65535");
    }
  }
  url.target = std::string_view(parsed->encoded_path());
  if (url.target.empty()) url.target = "/";
  // Boost.URL 1.81 takes what follows the digits of a port for a path: "http://host:80x/".
  if (url.target.front() != '/') return malformed("a port is 1 to 65535");
  if (parsed->has_query()) url.target.append("?").append(std::string_view(parsed->encoded_query()));
  return url;
}

std::string WebUrl::host_field() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  const bool is_own_port = port == (scheme == Scheme::kHttps ? 443 : 80);
  return is_own_port ? name : fmt::format("{}:{}", name, port);
}

}  // namespace postern::http
