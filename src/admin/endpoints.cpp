#include "admin/endpoints.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <utility>

#include "admin/reply.h"

namespace postern::admin {
namespace {

namespace json = boost::json;
using delivery::Dispatcher;

/// One word for the operator: the first that applies.
[[nodiscard]] std::string_view state_of(const EndpointInfo& endpoint,
                                        const Dispatcher::Standing* standing) {
  if (endpoint.sending == EndpointInfo::Sending::kPaused) return "paused";
  if (standing == nullptr) return "not_running";
  if (standing->gone) return "gone";
  return standing->breaker_open ? "failing" : "sending";
}

[[nodiscard]] json::object present(const EndpointInfo& endpoint,
                                   const Dispatcher::Standing* standing,
                                   const store::EndpointLoad& load) {
  json::array accounts;
  for (const AccountName& account : endpoint.accounts) accounts.emplace_back(account.text());
  json::object shown({{"name", endpoint.name.text()},
                      {"kind", endpoint.kind},
                      {"state", state_of(endpoint, standing)},
                      {"events", json::array(endpoint.events.begin(), endpoint.events.end())},
                      {"accounts", std::move(accounts)},
                      {"in_flight", standing == nullptr ? 0 : standing->in_flight},
                      {"ready", load.ready},
                      {"waiting", load.waiting},
                      {"dead", load.dead},
                      {"cancelled", load.cancelled},
                      {"oldest_undelivered", nullptr}});
  if (load.oldest) shown["oldest_undelivered"] = format_rfc3339(*load.oldest);
  return shown;
}

}  // namespace

void add_endpoints(Router& router, EndpointsContext context) {
  const auto shared = std::make_shared<const EndpointsContext>(std::move(context));
  router.add("GET", "/v1/endpoints", [shared](const Call& call, Responder respond) {
    const Result<void> allowed = call.query.allow({});
    if (!allowed) return respond(error_reply(allowed.error()));
    shared->reads.run(
        [shared](store::Reader& reader) -> Result<HttpResponse> {
          const auto standings = shared->standings();
          json::array shown;
          const auto endpoints = shared->endpoints.get();
          for (const EndpointInfo& endpoint : *endpoints) {
            POSTERN_ASSIGN_OR_RETURN(const store::EndpointLoad load, reader.load_of(endpoint.name));
            const auto standing = standings.find(endpoint.name.text());
            shown.push_back(
                present(endpoint, standing == standings.end() ? nullptr : &standing->second, load));
          }
          return json_reply(200, json::object({{"endpoints", std::move(shown)}}));
        },
        std::move(respond));
  });
}

}  // namespace postern::admin
