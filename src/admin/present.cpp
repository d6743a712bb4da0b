#include "admin/present.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <charconv>

#include "base/clock.h"
#include "base/utf8.h"
#include "crypto/encoding.h"
#include "store/store.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

constexpr std::string_view kRejectedPrefix = "rej_";

/// The header block as its lines, for reading.
[[nodiscard]] json::array header_lines(std::string_view block) {
  json::array lines;
  while (!block.empty()) {
    const std::size_t end = std::min(block.find("\r\n"), block.size());
    lines.emplace_back(to_utf8(block.substr(0, end)));
    block.remove_prefix(std::min(end + 2, block.size()));
  }
  return lines;
}

/// Our own JSON as JSON; as a text, should it not be.
[[nodiscard]] json::value parsed(const std::string& body) {
  json::error_code error;
  json::value value = json::parse(body, error);
  return error ? json::value(to_utf8(body)) : value;
}

}  // namespace

std::string rejected_id(std::uint64_t number) {
  return std::string(kRejectedPrefix) + std::to_string(number);
}

std::uint64_t parse_rejected_id(std::string_view text) {
  if (!text.starts_with(kRejectedPrefix)) return 0;
  text.remove_prefix(kRejectedPrefix.size());
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && read == end ? number : 0;
}

json::value present(const std::optional<core::Money>& money) {
  if (!money) return nullptr;
  return json::object({{"minor", money->minor()}, {"currency", money->currency().code()}});
}

json::object present(const core::Fact& fact) {
  json::object shown({{"kind", core::name(fact.kind)}, {"account", fact.attempt.account.text()}});
  if (!fact.attempt.sub_merchant.empty()) {
    shown.emplace("sub_merchant", to_utf8(fact.attempt.sub_merchant));
  }
  shown.emplace("number", to_utf8(fact.attempt.number));
  if (!fact.payment_id.empty()) shown.emplace("channel_payment_id", to_utf8(fact.payment_id));
  if (!fact.refund_id.empty()) shown.emplace("channel_refund_id", to_utf8(fact.refund_id));
  if (!fact.dispute_id.empty()) shown.emplace("channel_dispute_id", to_utf8(fact.dispute_id));
  if (fact.dispute != core::DisputeState::kNone) {
    shown.emplace("dispute", core::name(fact.dispute));
  }
  shown.emplace("money", present(fact.money));
  shown.emplace("occurred_at", format_rfc3339(fact.occurred_at));
  shown.emplace("source", core::name(fact.source));
  return shown;
}

json::value Presenter::id(std::string_view prefix, store::RowId row) const {
  if (row == 0) return nullptr;
  return json::string(store::public_id(prefix, tag_, row));
}

std::string Presenter::cursor(std::string_view prefix, store::RowId row) const {
  return row == 0 ? "0" : store::public_id(prefix, tag_, row);
}

std::optional<store::RowId> Presenter::parse(std::string_view text, std::string_view prefix) const {
  return store::parse_public_id(text, prefix, tag_);
}

json::object Presenter::order(const store::OrderRow& row) const {
  return {{"id", id(kOrderPrefix, row.id)},
          {"merchant", row.key.merchant.text()},
          {"merchant_order_id", to_utf8(row.key.id.text())},
          {"state", core::name(row.state)},
          {"dispute", core::name(row.dispute)},
          {"amount_checked", row.expected.has_value()},
          {"expected", present(row.expected)},
          {"paid", present(row.paid)},
          {"refunded", present(row.refunded)},
          {"sequence", row.sequence},
          {"created_at", format_rfc3339(row.created_at)},
          {"updated_at", format_rfc3339(row.updated_at)}};
}

json::object Presenter::attempt(const store::AttemptRow& row) const {
  json::object attempt({{"account", row.key.account.text()}});
  if (!row.key.sub_merchant.empty()) attempt.emplace("sub_merchant", to_utf8(row.key.sub_merchant));
  attempt.emplace("number", to_utf8(row.key.number));
  return attempt;
}

json::object Presenter::fact(const store::FactRow& row) const {
  json::object shown({{"id", id(kFactPrefix, row.id)}});
  for (const auto& member : present(row.fact)) shown.insert(member);
  shown.emplace("recorded_at", format_rfc3339(row.recorded_at));
  shown.emplace("callback", id(kCallbackPrefix, row.callback));
  return shown;
}

json::object Presenter::callback(const store::CallbackRow& row) const {
  return {{"id", id(kCallbackPrefix, row.id)},
          {"account", row.account.text()},
          {"received_at", format_rfc3339(row.received_at)},
          {"outcome", store::name(row.outcome)},
          {"event_type", to_utf8(row.event_type)},
          {"key_id", to_utf8(row.key_id)},
          {"scheme", to_utf8(row.scheme)},
          {"copies", row.copies},
          {"copy_of", id(kCallbackPrefix, row.copy_of)},
          {"body_sha256", crypto::hex_encode(row.digest)}};
}

json::object Presenter::callback_in_full(const store::CallbackRow& row) const {
  json::object shown = callback(row);
  shown.emplace("peer", row.peer);
  shown.emplace("target", to_utf8(row.target));
  shown.emplace("headers", header_lines(row.headers));
  shown.emplace("headers_base64", crypto::base64_encode(row.headers));
  shown.emplace("body_base64", crypto::base64_encode(row.body));
  return shown;
}

json::object Presenter::event(const store::EventRow& row) const {
  return {{"id", id(kEventPrefix, row.id)},
          {"sequence", row.sequence},
          {"type", core::name(row.type)},
          {"created_at", format_rfc3339(row.created_at)},
          {"body", parsed(row.body)}};
}

json::object Presenter::delivery(const store::DeliveryRow& row) const {
  return {{"id", id(kDeliveryPrefix, row.id)},
          {"event", id(kEventPrefix, row.event)},
          {"sequence", row.sequence},
          {"endpoint", row.endpoint.text()},
          {"state", store::name(row.state)},
          {"due_at", format_rfc3339(row.due_at)},
          {"tries", row.tries},
          {"reason", to_utf8(row.reason)}};
}

json::object Presenter::delivery_try(const store::TryRow& row) const {
  return {{"began_at", format_rfc3339(row.began_at)},
          {"took_ms", row.took.count()},
          {"outcome", store::name(row.outcome)},
          {"code", row.code},
          {"excerpt", to_utf8(row.excerpt)}};
}

json::object Presenter::applied(const store::AppliedRow& row) const {
  return {{"event", id(kEventPrefix, row.event)},
          {"consumer", to_utf8(row.consumer)},
          {"applied_at", format_rfc3339(row.at)}};
}

json::object Presenter::audit(const store::AuditRow& row) const {
  json::array deliveries;
  for (const store::RowId delivery : row.deliveries) {
    deliveries.push_back(id(kDeliveryPrefix, delivery));
  }
  return {{"id", id(kAuditPrefix, row.id)},
          {"at", format_rfc3339(row.at)},
          {"actor", row.actor.name},
          {"peer", row.actor.peer},
          {"act", store::name(row.act)},
          {"outcome", store::name(row.outcome)},
          {"deliveries", std::move(deliveries)},
          {"detail", to_utf8(row.detail)}};
}

json::object Presenter::incident(const store::IncidentRow& row) const {
  return {{"id", id(kIncidentPrefix, row.id)},
          {"kind", core::name(row.kind)},
          {"subject", to_utf8(row.subject)},
          {"state", store::name(row.state)},
          {"detail", to_utf8(row.detail)},
          {"count", row.count},
          {"order", id(kOrderPrefix, row.order)},
          {"callback", id(kCallbackPrefix, row.callback)},
          {"first_at", format_rfc3339(row.first_at)},
          {"last_at", format_rfc3339(row.last_at)}};
}

}  // namespace postern::admin
