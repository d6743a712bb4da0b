// The admin API, the merchant's side: JSON over HTTP with "Authorization: Bearer KEY".
//
//   POST /v1/orders {"merchant_order_id", "expected": {"minor", "currency"},
//                    "attempts": [{"account", "number"}]}
//   GET  /v1/orders/{merchant_order_id} -> {"order", "facts", "callbacks", "events", "incidents"}
//   GET  /v1/incidents -> {"incidents"}
//   GET  /readyz -> 200 or 503
#include "simulate/shop.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>

#include "channel/json.h"

namespace postern::simulate {
namespace {

namespace json = boost::json;

constexpr std::size_t kDetailBytesMax = 300;

[[nodiscard]] std::optional<std::int64_t> minor_of(const json::object& order,
                                                   std::string_view name) {
  const json::object* money = channel::json_object(order, name);
  return money == nullptr ? std::nullopt : channel::json_integer(*money, "minor");
}

/// The objects of the array `name`; none where it is missing.
[[nodiscard]] std::vector<const json::object*> objects_of(const json::object& root,
                                                          std::string_view name) {
  std::vector<const json::object*> objects;
  const json::value* value = root.if_contains(name);
  if (value == nullptr || !value->is_array()) return objects;
  for (const json::value& one : value->get_array()) {
    if (one.is_object()) objects.push_back(&one.get_object());
  }
  return objects;
}

[[nodiscard]] std::vector<IncidentView> incidents_of(const json::object& root) {
  std::vector<IncidentView> incidents;
  for (const json::object* one : objects_of(root, "incidents")) {
    incidents.push_back({.kind = std::string(channel::json_text(*one, "kind")),
                         .subject = std::string(channel::json_text(*one, "subject")),
                         .state = std::string(channel::json_text(*one, "state"))});
  }
  return incidents;
}

[[nodiscard]] Result<json::object> read(const HttpResponse& response) {
  if (response.code != 200 && response.code != 201) {
    return rejected("api_refused", fmt::format("the admin API answered {} {}", response.code,
                                               response.body.substr(0, kDetailBytesMax)));
  }
  json::error_code error;
  json::value value = json::parse(response.body, error);
  if (error || !value.is_object()) return fault("api_not_understood", "the reply is no object");
  return std::move(value.get_object());
}

}  // namespace

Shop::Shop(Options options)
    : options_(std::move(options)), client_(options_.host, options_.port, options_.timeout) {}

bool Shop::is_ready() {
  const auto response =
      client_.send({.method = "GET", .target = "/readyz", .headers = {}, .body = {}, .peer = {}});
  return response && response->code == 200;
}

Result<HttpResponse> Shop::send(std::string_view method, std::string target, std::string body) {
  HttpRequest request{.method = std::string(method),
                      .target = std::move(target),
                      .headers = {},
                      .body = std::move(body),
                      .peer = {}};
  request.headers.add("Authorization", fmt::format("Bearer {}", options_.api_key.reveal()));
  if (!request.body.empty()) request.headers.add("Content-Type", "application/json");
  return client_.send(request);
}

Result<void> Shop::register_order(const std::string& merchant_order_id, const core::Money& expected,
                                  const std::vector<Attempt>& attempts) {
  json::array ways;
  for (const Attempt& attempt : attempts) {
    ways.push_back({{"account", attempt.account}, {"number", attempt.number}});
  }
  const json::object order{
      {"merchant_order_id", merchant_order_id},
      {"expected", {{"minor", expected.minor()}, {"currency", expected.currency().code()}}},
      {"attempts", std::move(ways)}};
  POSTERN_ASSIGN_OR_RETURN(const HttpResponse response,
                           send("POST", "/v1/orders", json::serialize(order)));
  POSTERN_RETURN_IF_ERROR(read(response));
  return {};
}

Result<std::optional<OrderView>> Shop::order(const std::string& merchant_order_id) {
  const std::string segment = boost::urls::encode(merchant_order_id, boost::urls::unreserved_chars);
  POSTERN_ASSIGN_OR_RETURN(const HttpResponse response, send("GET", "/v1/orders/" + segment, {}));
  if (response.code == 404) return std::nullopt;
  POSTERN_ASSIGN_OR_RETURN(const json::object root, read(response));
  const json::object* order = channel::json_object(root, "order");
  if (order == nullptr) return fault("api_not_understood", "the reply has no order");
  OrderView view{.state = std::string(channel::json_text(*order, "state")),
                 .expected = minor_of(*order, "expected"),
                 .paid = minor_of(*order, "paid"),
                 .refunded = minor_of(*order, "refunded"),
                 .events = {},
                 .incidents = incidents_of(root),
                 .facts = objects_of(root, "facts").size()};
  for (const json::object* event : objects_of(root, "events")) {
    view.events.emplace_back(channel::json_text(*event, "type"));
  }
  for (const json::object* callback : objects_of(root, "callbacks")) {
    ++view.callbacks;
    view.copies += channel::json_integer(*callback, "copies").value_or(0);
  }
  return view;
}

Result<std::vector<IncidentView>> Shop::incidents() {
  POSTERN_ASSIGN_OR_RETURN(const HttpResponse response, send("GET", "/v1/incidents", {}));
  POSTERN_ASSIGN_OR_RETURN(const json::object root, read(response));
  return incidents_of(root);
}

}  // namespace postern::simulate
