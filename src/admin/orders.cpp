#include "admin/orders.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "admin/listing.h"
#include "admin/order_request.h"
#include "admin/reply.h"
#include "channel/request.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

constexpr std::array kStates = {
    core::OrderState::kAwaiting, core::OrderState::kPaid,   core::OrderState::kPartiallyRefunded,
    core::OrderState::kRefunded, core::OrderState::kClosed, core::OrderState::kFailed};

[[nodiscard]] std::string_view name(ledger::RegisterOutcome outcome) {
  switch (outcome) {
    case ledger::RegisterOutcome::kCreated:
      return "created";
    case ledger::RegisterOutcome::kUnchanged:
      return "unchanged";
    case ledger::RegisterOutcome::kChanged:
      return "changed";
  }
  return "";
}

void register_order(const OrdersContext& context, const Call& call, Responder respond) {
  if (!channel::check_content_type(call.request.headers, {"application/json"})) {
    return respond(error_reply(415, "content_type_wrong", "send Content-Type: application/json"));
  }
  Result<ledger::Registering> order =
      parse_order_request(call.request.body, *context.accounts.get());
  if (!order) return respond(error_reply(order.error()));
  const core::OrderKey key = order->key;
  context.ledger.register_order(
      std::move(*order), [key, &presenter = context.presenter, respond = std::move(respond)](
                             Result<ledger::Registered> registered) mutable {
        if (!registered) return respond(error_reply(registered.error()));
        const bool created = registered->outcome == ledger::RegisterOutcome::kCreated;
        respond(json_reply(created ? 201 : 200,
                           json::object({{"outcome", name(registered->outcome)},
                                         {"id", presenter.id(kOrderPrefix, registered->order)},
                                         {"merchant", key.merchant.text()},
                                         {"merchant_order_id", key.id.text()}})));
      });
}

[[nodiscard]] Result<store::OrderFilter> parse_filter(const Query& query,
                                                      const Presenter& presenter) {
  POSTERN_RETURN_IF_ERROR(query.allow({"state", "search", "before", "limit"}));
  POSTERN_ASSIGN_OR_RETURN(const Page page, parse_page(query, presenter, kOrderPrefix));
  POSTERN_ASSIGN_OR_RETURN(const std::optional<core::OrderState> state,
                           parse_one_of(query, "state", std::span<const core::OrderState>(kStates),
                                        [](core::OrderState value) { return core::name(value); }));
  return store::OrderFilter{.state = state,
                            .search = std::string(query.find("search").value_or("")),
                            .before = page.before,
                            .limit = page.limit};
}

void list_orders(const OrdersContext& context, const Call& call, Responder respond) {
  Result<store::OrderFilter> filter = parse_filter(call.query, context.presenter);
  if (!filter) return respond(error_reply(filter.error()));
  context.reads.run(
      [&presenter = context.presenter,
       filter = std::move(*filter)](store::Reader& reader) -> Result<HttpResponse> {
        POSTERN_ASSIGN_OR_RETURN(const std::vector<store::OrderRow> rows, reader.orders(filter));
        return json_reply(
            200,
            present_page("orders", rows, {filter.before, filter.limit}, presenter, kOrderPrefix,
                         [&](const store::OrderRow& row) { return presenter.order(row); }));
      },
      std::move(respond));
}

/// Collects what happened to one order, to be told in the order of time.
class Timeline {
 public:
  void add(TimePoint at, std::string_view what, json::value id, std::string text) {
    moments_.push_back({at, moments_.size(),
                        json::object({{"at", format_rfc3339(at)},
                                      {"what", what},
                                      {"id", std::move(id)},
                                      {"text", std::move(text)}})});
  }

  [[nodiscard]] json::array sorted() && {
    std::ranges::sort(moments_, {},
                      [](const Moment& moment) { return std::pair(moment.at, moment.added); });
    json::array shown;
    for (Moment& moment : moments_) shown.push_back(std::move(moment.shown));
    return shown;
  }

 private:
  struct Moment {
    TimePoint at;
    std::size_t added;  // decides between equal times: causes are added before effects
    json::object shown;
  };
  std::vector<Moment> moments_;
};

[[nodiscard]] std::string text_of(const core::Fact& fact) {
  std::string text(core::name(fact.kind));
  text += " " + core::subject(fact);
  if (fact.money) {
    text += " " + fact.money->format_major() + " " + std::string(fact.money->currency().code());
  }
  return text;
}

template <class Row, class Show>
[[nodiscard]] json::array present_all(const std::vector<Row>& rows, Show show) {
  json::array shown;
  for (const Row& row : rows) shown.push_back(show(row));
  return shown;
}

/// What consumers have said of one event.
[[nodiscard]] json::array applied_of(store::RowId event,
                                     const std::vector<store::AppliedRow>& applied,
                                     const Presenter& presenter) {
  json::array shown;
  for (const store::AppliedRow& row : applied) {
    if (row.event == event) shown.push_back(presenter.applied(row));
  }
  return shown;
}

/// Everything known of one order.
[[nodiscard]] Result<json::object> order_in_full(store::Reader& reader, const Presenter& presenter,
                                                 const store::OrderRow& order) {
  POSTERN_ASSIGN_OR_RETURN(const auto attempts, reader.attempts(order.id));
  POSTERN_ASSIGN_OR_RETURN(const auto callbacks, reader.callbacks_of(order.id));
  POSTERN_ASSIGN_OR_RETURN(const auto facts, reader.facts(order.id));
  POSTERN_ASSIGN_OR_RETURN(const auto events, reader.events(order.id));
  POSTERN_ASSIGN_OR_RETURN(const auto deliveries, reader.deliveries(order.id));
  POSTERN_ASSIGN_OR_RETURN(const auto incidents, reader.incidents_of(order.id));
  POSTERN_ASSIGN_OR_RETURN(const auto applied, reader.applied(order.id));

  Timeline timeline;
  timeline.add(order.created_at, "order", presenter.id(kOrderPrefix, order.id),
               order.expected ? "registered" : "opened by its first fact");
  for (const auto& row : callbacks) {
    timeline.add(row.received_at, "callback", presenter.id(kCallbackPrefix, row.id),
                 row.account.text() + " " + std::string(store::name(row.outcome)));
  }
  for (const auto& row : facts) {
    timeline.add(row.recorded_at, "fact", presenter.id(kFactPrefix, row.id), text_of(row.fact));
  }
  for (const auto& row : incidents) {
    timeline.add(row.first_at, "incident", presenter.id(kIncidentPrefix, row.id),
                 std::string(core::name(row.kind)) + " " + row.subject);
  }
  for (const auto& row : events) {
    timeline.add(row.created_at, "event", presenter.id(kEventPrefix, row.id),
                 std::string(core::name(row.type)));
  }
  for (const auto& row : deliveries) {
    timeline.add(row.due_at, "delivery", presenter.id(kDeliveryPrefix, row.id),
                 row.endpoint.text() + " " + std::string(store::name(row.state)));
  }
  for (const auto& row : applied) {
    timeline.add(row.at, "applied", presenter.id(kEventPrefix, row.event), "by " + row.consumer);
  }
  return json::object(
      {{"order", presenter.order(order)},
       {"attempts", present_all(attempts, [&](const auto& row) { return presenter.attempt(row); })},
       {"facts", present_all(facts, [&](const auto& row) { return presenter.fact(row); })},
       {"callbacks",
        present_all(callbacks, [&](const auto& row) { return presenter.callback(row); })},
       {"events", present_all(events,
                              [&](const auto& row) {
                                json::object shown = presenter.event(row);
                                shown.emplace("applied", applied_of(row.id, applied, presenter));
                                return shown;
                              })},
       {"deliveries",
        present_all(deliveries, [&](const auto& row) { return presenter.delivery(row); })},
       {"incidents",
        present_all(incidents, [&](const auto& row) { return presenter.incident(row); })},
       {"timeline", std::move(timeline).sorted()}});
}

[[nodiscard]] Result<core::OrderKey> parse_key(const Call& call) {
  POSTERN_RETURN_IF_ERROR(call.query.allow({"merchant"}));
  POSTERN_ASSIGN_OR_RETURN(
      MerchantName merchant,
      MerchantName::parse(call.query.find("merchant").value_or(kDefaultMerchant)));
  POSTERN_ASSIGN_OR_RETURN(MerchantOrderId id, MerchantOrderId::parse(call.captures.front()));
  return core::OrderKey{std::move(merchant), std::move(id)};
}

void show_order(const OrdersContext& context, const Call& call, Responder respond) {
  Result<core::OrderKey> key = parse_key(call);
  if (!key) return respond(error_reply(key.error()));
  context.reads.run(
      [&presenter = context.presenter,
       key = std::move(*key)](store::Reader& reader) -> Result<HttpResponse> {
        POSTERN_ASSIGN_OR_RETURN(const std::optional<store::OrderRow> order, reader.order(key));
        if (!order) {
          return error_reply(404, "order_not_found",
                             "no order of that number; another merchant's needs ?merchant=NAME");
        }
        POSTERN_ASSIGN_OR_RETURN(json::object shown, order_in_full(reader, presenter, *order));
        return json_reply(200, std::move(shown));
      },
      std::move(respond));
}

}  // namespace

void add_orders(Router& router, OrdersContext context) {
  router.add("POST", "/v1/orders", [context](const Call& call, Responder respond) {
    register_order(context, call, std::move(respond));
  });
  router.add("GET", "/v1/orders", [context](const Call& call, Responder respond) {
    list_orders(context, call, std::move(respond));
  });
  router.add("GET", "/v1/orders/{}", [context](const Call& call, Responder respond) {
    show_order(context, call, std::move(respond));
  });
}

}  // namespace postern::admin
