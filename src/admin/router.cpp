// Targets are in origin form (RFC 9112, section 3.2.1), taken apart by Boost.URL; the key comes as
// "Authorization: Bearer KEY" (RFC 6750, section 2.1). A key in the URL counts for nothing.
#include "admin/router.h"

#include <algorithm>
#include <array>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "admin/reply.h"
#include "crypto/digest.h"

namespace postern::admin {
namespace {

constexpr std::string_view kKeyedSegment = "v1";

using Segments = std::vector<std::string>;

[[nodiscard]] Segments split(std::string_view pattern) {
  Segments segments;
  while (!pattern.empty()) {
    pattern.remove_prefix(1);
    const std::size_t end = std::min(pattern.find('/'), pattern.size());
    segments.emplace_back(pattern.substr(0, end));
    pattern.remove_prefix(end);
  }
  return segments;
}

/// What stands for the {} of `pattern`; nothing where it does not match.
[[nodiscard]] std::optional<std::vector<std::string>> match(const Segments& pattern,
                                                            const Segments& path) {
  if (pattern.size() != path.size()) return std::nullopt;
  std::vector<std::string> captures;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (pattern[i] == "{}") {
      captures.push_back(path[i]);
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  return captures;
}

[[nodiscard]] bool is_keyed(const Segments& path) {
  return !path.empty() && path.front() == kKeyedSegment;
}

[[nodiscard]] std::string digest_of(std::string_view key) {
  return crypto::digest(crypto::DigestAlgorithm::kSha256, key);
}

[[nodiscard]] std::string key_digest(const Secret& key) {
  return key.empty() ? std::string() : digest_of(key.reveal());
}

void forbid_browsers_to_misread(HttpResponse& response) {
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("Content-Security-Policy",
                                "default-src 'none'; frame-ancestors 'none'");
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
}

}  // namespace

struct Router::Route {
  std::string method;
  Segments pattern;
  Handler handler;
  std::array<Counter*, 6> answered{};  // by the first digit of the code
};

struct Router::Target {
  Segments path;
  Query query;

  [[nodiscard]] static std::optional<Target> parse(std::string_view text) {
    const auto url = boost::urls::parse_origin_form(text);
    if (url.has_error()) return std::nullopt;
    Target target;
    for (const auto& segment : url->segments()) target.path.emplace_back(segment);
    Query::Pairs pairs;
    for (const auto& parameter : url->params()) pairs.emplace_back(parameter.key, parameter.value);
    target.query = Query(std::move(pairs));
    return target;
  }
};

Result<void> Query::allow(std::initializer_list<std::string_view> names) const {
  for (const auto& [name, value] : pairs_) {
    if (std::ranges::find(names, name) == names.end()) {
      std::string known;
      for (const std::string_view one : names) {
        known += known.empty() ? "" : ", ";
        known += one;
      }
      return rejected("query_malformed",
                      "the query may hold " + (known.empty() ? "nothing" : known));
    }
    const auto same = [&](const auto& pair) { return pair.first == name; };
    if (std::ranges::count_if(pairs_, same) != 1) {
      return rejected("query_malformed", "give " + name + " once");
    }
  }
  return {};
}

std::optional<std::string_view> Query::find(std::string_view name) const {
  const auto found =
      std::ranges::find_if(pairs_, [&](const auto& pair) { return pair.first == name; });
  if (found == pairs_.end()) return std::nullopt;
  return found->second;
}

Router::Router(const Secret& key, Metrics& metrics)
    : key_digest_(key_digest(key)),
      metrics_(metrics),
      unauthorized_(metrics.counter("postern_admin_unauthorized_total",
                                    "Requests of the API without the right key.")) {}

Router::~Router() = default;

void Router::set_key(const Secret& key) {
  key_digest_.set(key_digest(key));
}

void Router::add(std::string_view method, std::string_view pattern, Handler handler) {
  auto route =
      std::make_unique<Route>(Route{std::string(method), split(pattern), std::move(handler)});
  constexpr std::array<std::string_view, 6> kClasses = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (std::size_t i = 2; i < kClasses.size(); ++i) {
    route->answered[i] =
        &metrics_.counter("postern_admin_requests_total", "Requests of the admin listener.",
                          {{"method", method}, {"route", pattern}, {"code", kClasses[i]}});
  }
  routes_.push_back(std::move(route));
}

bool Router::has_key(const HttpRequest& request) const {
  constexpr std::string_view kScheme = "Bearer ";
  const std::optional<std::string_view> header = request.headers.only("Authorization");
  if (!header || !header->starts_with(kScheme)) return false;
  const std::shared_ptr<const std::string> wanted = key_digest_.get();
  if (wanted->empty()) return false;
  // Digests are of one length, so that not even the key's length can be timed.
  return crypto::equal_constant_time(digest_of(header->substr(kScheme.size())), *wanted);
}

Responder Router::finished(const Route* route, Responder respond) {
  return [route, respond = std::move(respond)](HttpResponse response) mutable {
    forbid_browsers_to_misread(response);
    if (route != nullptr) {
      Counter* counter = route->answered[std::min(response.code / 100, 5U)];
      if (counter != nullptr) counter->add();
    }
    respond(std::move(response));
  };
}

void Router::handle(HttpRequest request, Responder respond) {
  std::optional<Target> target = Target::parse(request.target);
  if (!target) {
    return finished(nullptr, std::move(respond))(
        error_reply(400, "target_malformed", "the path or query is not a valid URL"));
  }
  if (is_keyed(target->path) && !has_key(request)) {
    unauthorized_.add();
    HttpResponse refusal =
        error_reply(401, "unauthorized", "send the header Authorization: Bearer KEY");
    refusal.headers.emplace_back("WWW-Authenticate", "Bearer");
    return finished(nullptr, std::move(respond))(std::move(refusal));
  }
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::string allowed;
  for (const auto& route : routes_) {
    auto captures = match(route->pattern, target->path);
    if (!captures) continue;
    if (route->method != method) {
      allowed += (allowed.empty() ? "" : ", ") + route->method;
      continue;
    }
    Responder finish = finished(route.get(), std::move(respond));
    return route->handler({std::move(request), std::move(*captures), std::move(target->query)},
                          std::move(finish));
  }
  HttpResponse refusal =
      allowed.empty() ? error_reply(404, "not_found", "there is no such resource")
                      : error_reply(405, "method_not_allowed", "this resource allows " + allowed);
  if (!allowed.empty()) refusal.headers.emplace_back("Allow", allowed);
  finished(nullptr, std::move(respond))(std::move(refusal));
}

}  // namespace postern::admin
