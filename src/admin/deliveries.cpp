#include "admin/deliveries.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "admin/listing.h"
#include "admin/reply.h"
#include "delivery/commands.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

constexpr std::array kStates = {store::DeliveryState::kReady, store::DeliveryState::kWaiting,
                                store::DeliveryState::kDelivered, store::DeliveryState::kDead,
                                store::DeliveryState::kCancelled};

[[nodiscard]] HttpResponse not_found() {
  return error_reply(404, "delivery_not_found", "no delivery of that id in this store");
}

[[nodiscard]] Result<store::DeliveryFilter> parse_filter(const Query& query,
                                                         const Presenter& presenter) {
  POSTERN_RETURN_IF_ERROR(query.allow({"state", "endpoint", "before", "limit"}));
  POSTERN_ASSIGN_OR_RETURN(const Page page, parse_page(query, presenter, kDeliveryPrefix));
  POSTERN_ASSIGN_OR_RETURN(
      const std::optional<store::DeliveryState> state,
      parse_one_of(query, "state", std::span<const store::DeliveryState>(kStates),
                   [](store::DeliveryState value) { return store::name(value); }));
  store::DeliveryFilter filter{
      .state = state, .endpoint = std::nullopt, .before = page.before, .limit = page.limit};
  if (const auto endpoint = query.find("endpoint")) {
    POSTERN_ASSIGN_OR_RETURN(filter.endpoint, EndpointName::parse(*endpoint));
  }
  return filter;
}

void list_deliveries(const DeliveriesContext& context, const Call& call, Responder respond) {
  Result<store::DeliveryFilter> filter = parse_filter(call.query, context.presenter);
  if (!filter) return respond(error_reply(filter.error()));
  context.reads.run(
      [&presenter = context.presenter,
       filter = std::move(*filter)](store::Reader& reader) -> Result<HttpResponse> {
        POSTERN_ASSIGN_OR_RETURN(const std::vector<store::DeliveryRow> rows,
                                 reader.deliveries(filter));
        return json_reply(
            200, present_page(
                     "deliveries", rows, {filter.before, filter.limit}, presenter, kDeliveryPrefix,
                     [&](const store::DeliveryRow& row) { return presenter.delivery(row); }));
      },
      std::move(respond));
}

void show_delivery(const DeliveriesContext& context, const Call& call, Responder respond) {
  const std::optional<store::RowId> id =
      context.presenter.parse(call.captures.front(), kDeliveryPrefix);
  if (!id) return respond(not_found());
  context.reads.run(
      [&presenter = context.presenter, id = *id](store::Reader& reader) -> Result<HttpResponse> {
        POSTERN_ASSIGN_OR_RETURN(const std::optional<store::DeliveryRow> row, reader.delivery(id));
        if (!row) return not_found();
        POSTERN_ASSIGN_OR_RETURN(const std::vector<store::TryRow> rows, reader.tries(id));
        json::object shown = presenter.delivery(*row);
        json::array tries;
        for (const store::TryRow& one : rows) tries.push_back(presenter.delivery_try(one));
        shown["tries"] = std::move(tries);
        return json_reply(200, shown);
      },
      std::move(respond));
}

void wish(const DeliveriesContext& context, delivery::Wish wish, const Call& call,
          Responder respond) {
  const std::optional<store::RowId> id =
      context.presenter.parse(call.captures.front(), kDeliveryPrefix);
  if (!id) return respond(not_found());
  context.store.submit(delivery::wish_command(
      *id, wish, actor_of(call), context.store.tag(), context.clock.now(),
      [id = *id, &presenter = context.presenter, wake = context.wake,
       respond = std::move(respond)](Result<delivery::Wished> wished) mutable {
        if (!wished) return respond(error_reply(wished.error()));
        switch (*wished) {
          case delivery::Wished::kDone:
            wake();
            return respond(json_reply(200, json::object({{"id", presenter.id(kDeliveryPrefix, id)},
                                                         {"outcome", "done"}})));
          case delivery::Wished::kNotThere:
            return respond(not_found());
          case delivery::Wished::kEnded:
            return respond(
                error_reply(409, delivery::why_refused(*wished), "the delivery has ended already"));
          case delivery::Wished::kDelivered:
            return respond(error_reply(409, delivery::why_refused(*wished),
                                       "the endpoint has confirmed it already"));
        }
      }));
}

}  // namespace

store::Actor actor_of(const Call& call) {
  return {.name = "the owner of the admin key", .peer = call.request.peer};
}

void add_deliveries(Router& router, const DeliveriesContext& context) {
  router.add("GET", "/v1/deliveries", [context](const Call& call, Responder respond) {
    list_deliveries(context, call, std::move(respond));
  });
  router.add("GET", "/v1/deliveries/{}", [context](const Call& call, Responder respond) {
    show_delivery(context, call, std::move(respond));
  });
  router.add("POST", "/v1/deliveries/{}/retry", [context](const Call& call, Responder respond) {
    wish(context, delivery::Wish::kRetry, call, std::move(respond));
  });
  router.add("POST", "/v1/deliveries/{}/cancel", [context](const Call& call, Responder respond) {
    wish(context, delivery::Wish::kCancel, call, std::move(respond));
  });
}

}  // namespace postern::admin
