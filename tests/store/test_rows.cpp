#include "tests/store/test_rows.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::store {
namespace {

[[nodiscard]] std::string describe(const std::optional<core::Money>& sum) {
  return sum ? fmt::format("{} {}", sum->minor(), sum->currency().code()) : "none";
}

[[nodiscard]] std::string describe(const core::AttemptKey& key) {
  return fmt::format("{}/{}/{}", key.account.text(), key.sub_merchant, key.number);
}

[[nodiscard]] std::int64_t describe(TimePoint time) {
  return time.time_since_epoch().count();
}

}  // namespace

TimePoint at(std::int64_t seconds) {
  return TimePoint(std::chrono::milliseconds(1'764'000'000'000 + seconds * 1000 + 7));
}

core::Money money(std::int64_t minor, std::string_view currency) {
  return core::Money::of(minor, core::Currency::parse(currency).value());
}

core::Money yuan(std::int64_t minor) {
  return money(minor, "CNY");
}

core::OrderKey order_key(const std::string& id, const std::string& merchant) {
  return {MerchantName::trusted(merchant), MerchantOrderId::trusted(id)};
}

core::AttemptKey attempt_key(const std::string& number, const std::string& account,
                             const std::string& sub_merchant) {
  return {AccountName::trusted(account), sub_merchant, number};
}

OrderRow order_row(const std::string& id, std::int64_t minor) {
  return OrderRow{
      .key = order_key(id), .expected = yuan(minor), .created_at = at(1), .updated_at = at(1)};
}

CallbackRow callback_row(const std::string& body, const std::string& account) {
  std::string digest = body + std::string(32, '.');
  digest.resize(32);
  return CallbackRow{.account = AccountName::trusted(account),
                     .received_at = at(2),
                     .target = "/payment/" + account + "/callback",
                     .headers = "Host: pay.example\r\n",
                     .body = body,
                     .digest = std::move(digest),
                     .peer = "192.0.2.7",
                     .key_id = "key-1",
                     .scheme = "RSA2",
                     .event_type = "TRADE_SUCCESS"};
}

core::Fact payment(const std::string& number, const std::string& payment_id, std::int64_t minor,
                   const std::string& account) {
  return core::Fact::payment(attempt_key(number, account), payment_id, yuan(minor), at(3));
}

EventRow event_row(RowId order, std::int64_t sequence) {
  return EventRow{.order = order,
                  .sequence = sequence,
                  .type = core::EventType::kPaid,
                  .created_at = at(4),
                  .body = fmt::format("{{\"sequence\":{}}}", sequence)};
}

IncidentRow incident_row(core::IncidentKind kind, const std::string& subject) {
  return IncidentRow{
      .kind = kind, .subject = subject, .detail = "look", .first_at = at(5), .last_at = at(5)};
}

RowId Made::number(RowId id) const {
  const auto found = std::ranges::find(ids_, id);
  return found == ids_.end() ? 0 : found - ids_.begin() + 1;
}

std::vector<RowId> Made::numbers(const std::vector<RowId>& ids) const {
  std::vector<RowId> numbers;
  for (const RowId id : ids) numbers.push_back(number(id));
  return numbers;
}

std::string describe(const OrderRow& row) {
  return fmt::format("order {} {}/{} expected={} sequence={} {} {} paid={} refunded={} {} {}",
                     row.id, row.key.merchant.text(), row.key.id.text(), describe(row.expected),
                     row.sequence, core::name(row.state), core::name(row.dispute),
                     describe(row.paid), describe(row.refunded), describe(row.created_at),
                     describe(row.updated_at));
}

std::string describe(const AttemptRow& row) {
  return fmt::format("attempt {} {} order={}", row.id, describe(row.key), row.order);
}

std::string describe(const core::Fact& fact) {
  return fmt::format("{} {} {}/{}/{} {} {} {} {}", core::name(fact.kind), describe(fact.attempt),
                     fact.payment_id, fact.refund_id, fact.dispute_id, describe(fact.money),
                     core::name(fact.dispute), describe(fact.occurred_at), core::name(fact.source));
}

std::string describe(const FactRow& row) {
  return fmt::format("fact {} attempt={} callback={} {} at {}", row.id, row.attempt, row.callback,
                     describe(row.fact), describe(row.recorded_at));
}

std::string describe(const CallbackRow& row) {
  return fmt::format("callback {} {} {} '{}' '{}' '{}' '{}' {} {} {} {} '{}' {} copies={} of={}",
                     row.id, row.account.text(), describe(row.received_at), row.target, row.headers,
                     row.body, row.digest, row.peer, row.key_id, row.scheme, row.event_type,
                     row.message_key, name(row.outcome), row.copies, row.copy_of);
}

std::string describe(const EventRow& row) {
  return fmt::format("event {} order={} {} {} {} '{}'", row.id, row.order, row.sequence,
                     core::name(row.type), describe(row.created_at), row.body);
}

std::string describe(const DeliveryRow& row) {
  return fmt::format("delivery {} event={} order={} {} {} {} {}", row.id, row.event, row.order,
                     row.sequence, row.endpoint.text(), name(row.state), describe(row.due_at));
}

std::string describe(const IncidentRow& row) {
  return fmt::format("incident {} {} '{}' order={} callback={} '{}' {} x{} {} {}", row.id,
                     core::name(row.kind), row.subject, row.order, row.callback, row.detail,
                     name(row.state), row.count, describe(row.first_at), describe(row.last_at));
}

}  // namespace postern::store
