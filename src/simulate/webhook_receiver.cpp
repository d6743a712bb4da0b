// Standard Webhooks, the receiving side. Signed is "id.timestamp.body": the header `webhook-id`,
// the header `webhook-timestamp` (seconds since 1970, decimal), and the body byte for byte. The
// header `webhook-signature` lists signatures separated by spaces; of those that begin with "v1,"
// one has to be the base64 of the text's HMAC-SHA256.
#include "simulate/webhook_receiver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <charconv>
#include <utility>

#include "channel/json.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"

namespace postern::simulate {
namespace {

namespace json = boost::json;

constexpr std::string_view kSecretPrefix = "whsec_";

[[nodiscard]] std::optional<std::chrono::sys_seconds> parse_timestamp(std::string_view text) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  // Far beyond every clock, but not beyond what can be subtracted.
  if (seconds < 0 || seconds > 1'000'000'000'000) return std::nullopt;
  return std::chrono::sys_seconds(std::chrono::seconds(seconds));
}

/// What one event says.
struct Event {
  std::string type;
  std::int64_t sequence = 0;
  std::string order;
  std::string state;
  std::optional<std::int64_t> expected, paid, refunded;
};

[[nodiscard]] std::optional<std::int64_t> minor_of(const json::object& order,
                                                   std::string_view name) {
  const json::object* money = channel::json_object(order, name);
  return money == nullptr ? std::nullopt : channel::json_integer(*money, "minor");
}

[[nodiscard]] std::optional<Event> parse_event(std::string_view body) {
  const auto root = channel::parse_json_object(body);
  if (!root) return std::nullopt;
  const json::object* data = channel::json_object(*root, "data");
  if (data == nullptr) return std::nullopt;
  const json::object* order = channel::json_object(*data, "order");
  const auto sequence = channel::json_integer(*data, "sequence");
  if (order == nullptr || !sequence) return std::nullopt;
  return Event{.type = std::string(channel::json_text(*root, "type")),
               .sequence = *sequence,
               .order = std::string(channel::json_text(*order, "merchant_order_id")),
               .state = std::string(channel::json_text(*order, "state")),
               .expected = minor_of(*order, "expected"),
               .paid = minor_of(*order, "paid"),
               .refunded = minor_of(*order, "refunded")};
}

[[nodiscard]] std::string text_of(const std::optional<std::int64_t>& minor) {
  return minor ? fmt::to_string(*minor) : "unknown";
}

}  // namespace

std::vector<std::string> differences(const OrderView& order, const ToldOrder* told) {
  if (told == nullptr) {
    if (order.events.empty()) return {};
    return {"the shop was told nothing"};
  }
  std::vector<std::string> found;
  const auto compare = [&](std::string_view what, const std::string& is, const std::string& was) {
    if (is != was) found.push_back(fmt::format("the shop was told {} {}, not {}", what, was, is));
  };
  std::vector<std::string> types;
  std::vector<std::int64_t> sequences;
  for (const auto& [sequence, type] : told->events) {
    types.push_back(type);
    sequences.push_back(sequence);
  }
  compare("of the events", fmt::format("{}", order.events), fmt::format("{}", types));
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (sequences[i] != static_cast<std::int64_t>(i) + 1) {
      found.push_back(fmt::format("the shop was told the numbers {}", sequences));
      break;
    }
  }
  compare("of the state", order.state, told->state);
  compare("of the sum expected", text_of(order.expected), text_of(told->expected));
  compare("of the sum paid", text_of(order.paid), text_of(told->paid));
  compare("of the sum refunded", text_of(order.refunded), text_of(told->refunded));
  return found;
}

Result<std::unique_ptr<WebhookReceiver>> WebhookReceiver::start(Options options,
                                                                const Clock& clock) {
  const std::string_view secret = options.secret.reveal();
  auto key = secret.starts_with(kSecretPrefix)
                 ? crypto::base64_decode(secret.substr(kSecretPrefix.size()))
                 : Result<std::string>(std::string());
  if (!key || key->empty()) return rejected("webhook_secret_malformed", "whsec_ and base64");
  std::unique_ptr<WebhookReceiver> receiver(
      new WebhookReceiver(Secret(std::move(*key)), std::move(options.lose_for), clock));
  POSTERN_ASSIGN_OR_RETURN(
      receiver->server_,
      http::Server::start(
          {.name = "shop", .address = {.host = "127.0.0.1", .port = 0}, .limits = {}}, *receiver,
          receiver->log_, receiver->metrics_));
  return receiver;
}

WebhookReceiver::WebhookReceiver(Secret key, std::string lose_for, const Clock& clock)
    : key_(std::move(key)), clock_(clock), lose_for_(std::move(lose_for)) {}

WebhookReceiver::~WebhookReceiver() = default;

std::string WebhookReceiver::url() const {
  return fmt::format("http://127.0.0.1:{}/payments", port());
}

Told WebhookReceiver::told() const {
  const std::lock_guard lock(mutex_);
  return told_;
}

bool WebhookReceiver::is_genuine(const HttpRequest& request) const {
  const auto id = request.headers.only("webhook-id");
  const auto timestamp = request.headers.only("webhook-timestamp");
  const auto signatures = request.headers.only("webhook-signature");
  if (!id || id->empty() || !timestamp || !signatures) return false;
  const auto sent_at = parse_timestamp(*timestamp);
  if (!sent_at || std::chrono::abs(clock_.now() - *sent_at) > kTolerance) return false;
  const auto mac = crypto::hmac(crypto::DigestAlgorithm::kSha256, key_,
                                fmt::format("{}.{}.{}", *id, *timestamp, request.body));
  if (!mac) return false;
  const std::string mine = "v1," + crypto::base64_encode(*mac);
  std::string_view rest = *signatures;
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find(' '));
    if (crypto::equal_constant_time(one, mine)) return true;
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
  }
  return false;
}

unsigned WebhookReceiver::take(std::string_view id, std::string_view body) {
  const std::optional<Event> event = parse_event(body);
  const std::lock_guard lock(mutex_);
  if (!event) {
    ++told_.refused;
    return 422;
  }
  if (!seen_.emplace(id).second) {
    ++told_.repeats;
    return 204;
  }
  ++told_.events;
  ToldOrder& order = told_.orders[event->order];
  // An event that comes late, as after a retry by hand, does not overwrite a newer one.
  if (order.events.empty() || order.events.rbegin()->first < event->sequence) {
    order.state = event->state;
    order.expected = event->expected;
    order.paid = event->paid;
    order.refunded = event->refunded;
  }
  order.events[event->sequence] = event->type;
  if (event->order != lose_for_) return 204;
  lose_for_.clear();
  return 503;
}

void WebhookReceiver::handle(HttpRequest request, Responder respond) {
  unsigned code = 401;
  if (request.method == "POST" && is_genuine(request)) {
    code = take(*request.headers.only("webhook-id"), request.body);
  } else {
    const std::lock_guard lock(mutex_);
    ++told_.refused;
  }
  respond({.code = code, .content_type = {}, .body = {}, .headers = {}});
}

}  // namespace postern::simulate
