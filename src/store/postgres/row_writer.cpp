// Rows that several transactions may change are written in the order of their keys, so that two
// nodes never wait for each other in a ring: the orders and deliveries are locked by then, copies
// and incidents are sorted here.
#include "store/postgres/row_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>
#include <tuple>
#include <utility>

#include "store/sql/codes.h"

namespace postern::store::postgres {
namespace {

using sql::to_code;

/// "INSERT INTO table (columns) SELECT * FROM unnest($1::bigint[], $2::text[], ...)".
/// @param types  a letter a column: b bigint, t text, y bytea
[[nodiscard]] std::string insert_into(std::string_view table, std::string_view columns,
                                      std::string_view types) {
  std::string parameters;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string_view type = types[i] == 'b' ? "bigint" : types[i] == 't' ? "text" : "bytea";
    parameters += fmt::format("{}${}::{}[]", i == 0 ? "" : ", ", i + 1, type);
  }
  return fmt::format("INSERT INTO {} ({}) SELECT * FROM unnest({})", table, columns, parameters);
}

/// One column of the rows, as `add` gives each of them to it.
template <class Row, class Add>
[[nodiscard]] Array column(Type type, const std::vector<Row>& rows, Add add) {
  Array array(type);
  for (const Row& row : rows) add(array, row);
  return array;
}

template <class Row, class Get>
[[nodiscard]] Array numbers(const std::vector<Row>& rows, Get get) {
  return column(Type::kBigint, rows,
                [&](Array& array, const Row& row) { array.add(std::invoke(get, row)); });
}

template <class Row, class Get>
[[nodiscard]] Array references(const std::vector<Row>& rows, Get get) {
  return column(Type::kBigint, rows,
                [&](Array& array, const Row& row) { array.add_reference(std::invoke(get, row)); });
}

template <class Row, class Get>
[[nodiscard]] Array codes(const std::vector<Row>& rows, Get get) {
  return column(Type::kBigint, rows,
                [&](Array& array, const Row& row) { array.add(to_code(std::invoke(get, row))); });
}

template <class Row, class Get>
[[nodiscard]] Array texts(const std::vector<Row>& rows, Get get) {
  return column(Type::kText, rows, [&](Array& array, const Row& row) {
    array.add(std::string_view(std::invoke(get, row)));
  });
}

template <class Row, class Get>
[[nodiscard]] Array blobs(const std::vector<Row>& rows, Get get) {
  return column(Type::kBytea, rows, [&](Array& array, const Row& row) {
    array.add(std::string_view(std::invoke(get, row)));
  });
}

/// Minor units and currency, both null for nothing.
template <class Row, class Get>
void add_money(Parameters& parameters, const std::vector<Row>& rows, Get get) {
  Array minor(Type::kBigint);
  Array currency(Type::kText);
  for (const Row& row : rows) {
    if (const std::optional<core::Money>& money = std::invoke(get, row)) {
      minor.add(money->minor());
      currency.add(money->currency().code());
    } else {
      minor.add_null();
      currency.add_null();
    }
  }
  parameters.add(std::move(minor)).add(std::move(currency));
}

/// The refunded sum is stored without its currency.
[[nodiscard]] bool refunded_as_paid(const OrderRow& row) {
  return !row.refunded || (row.paid && row.refunded->currency() == row.paid->currency());
}

/// The nine columns of an order that change.
void add_changing(Parameters& parameters, const std::vector<OrderRow>& rows) {
  parameters.add(numbers(rows, &OrderRow::sequence))
      .add(codes(rows, &OrderRow::state))
      .add(codes(rows, &OrderRow::dispute));
  add_money(parameters, rows, &OrderRow::expected);
  add_money(parameters, rows, &OrderRow::paid);
  parameters
      .add(column(Type::kBigint, rows,
                  [](Array& array, const OrderRow& row) {
                    row.refunded ? array.add(row.refunded->minor()) : array.add_null();
                  }))
      .add(numbers(rows, &OrderRow::updated_at));
}

[[nodiscard]] std::string ids_text(const std::vector<RowId>& ids) {
  return fmt::format("{}", fmt::join(ids, " "));
}

}  // namespace

Result<RowWriter> RowWriter::prepare(Connection& connection) {
  RowWriter made(connection);
  POSTERN_RETURN_IF_ERROR(made.prepare_evidence());
  POSTERN_RETURN_IF_ERROR(made.prepare_orders());
  POSTERN_RETURN_IF_ERROR(made.prepare_effects());
  POSTERN_RETURN_IF_ERROR(made.prepare_rest());
  return made;
}

Result<void> RowWriter::prepare_evidence() {
  POSTERN_ASSIGN_OR_RETURN(
      callback_, connection_->prepare(insert_into(
                     "callbacks",
                     "id, account, received_at_ms, outcome, copy_of, message_key, key_id, scheme, "
                     "event_type, peer, digest",
                     "btbbbttttty")));
  POSTERN_ASSIGN_OR_RETURN(
      evidence_, connection_->prepare(insert_into(
                     "evidence", "callback_id, received_at_ms, target, headers, body", "bbyyy")));
  POSTERN_ASSIGN_OR_RETURN(
      copies_, connection_->prepare(
                   insert_into("copies AS k", "callback_id, count", "bb") +
                   " ON CONFLICT (callback_id) DO UPDATE SET count = k.count + excluded.count"));
  POSTERN_ASSIGN_OR_RETURN(
      fact_,
      connection_->prepare(insert_into(
          "facts",
          "id, attempt_id, callback_id, fact_key, kind, source, payment_id, refund_id, dispute_id, "
          "minor, currency, dispute, occurred_at_ms, recorded_at_ms",
          "bbbtbbtttbtbbb")));
  return {};
}

Result<void> RowWriter::prepare_orders() {
  POSTERN_ASSIGN_OR_RETURN(
      order_new_,
      connection_->prepare(insert_into(
          "orders",
          "id, merchant, merchant_order_id, created_at_ms, sequence, state, dispute, "
          "expected_minor, expected_currency, paid_minor, paid_currency, refunded_minor, "
          "updated_at_ms",
          "bttbbbbbtbtbb")));
  POSTERN_ASSIGN_OR_RETURN(
      order_changed_,
      connection_->prepare(
          "UPDATE orders o SET sequence = n.sequence, state = n.state, dispute = n.dispute, "
          "expected_minor = n.expected_minor, expected_currency = n.expected_currency, "
          "paid_minor = n.paid_minor, paid_currency = n.paid_currency, "
          "refunded_minor = n.refunded_minor, updated_at_ms = n.updated_at_ms "
          "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], "
          "$6::text[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[]) AS n (id, sequence, "
          "state, dispute, expected_minor, expected_currency, paid_minor, paid_currency, "
          "refunded_minor, updated_at_ms) WHERE o.id = n.id AND o.id = ANY ($1::bigint[])"));
  POSTERN_ASSIGN_OR_RETURN(
      attempt_new_, connection_->prepare(insert_into(
                        "attempts", "id, account, sub_merchant, number, order_id", "btttb")));
  POSTERN_ASSIGN_OR_RETURN(
      attempt_assigned_,
      connection_->prepare("UPDATE attempts a SET order_id = n.order_id FROM unnest($1::bigint[], "
                           "$2::bigint[]) AS n (id, order_id) WHERE a.id = n.id "
                           "AND a.id = ANY ($1::bigint[])"));
  return {};
}

Result<void> RowWriter::prepare_effects() {
  POSTERN_ASSIGN_OR_RETURN(
      event_, connection_->prepare(insert_into(
                  "events", "id, order_id, sequence, type, created_at_ms, body", "bbbbbt")));
  POSTERN_ASSIGN_OR_RETURN(
      delivery_, connection_->prepare(insert_into(
                     "deliveries", "id, event_id, order_id, sequence, endpoint, state, due_at_ms",
                     "bbbbtbb")));
  POSTERN_ASSIGN_OR_RETURN(
      delivery_changed_,
      connection_->prepare(
          "UPDATE deliveries d SET state = n.state, due_at_ms = n.due_at_ms, tries = n.tries, "
          "lease = n.lease, reason = n.reason FROM unnest($1::bigint[], $2::bigint[], "
          "$3::bigint[], $4::bigint[], $5::bigint[], $6::text[]) AS n (id, state, due_at_ms, "
          "tries, lease, reason) WHERE d.id = n.id AND d.id = ANY ($1::bigint[])"));
  POSTERN_ASSIGN_OR_RETURN(
      delivery_promoted_,
      connection_->prepare("UPDATE deliveries d SET state = 0, due_at_ms = n.due_at_ms FROM "
                           "unnest($1::bigint[], $2::bigint[]) AS n (id, due_at_ms) "
                           "WHERE d.id = n.id AND d.id = ANY ($1::bigint[]) AND d.state = 1"));
  POSTERN_ASSIGN_OR_RETURN(
      try_,
      connection_->prepare(insert_into(
          "tries", "id, delivery_id, began_at_ms, took_ms, outcome, code, excerpt", "bbbbbtt")));
  return {};
}

Result<void> RowWriter::prepare_rest() {
  // As on SQLite: a resolved incident that comes back is open again (2 becomes 0).
  POSTERN_ASSIGN_OR_RETURN(
      incident_,
      connection_->prepare(
          insert_into("incidents AS i",
                      "id, kind, subject, order_id, callback_id, detail, state, count, "
                      "first_at_ms, last_at_ms",
                      "bbtbbtbbbb") +
          " ON CONFLICT (subject, kind) DO UPDATE SET "
          "order_id = coalesce(excluded.order_id, i.order_id), "
          "callback_id = coalesce(excluded.callback_id, i.callback_id), detail = excluded.detail, "
          "state = CASE i.state WHEN 2 THEN 0 ELSE i.state END, "
          "count = i.count + excluded.count, last_at_ms = excluded.last_at_ms"));
  POSTERN_ASSIGN_OR_RETURN(
      incident_resolved_,
      connection_->prepare("UPDATE incidents SET state = 2 WHERE subject = $1::text "
                           "AND kind = $2::bigint"));
  POSTERN_ASSIGN_OR_RETURN(
      audit_,
      connection_->prepare(insert_into(
          "audit", "id, at_ms, actor, peer, act, outcome, deliveries, detail", "bbttbbtt")));
  POSTERN_ASSIGN_OR_RETURN(
      applied_, connection_->prepare(insert_into("applied", "event_id, consumer, at_ms", "btb")));
  return {};
}

Result<void> RowWriter::write(const Writes& writes) {
  for (const auto* rows : {&writes.orders_new, &writes.orders_changed}) {
    if (!std::ranges::all_of(*rows, refunded_as_paid)) {
      return rejected("store_row_refused", "an order is refunded in another currency than paid");
    }
  }
  Round round(*connection_);
  send_callbacks(round, writes.callbacks);
  send_copies(round, writes.copies);
  send_orders(round, writes);
  send_attempts(round, writes);
  send_facts(round, writes.facts);
  send_events(round, writes.events);
  send_deliveries(round, writes);
  send_tries(round, writes.tries);
  send_incidents(round, writes);
  send_audit(round, writes);
  return round.run();
}

void RowWriter::send_callbacks(Round& round, const std::vector<NewCallback>& rows) {
  if (rows.empty()) return;
  const auto of = [](auto member) {
    return [member](const NewCallback& row) -> auto& { return (*row.evidence).*member; };
  };
  const auto account = [](const NewCallback& row) -> auto& { return row.evidence->account.text(); };
  const auto add_key = [](Array& array, const NewCallback& row) {
    array.add_optional(row.message_key);
  };
  Parameters callbacks;
  callbacks.add(numbers(rows, &NewCallback::id))
      .add(texts(rows, account))
      .add(numbers(rows, of(&CallbackRow::received_at)))
      .add(codes(rows, &NewCallback::outcome))
      .add(references(rows, &NewCallback::copy_of))
      .add(column(Type::kText, rows, add_key))
      .add(texts(rows, of(&CallbackRow::key_id)))
      .add(texts(rows, of(&CallbackRow::scheme)))
      .add(texts(rows, of(&CallbackRow::event_type)))
      .add(texts(rows, of(&CallbackRow::peer)))
      .add(blobs(rows, of(&CallbackRow::digest)));
  round.send(callback_, callbacks);
  Parameters evidence;
  evidence.add(numbers(rows, &NewCallback::id))
      .add(numbers(rows, of(&CallbackRow::received_at)))
      .add(blobs(rows, of(&CallbackRow::target)))
      .add(blobs(rows, of(&CallbackRow::headers)))
      .add(blobs(rows, of(&CallbackRow::body)));
  round.send(evidence_, evidence);
}

void RowWriter::send_copies(Round& round, std::vector<RowId> copies) {
  if (copies.empty()) return;
  std::ranges::sort(copies);
  Array ids(Type::kBigint);
  Array counts(Type::kBigint);
  for (auto first = copies.begin(); first != copies.end();) {
    const auto last = std::upper_bound(first, copies.end(), *first);
    ids.add(*first);
    counts.add(std::int64_t{last - first});
    first = last;
  }
  round.send(copies_, Parameters().add(std::move(ids)).add(std::move(counts)));
}

void RowWriter::send_orders(Round& round, const Writes& writes) {
  if (const auto& rows = writes.orders_new; !rows.empty()) {
    Parameters parameters;
    parameters.add(numbers(rows, &OrderRow::id))
        .add(texts(rows, [](const OrderRow& row) -> auto& { return row.key.merchant.text(); }))
        .add(texts(rows, [](const OrderRow& row) -> auto& { return row.key.id.text(); }))
        .add(numbers(rows, &OrderRow::created_at));
    add_changing(parameters, rows);
    round.send(order_new_, parameters);
  }
  if (const auto& rows = writes.orders_changed; !rows.empty()) {
    Parameters parameters;
    parameters.add(numbers(rows, &OrderRow::id));
    add_changing(parameters, rows);
    round.change(order_changed_, parameters, std::ssize(rows));
  }
}

void RowWriter::send_attempts(Round& round, const Writes& writes) {
  if (const auto& rows = writes.attempts_new; !rows.empty()) {
    Parameters parameters;
    parameters.add(numbers(rows, &AttemptRow::id))
        .add(texts(rows, [](const AttemptRow& row) -> auto& { return row.key.account.text(); }))
        .add(texts(rows, [](const AttemptRow& row) -> auto& { return row.key.sub_merchant; }))
        .add(texts(rows, [](const AttemptRow& row) -> auto& { return row.key.number; }))
        .add(references(rows, &AttemptRow::order));
    round.send(attempt_new_, parameters);
  }
  if (const auto& rows = writes.attempts_assigned; !rows.empty()) {
    Parameters parameters;
    parameters.add(numbers(rows, &AttemptRow::id)).add(references(rows, &AttemptRow::order));
    round.change(attempt_assigned_, parameters, std::ssize(rows));
  }
}

void RowWriter::send_facts(Round& round, const std::vector<FactRow>& rows) {
  if (rows.empty()) return;
  Parameters parameters;
  parameters.add(numbers(rows, &FactRow::id))
      .add(numbers(rows, &FactRow::attempt))
      .add(references(rows, &FactRow::callback))
      .add(column(Type::kText, rows,
                  [](Array& array, const FactRow& row) { array.add(core::fact_key(row.fact)); }))
      .add(codes(rows, [](const FactRow& row) { return row.fact.kind; }))
      .add(codes(rows, [](const FactRow& row) { return row.fact.source; }))
      .add(texts(rows, [](const FactRow& row) -> auto& { return row.fact.payment_id; }))
      .add(texts(rows, [](const FactRow& row) -> auto& { return row.fact.refund_id; }))
      .add(texts(rows, [](const FactRow& row) -> auto& { return row.fact.dispute_id; }));
  add_money(parameters, rows, [](const FactRow& row) -> auto& { return row.fact.money; });
  parameters.add(codes(rows, [](const FactRow& row) { return row.fact.dispute; }))
      .add(numbers(rows, [](const FactRow& row) { return row.fact.occurred_at; }))
      .add(numbers(rows, &FactRow::recorded_at));
  round.send(fact_, parameters);
}

void RowWriter::send_events(Round& round, const std::vector<EventRow>& rows) {
  if (rows.empty()) return;
  Parameters parameters;
  parameters.add(numbers(rows, &EventRow::id))
      .add(numbers(rows, &EventRow::order))
      .add(numbers(rows, &EventRow::sequence))
      .add(codes(rows, &EventRow::type))
      .add(numbers(rows, &EventRow::created_at))
      .add(texts(rows, &EventRow::body));
  round.send(event_, parameters);
}

void RowWriter::send_deliveries(Round& round, const Writes& writes) {
  if (const auto& rows = writes.deliveries; !rows.empty()) {
    Parameters parameters;
    parameters.add(numbers(rows, &DeliveryRow::id))
        .add(numbers(rows, &DeliveryRow::event))
        .add(numbers(rows, &DeliveryRow::order))
        .add(numbers(rows, &DeliveryRow::sequence))
        .add(texts(rows, [](const DeliveryRow& row) -> auto& { return row.endpoint.text(); }))
        .add(codes(rows, &DeliveryRow::state))
        .add(numbers(rows, &DeliveryRow::due_at));
    round.send(delivery_, parameters);
  }
  if (const auto& rows = writes.deliveries_changed; !rows.empty()) {
    Parameters parameters;
    parameters.add(numbers(rows, &DeliveryRow::id))
        .add(codes(rows, &DeliveryRow::state))
        .add(numbers(rows, &DeliveryRow::due_at))
        .add(numbers(rows, &DeliveryRow::tries))
        .add(numbers(rows, &DeliveryRow::lease))
        .add(column(Type::kText, rows,
                    [](Array& array, const DeliveryRow& row) { array.add_optional(row.reason); }));
    round.change(delivery_changed_, parameters, std::ssize(rows));
  }
  if (const auto& rows = writes.deliveries_promoted; !rows.empty()) {
    Parameters parameters;
    parameters.add(numbers(rows, &Promotion::delivery)).add(numbers(rows, &Promotion::due_at));
    round.send(delivery_promoted_, parameters);
  }
}

void RowWriter::send_tries(Round& round, const std::vector<TryRow>& rows) {
  if (rows.empty()) return;
  Parameters parameters;
  parameters.add(numbers(rows, &TryRow::id))
      .add(numbers(rows, &TryRow::delivery))
      .add(numbers(rows, &TryRow::began_at))
      .add(numbers(rows, [](const TryRow& row) { return std::int64_t{row.took.count()}; }))
      .add(codes(rows, &TryRow::outcome))
      .add(texts(rows, &TryRow::code))
      .add(texts(rows, &TryRow::excerpt));
  round.send(try_, parameters);
}

/// One statement each, since one statement cannot count the same incident up twice.
void RowWriter::send_incidents(Round& round, const Writes& writes) {
  std::vector<const IncidentRow*> sorted;
  for (const IncidentRow& row : writes.incidents) sorted.push_back(&row);
  std::ranges::sort(sorted, {}, [](const IncidentRow* row) {
    return std::tie(row->subject, row->kind, row->id);
  });
  for (const IncidentRow* incident : sorted) {
    const std::vector<IncidentRow> rows = {*incident};
    Parameters parameters;
    parameters.add(numbers(rows, &IncidentRow::id))
        .add(codes(rows, &IncidentRow::kind))
        .add(texts(rows, &IncidentRow::subject))
        .add(references(rows, &IncidentRow::order))
        .add(references(rows, &IncidentRow::callback))
        .add(texts(rows, &IncidentRow::detail))
        .add(codes(rows, &IncidentRow::state))
        .add(numbers(rows, &IncidentRow::count))
        .add(numbers(rows, &IncidentRow::first_at))
        .add(numbers(rows, &IncidentRow::last_at));
    round.send(incident_, parameters);
  }
  auto resolved = writes.incidents_resolved;
  std::ranges::sort(resolved, {}, [](const auto& one) { return std::tie(one.second, one.first); });
  for (const auto& [kind, subject] : resolved) {
    round.send(incident_resolved_, Parameters().add(std::string_view(subject)).add(to_code(kind)));
  }
}

void RowWriter::send_audit(Round& round, const Writes& writes) {
  if (const auto& rows = writes.audit; !rows.empty()) {
    Parameters parameters;
    parameters.add(numbers(rows, &AuditRow::id))
        .add(numbers(rows, &AuditRow::at))
        .add(texts(rows, [](const AuditRow& row) -> auto& { return row.actor.name; }))
        .add(texts(rows, [](const AuditRow& row) -> auto& { return row.actor.peer; }))
        .add(codes(rows, &AuditRow::act))
        .add(codes(rows, &AuditRow::outcome))
        .add(column(Type::kText, rows,
                    [](Array& array, const AuditRow& row) { array.add(ids_text(row.deliveries)); }))
        .add(texts(rows, &AuditRow::detail));
    round.send(audit_, parameters);
  }
  if (const auto& rows = writes.applied; !rows.empty()) {
    Parameters parameters;
    parameters.add(numbers(rows, &AppliedRow::event))
        .add(texts(rows, &AppliedRow::consumer))
        .add(numbers(rows, &AppliedRow::at));
    round.send(applied_, parameters);
  }
}

}  // namespace postern::store::postgres
