// A token is base64(JSON) "." base64(HMAC-SHA256 of the store's tag and it). The JSON is the filter
// as it was asked for, with ids as bare numbers, and what `seal` adds.
#include "admin/retry_plan.h"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <optional>

#include "channel/json.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 7> kMembers = {"endpoint", "state", "event", "account",
                                                      "from",     "to",    "order"};
constexpr std::array kStates = {store::DeliveryState::kDead, store::DeliveryState::kCancelled,
                                store::DeliveryState::kReady, store::DeliveryState::kWaiting};

[[nodiscard]] std::unexpected<Error> malformed(std::string detail) {
  return rejected("request_malformed", std::move(detail));
}

[[nodiscard]] Result<std::optional<std::string>> text_of(const json::object& body,
                                                         std::string_view name) {
  const json::value* value = body.if_contains(name);
  if (value == nullptr) return std::nullopt;
  const json::string* text = value->if_string();
  if (text == nullptr || !is_id_text(std::string_view(*text)) || text->find('"') != text->npos ||
      text->find('\\') != text->npos) {
    return malformed(std::string(name) + " is a text of 1 to 128 bytes, without quotes");
  }
  return std::string(*text);
}

[[nodiscard]] Result<std::optional<TimePoint>> time_of(const json::object& body,
                                                       std::string_view name) {
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> text, text_of(body, name));
  if (!text) return std::nullopt;
  const std::optional<TimePoint> time = parse_rfc3339(*text);
  if (!time) return malformed(std::string(name) + " is a time such as 2026-11-23T09:00:00Z");
  return time;
}

/// The one of `values` that `text` names.
template <class Values, class Name>
[[nodiscard]] auto one_of(const Values& values, std::string_view member, const std::string& text,
                          Name name) -> Result<typename Values::value_type> {
  std::string known;
  for (const auto value : values) {
    if (name(value) == text) return value;
    known += (known.empty() ? "" : ", ") + std::string(name(value));
  }
  return malformed(std::string(member) + " is one of " + known);
}

[[nodiscard]] json::object present(const store::DeliveryFilter& filter) {
  json::object shown({{"state", store::name(*filter.state)}});
  if (filter.endpoint) shown.emplace("endpoint", filter.endpoint->text());
  if (filter.event) shown.emplace("event", core::name(*filter.event));
  if (filter.account) shown.emplace("account", filter.account->text());
  if (filter.from) shown.emplace("from", format_rfc3339(*filter.from));
  if (filter.to) shown.emplace("to", format_rfc3339(*filter.to));
  if (filter.order) shown.emplace("order", std::to_string(*filter.order));
  return shown;
}

[[nodiscard]] Result<store::DeliveryFilter> parse_filter(const json::object& body,
                                                         const Presenter& presenter) {
  store::DeliveryFilter filter{.state = store::DeliveryState::kDead};
  POSTERN_ASSIGN_OR_RETURN(const auto state, text_of(body, "state"));
  if (state) {
    POSTERN_ASSIGN_OR_RETURN(filter.state,
                             one_of(kStates, "state", *state,
                                    [](store::DeliveryState one) { return store::name(one); }));
  }
  POSTERN_ASSIGN_OR_RETURN(const auto endpoint, text_of(body, "endpoint"));
  if (endpoint) filter.endpoint = EndpointName::trusted(*endpoint);
  POSTERN_ASSIGN_OR_RETURN(const auto event, text_of(body, "event"));
  if (event) {
    POSTERN_ASSIGN_OR_RETURN(filter.event,
                             one_of(core::kEventTypes, "event", *event,
                                    [](core::EventType one) { return core::name(one); }));
  }
  POSTERN_ASSIGN_OR_RETURN(const auto account, text_of(body, "account"));
  if (account) filter.account = AccountName::trusted(*account);
  POSTERN_ASSIGN_OR_RETURN(filter.from, time_of(body, "from"));
  POSTERN_ASSIGN_OR_RETURN(filter.to, time_of(body, "to"));
  POSTERN_ASSIGN_OR_RETURN(const auto order, text_of(body, "order"));
  if (order) {
    filter.order = presenter.parse(*order, kOrderPrefix);
    if (!filter.order) return malformed("order is an order's id, such as ord_k3f9a2_17");
  }
  return filter;
}

}  // namespace

Result<store::DeliveryFilter> parse_retry_filter(const json::object& body,
                                                 const Presenter& presenter) {
  for (const auto& member : body) {
    if (std::ranges::find(kMembers, std::string_view(member.key())) == kMembers.end()) {
      return malformed(
          "the body may have only endpoint, state, event, account, from, to and order, or plan");
    }
  }
  return parse_filter(body, presenter);
}

std::string describe(const store::DeliveryFilter& filter) {
  return json::serialize(present(filter));
}

Result<std::string> PlanSeal::mac(std::string_view text, const Presenter& presenter) const {
  // The key serves as the bearer key too; the prefix keeps the two uses apart.
  POSTERN_ASSIGN_OR_RETURN(
      const std::string mac,
      crypto::hmac(crypto::DigestAlgorithm::kSha256, *key_.get(),
                   "postern retry plan\n" + presenter.tag() + "\n" + std::string(text)));
  return crypto::base64_encode(mac);
}

Result<std::string> PlanSeal::seal(const RetryPlan& plan, const Presenter& presenter) const {
  json::object shown = present(plan.filter);
  shown.emplace("after", plan.filter.after);
  shown.emplace("until", plan.filter.until);
  shown.emplace("planned", plan.planned);
  shown.emplace("retried", plan.retried);
  shown.emplace("made_at_ms", plan.made_at.time_since_epoch().count());
  shown.emplace("due_from_ms", plan.due_from.time_since_epoch().count());
  const std::string text = crypto::base64_encode(json::serialize(shown));
  POSTERN_ASSIGN_OR_RETURN(const std::string sum, mac(text, presenter));
  return text + "." + sum;
}

Result<RetryPlan> PlanSeal::open(std::string_view token, const Presenter& presenter,
                                 TimePoint now) const {
  const auto wrong = [] {
    return rejected("plan_malformed", "give the plan as it came, or ask for a new one");
  };
  const std::size_t dot = token.find('.');
  if (dot == std::string_view::npos) return wrong();
  const std::string_view text = token.substr(0, dot);
  POSTERN_ASSIGN_OR_RETURN(const std::string sum, mac(text, presenter));
  if (!crypto::equal_constant_time(token.substr(dot + 1), sum)) return wrong();
  const Result<std::string> decoded = crypto::base64_decode(text);
  if (!decoded) return wrong();
  const Result<json::object> body = channel::parse_json_object(*decoded);
  if (!body) return wrong();
  const auto number = [&body](std::string_view name) {
    return channel::json_integer(*body, name).value_or(0);
  };
  const auto time = [&number](std::string_view name) {
    return TimePoint(std::chrono::milliseconds(number(name)));
  };
  RetryPlan plan;
  POSTERN_ASSIGN_OR_RETURN(plan.filter, parse_filter(*body, presenter));
  plan.filter.after = number("after");
  plan.filter.until = number("until");
  plan.planned = number("planned");
  plan.retried = number("retried");
  plan.made_at = time("made_at_ms");
  plan.due_from = time("due_from_ms");
  if (now > plan.made_at + kPlanLifetime) {
    return rejected("plan_expired", "the plan is older than an hour: ask for a new one");
  }
  return plan;
}

}  // namespace postern::admin
