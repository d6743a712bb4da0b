#include "admin/bulk_retry.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/reply.h"
#include "channel/json.h"
#include "channel/request.h"
#include "delivery/bulk_retry.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

/// Deliveries in one commit: a few milliseconds of the store's writer.
constexpr std::size_t kStepMax = 200;
constexpr std::size_t kShownMax = 100;
constexpr std::chrono::milliseconds kDueSpacing{10};

struct Parts {
  DeliveriesContext context;
  const PlanSeal& seal;
};

[[nodiscard]] json::value present(const std::optional<TimePoint>& time) {
  if (!time) return nullptr;
  return json::string(format_rfc3339(*time));
}

[[nodiscard]] Result<HttpResponse> make_plan(const Parts& parts, store::DeliveryFilter filter,
                                             store::Reader& reader) {
  POSTERN_ASSIGN_OR_RETURN(const store::DeliveryCount count, reader.count(filter));
  filter.until = count.last;
  filter.limit = kShownMax;
  std::vector<store::DeliveryRow> first;
  if (count.deliveries > 0) {
    POSTERN_ASSIGN_OR_RETURN(first, reader.deliveries_after(filter));
    // The steps may go through all ids in between: not from the first there ever was.
    if (!first.empty()) filter.after = first.front().id - 1;
  }
  json::array shown;
  for (const store::DeliveryRow& row : first) {
    shown.push_back(parts.context.presenter.delivery(row));
  }
  const TimePoint now = parts.context.clock.now();
  json::value token = nullptr;
  if (count.deliveries > 0) {
    POSTERN_ASSIGN_OR_RETURN(
        const std::string sealed,
        parts.seal.seal(
            {.filter = filter, .planned = count.deliveries, .made_at = now, .due_from = now},
            parts.context.presenter));
    token = json::string(sealed);
  }
  return json_reply(200, json::object({{"plan", std::move(token)},
                                       {"expires_at", format_rfc3339(now + kPlanLifetime)},
                                       {"deliveries", count.deliveries},
                                       {"orders", count.orders},
                                       {"oldest", present(count.oldest)},
                                       {"newest", present(count.newest)},
                                       {"first", std::move(shown)}}));
}

/// What a step has done. Without `last` there was nothing left to do.
[[nodiscard]] HttpResponse stepped(const Parts& parts, RetryPlan plan, std::int64_t retried,
                                   std::optional<store::RowId> last) {
  plan.retried += retried;
  json::value next = nullptr;
  if (last && *last < plan.filter.until) {
    plan.filter.after = *last;
    const Result<std::string> sealed = parts.seal.seal(plan, parts.context.presenter);
    if (!sealed) return error_reply(sealed.error());
    next = json::string(*sealed);
  }
  // What came to match after the plan was made is retried too, so that it may be more.
  const std::int64_t changed = std::max<std::int64_t>(plan.planned - plan.retried, 0);
  json::value changed_in_all = nullptr;
  if (next.is_null()) changed_in_all = changed;
  return json_reply(200, json::object({{"retried", retried},
                                       {"retried_in_all", plan.retried},
                                       {"planned", plan.planned},
                                       {"changed_meanwhile", std::move(changed_in_all)},
                                       {"last_due_at", format_rfc3339(plan.due_from)},
                                       {"next", std::move(next)}}));
}

void submit_step(const Parts& parts, store::Actor by, RetryPlan plan,
                 const std::vector<store::DeliveryRow>& rows, Responder respond) {
  std::vector<store::RowId> ids;
  for (const store::DeliveryRow& row : rows) ids.push_back(row.id);
  const std::optional<store::RowId> last =
      rows.size() == kStepMax ? std::optional(ids.back()) : std::nullopt;
  delivery::BulkRetry retry{.deliveries = std::move(ids),
                            .state = *plan.filter.state,
                            .now = parts.context.clock.now(),
                            .due_from = plan.due_from,
                            .due_spacing = kDueSpacing,
                            .tag = parts.context.store.tag(),
                            .by = std::move(by),
                            .asked = describe(plan.filter)};
  parts.context.store.submit(delivery::bulk_retry_command(
      std::move(retry), [parts, plan = std::move(plan), last,
                         respond = std::move(respond)](Result<delivery::BulkRetried> done) mutable {
        if (!done) return respond(error_reply(done.error()));
        parts.context.wake();
        plan.due_from = done->due_next;
        respond(stepped(parts, std::move(plan), static_cast<std::int64_t>(done->retried), last));
      }));
}

void carry_out(const Parts& parts, store::Actor by, const json::object& body, Responder respond) {
  if (body.size() != 1) {
    return respond(error_reply(422, "request_malformed", "the body of a plan has only plan"));
  }
  Result<RetryPlan> plan = parts.seal.open(channel::json_text(body, "plan"),
                                           parts.context.presenter, parts.context.clock.now());
  if (!plan) return respond(error_reply(plan.error()));
  store::DeliveryFilter filter = plan->filter;
  filter.limit = kStepMax;
  // Reading and writing are on different threads: the read's responder goes on to the store.
  auto rows = std::make_shared<std::vector<store::DeliveryRow>>();
  parts.context.reads.run(
      [filter = std::move(filter), rows](store::Reader& reader) -> Result<HttpResponse> {
        POSTERN_ASSIGN_OR_RETURN(*rows, reader.deliveries_after(filter));
        return HttpResponse{};
      },
      [parts, by = std::move(by), plan = std::move(*plan), rows,
       respond = std::move(respond)](HttpResponse read) mutable {
        if (read.code != 200) return respond(std::move(read));
        if (rows->empty()) return respond(stepped(parts, std::move(plan), 0, std::nullopt));
        submit_step(parts, std::move(by), std::move(plan), *rows, std::move(respond));
      });
}

void plan_or_carry_out(const Parts& parts, const Call& call, Responder respond) {
  if (!channel::check_content_type(call.request.headers, {"application/json"})) {
    return respond(error_reply(415, "content_type_wrong", "send Content-Type: application/json"));
  }
  const Result<json::object> body = channel::parse_json_object(call.request.body);
  if (!body) {
    return respond(error_reply(422, "request_malformed",
                               "the body is one JSON object in UTF-8 that names no member twice"));
  }
  if (body->contains("plan")) return carry_out(parts, actor_of(call), *body, std::move(respond));
  Result<store::DeliveryFilter> filter = parse_retry_filter(*body, parts.context.presenter);
  if (!filter) return respond(error_reply(filter.error()));
  parts.context.reads.run([parts, filter = std::move(*filter)](
                              store::Reader& reader) { return make_plan(parts, filter, reader); },
                          std::move(respond));
}

}  // namespace

void add_bulk_retry(Router& router, const DeliveriesContext& context, const PlanSeal& seal) {
  router.add("POST", "/v1/deliveries/retry",
             [parts = Parts{context, seal}](const Call& call, Responder respond) {
               plan_or_carry_out(parts, call, std::move(respond));
             });
}

}  // namespace postern::admin
