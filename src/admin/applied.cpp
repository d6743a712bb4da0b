#include "admin/applied.h"

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <utility>

#include "admin/reply.h"
#include "channel/json.h"
#include "channel/request.h"
#include "delivery/applied.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

constexpr std::string_view kConsumerDefault = "default";

[[nodiscard]] HttpResponse not_found() {
  return error_reply(404, "event_not_found", "no event of that id in this store");
}

[[nodiscard]] Result<std::string> parse_consumer(const HttpRequest& request) {
  if (request.body.empty()) return std::string(kConsumerDefault);
  const auto malformed = [] {
    return rejected("request_malformed",
                    R"(the body is empty, or {"consumer": "..."} with 1 to 128 bytes)");
  };
  if (!channel::check_content_type(request.headers, {"application/json"})) {
    return rejected("content_type_wrong", "send Content-Type: application/json");
  }
  const Result<json::object> body = channel::parse_json_object(request.body);
  if (!body || body->size() > 1) return malformed();
  if (body->empty()) return std::string(kConsumerDefault);
  const std::string_view name = channel::json_text(*body, "consumer");
  if (!is_id_text(name)) return malformed();
  return std::string(name);
}

void say_applied(const AppliedContext& context, const Call& call, Responder respond) {
  const std::optional<store::RowId> id =
      context.presenter.parse(call.captures.front(), kEventPrefix);
  if (!id) return respond(not_found());
  Result<std::string> consumer = parse_consumer(call.request);
  if (!consumer) {
    const bool is_type = consumer.error().code == "content_type_wrong";
    return respond(
        error_reply(is_type ? 415 : 422, consumer.error().code, consumer.error().detail));
  }
  context.store.submit(delivery::applied_command(
      {.event = *id, .consumer = *std::move(consumer), .at = context.clock.now()},
      [&presenter = context.presenter,
       respond = std::move(respond)](Result<store::AppliedRow> applied) mutable {
        if (!applied) {
          const bool is_missing = applied.error().code == "event_not_found";
          return respond(is_missing ? not_found() : error_reply(applied.error()));
        }
        respond(json_reply(200, presenter.applied(*applied)));
      }));
}

}  // namespace

void add_applied(Router& router, const AppliedContext& context) {
  router.add("POST", "/v1/events/{}/applied", [context](const Call& call, Responder respond) {
    say_applied(context, call, std::move(respond));
  });
}

}  // namespace postern::admin
