#include "store/sql/columns.h"

#include <charconv>

namespace postern::store::sql {

std::optional<core::Money> Columns::money() {
  if (next_is_null()) {
    skip(2);
    return std::nullopt;
  }
  const std::int64_t minor = integer();
  const Result<core::Currency> currency = core::Currency::parse(row_.text(column_++));
  if (!currency) {
    sound_ = false;
    return std::nullopt;
  }
  return core::Money::of(minor, *currency);
}

std::vector<RowId> Columns::row_ids() {
  std::vector<RowId> ids;
  std::string_view text = row_.text(column_++);
  while (!text.empty()) {
    RowId id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc()) {
      sound_ = false;
      return ids;
    }
    ids.push_back(id);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  return ids;
}

Result<void> Columns::check() const {
  if (!sound_) {
    return fault("store_corrupt", "a row holds a state, kind or currency that is never written");
  }
  if (!known_) {
    return rejected(
        kRowOfLaterVersion,
        "a row holds a state or kind that a later version of Postern writes; bring this "
        "node to that version");
  }
  return {};
}

OrderRow read_order(Columns& columns) {
  const RowId id = columns.integer();
  MerchantName merchant = MerchantName::trusted(columns.text());
  MerchantOrderId number = MerchantOrderId::trusted(columns.text());
  OrderRow row{.id = id, .key = {std::move(merchant), std::move(number)}};
  row.sequence = columns.integer();
  row.state = columns.code<core::OrderState>();
  row.dispute = columns.code<core::DisputeState>();
  row.expected = columns.money();
  row.paid = columns.money();
  if (!columns.next_is_null() && row.paid) {
    row.refunded = core::Money::of(columns.integer(), row.paid->currency());
  } else {
    columns.skip(1);
  }
  row.created_at = columns.time();
  row.updated_at = columns.time();
  return row;
}

AttemptRow read_attempt(Columns& columns) {
  const RowId id = columns.integer();
  AccountName account = AccountName::trusted(columns.text());
  std::string sub_merchant = columns.text();
  std::string number = columns.text();
  return AttemptRow{.id = id,
                    .key = {std::move(account), std::move(sub_merchant), std::move(number)},
                    .order = columns.reference()};
}

FactRow read_fact(Columns& columns, const core::AttemptKey& attempt) {
  FactRow row{.id = columns.integer(),
              .attempt = columns.reference(),
              .callback = columns.reference(),
              .fact = {.attempt = attempt}};
  row.fact.kind = columns.code<core::FactKind>();
  row.fact.source = columns.code<core::FactSource>();
  row.fact.payment_id = columns.text();
  row.fact.refund_id = columns.text();
  row.fact.dispute_id = columns.text();
  row.fact.money = columns.money();
  row.fact.dispute = columns.code<core::DisputeState>();
  row.fact.occurred_at = columns.time();
  row.recorded_at = columns.time();
  return row;
}

EventRow read_event(Columns& columns) {
  return EventRow{.id = columns.integer(),
                  .order = columns.reference(),
                  .sequence = columns.integer(),
                  .type = columns.code<core::EventType>(),
                  .created_at = columns.time(),
                  .body = columns.text()};
}

DeliveryRow read_delivery(Columns& columns) {
  return DeliveryRow{.id = columns.integer(),
                     .event = columns.reference(),
                     .order = columns.reference(),
                     .sequence = columns.integer(),
                     .endpoint = EndpointName::trusted(columns.text()),
                     .state = columns.code<DeliveryState>(),
                     .due_at = columns.time(),
                     .tries = columns.integer(),
                     .lease = columns.integer(),
                     .reason = columns.text()};
}

TryRow read_try(Columns& columns) {
  return TryRow{.id = columns.integer(),
                .delivery = columns.reference(),
                .began_at = columns.time(),
                .took = std::chrono::milliseconds(columns.integer()),
                .outcome = columns.code<TryOutcome>(),
                .code = columns.text(),
                .excerpt = columns.text()};
}

IncidentRow read_incident(Columns& columns) {
  return IncidentRow{.id = columns.integer(),
                     .kind = columns.code<core::IncidentKind>(),
                     .subject = columns.text(),
                     .order = columns.reference(),
                     .callback = columns.reference(),
                     .detail = columns.text(),
                     .state = columns.code<IncidentState>(),
                     .count = columns.integer(),
                     .first_at = columns.time(),
                     .last_at = columns.time()};
}

AuditRow read_audit(Columns& columns) {
  return AuditRow{.id = columns.integer(),
                  .at = columns.time(),
                  .actor = {.name = columns.text(), .peer = columns.text()},
                  .act = columns.code<AuditAct>(),
                  .outcome = columns.code<AuditOutcome>(),
                  .deliveries = columns.row_ids(),
                  .detail = columns.text()};
}

AppliedRow read_applied(Columns& columns) {
  return AppliedRow{.event = columns.reference(), .consumer = columns.text(), .at = columns.time()};
}

CallbackRow read_callback(Columns& columns) {
  const RowId id = columns.integer();
  CallbackRow row{.id = id, .account = AccountName::trusted(columns.text())};
  row.received_at = columns.time();
  row.outcome = columns.code<CallbackOutcome>();
  row.copy_of = columns.reference();
  row.message_key = columns.text();
  row.key_id = columns.text();
  row.scheme = columns.text();
  row.event_type = columns.text();
  row.peer = columns.text();
  row.digest = columns.blob();
  row.copies = columns.integer();
  row.target = columns.blob();
  return row;
}

}  // namespace postern::store::sql
