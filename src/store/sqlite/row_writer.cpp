#include "store/sqlite/row_writer.h"

#include <algorithm>

#include "store/sqlite/codes.h"

namespace postern::store::sqlite {
namespace {

void bind_money(Statement& statement, int index, const std::optional<core::Money>& money) {
  if (money) {
    statement.bind_at(index, money->minor());
    statement.bind_at(index + 1, money->currency().code());
  } else {
    statement.bind_at(index, std::nullopt);
    statement.bind_at(index + 1, std::nullopt);
  }
}

/// The refunded sum is stored in the currency paid, so it must be in it.
[[nodiscard]] Result<void> bind_refunded(Statement& statement, int index, const OrderRow& row) {
  if (!row.refunded) {
    statement.bind_at(index, std::nullopt);
    return {};
  }
  if (!row.paid || row.refunded->currency() != row.paid->currency()) {
    return rejected("store_row_refused", "an order is refunded in another currency than paid");
  }
  statement.bind_at(index, row.refunded->minor());
  return {};
}

}  // namespace

Result<RowWriter> RowWriter::prepare(Database& database) {
  RowWriter made(database);
  POSTERN_RETURN_IF_ERROR(made.prepare_evidence());
  POSTERN_RETURN_IF_ERROR(made.prepare_orders());
  POSTERN_RETURN_IF_ERROR(made.prepare_effects());
  return made;
}

Result<void> RowWriter::prepare_evidence() {
  POSTERN_ASSIGN_OR_RETURN(
      callback_,
      database_->prepare("INSERT INTO callbacks (id, account, received_at_ms, outcome, copy_of, "
                         "message_key, key_id, scheme, event_type, peer, digest, target, headers, "
                         "body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  POSTERN_ASSIGN_OR_RETURN(copies_,
                           database_->prepare("INSERT INTO copies (callback_id, count) VALUES (?, "
                                              "?) ON CONFLICT (callback_id) DO UPDATE SET count = "
                                              "count + excluded.count"));
  POSTERN_ASSIGN_OR_RETURN(
      fact_, database_->prepare(
                 "INSERT INTO facts (id, attempt_id, callback_id, fact_key, kind, source, "
                 "payment_id, refund_id, dispute_id, minor, currency, dispute, occurred_at_ms, "
                 "recorded_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  return {};
}

Result<void> RowWriter::prepare_orders() {
  POSTERN_ASSIGN_OR_RETURN(
      order_new_,
      database_->prepare("INSERT INTO orders (id, merchant, merchant_order_id, sequence, state, "
                         "dispute, expected_minor, expected_currency, paid_minor, paid_currency, "
                         "refunded_minor, updated_at_ms, created_at_ms) "
                         "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  POSTERN_ASSIGN_OR_RETURN(
      order_changed_,
      database_->prepare("UPDATE orders SET sequence = ?4, state = ?5, dispute = ?6, "
                         "expected_minor = ?7, expected_currency = ?8, paid_minor = ?9, "
                         "paid_currency = ?10, refunded_minor = ?11, updated_at_ms = ?12 "
                         "WHERE id = ?1"));
  POSTERN_ASSIGN_OR_RETURN(
      attempt_new_,
      database_->prepare("INSERT INTO attempts (id, account, sub_merchant, number, order_id) "
                         "VALUES (?, ?, ?, ?, ?)"));
  POSTERN_ASSIGN_OR_RETURN(attempt_assigned_,
                           database_->prepare("UPDATE attempts SET order_id = ? WHERE id = ?"));
  return {};
}

Result<void> RowWriter::prepare_effects() {
  POSTERN_ASSIGN_OR_RETURN(event_,
                           database_->prepare("INSERT INTO events (id, order_id, sequence, type, "
                                              "created_at_ms, body) VALUES (?, ?, ?, ?, ?, ?)"));
  POSTERN_ASSIGN_OR_RETURN(
      delivery_, database_->prepare("INSERT INTO deliveries (id, event_id, order_id, sequence, "
                                    "endpoint, state, due_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)"));
  // A resolved incident that comes back is open again (state 2 becomes 0); one that somebody has
  // acknowledged stays acknowledged.
  POSTERN_ASSIGN_OR_RETURN(
      incident_,
      database_->prepare(
          "INSERT INTO incidents AS i (id, kind, subject, order_id, callback_id, detail, state, "
          "count, first_at_ms, last_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
          "ON CONFLICT (subject, kind) DO UPDATE SET "
          "order_id = ifnull(excluded.order_id, i.order_id), "
          "callback_id = ifnull(excluded.callback_id, i.callback_id), detail = excluded.detail, "
          "state = CASE i.state WHEN 2 THEN 0 ELSE i.state END, "
          "count = i.count + excluded.count, last_at_ms = excluded.last_at_ms"));
  POSTERN_ASSIGN_OR_RETURN(
      incident_resolved_,
      database_->prepare("UPDATE incidents SET state = 2 WHERE subject = ? AND kind = ?"));
  return {};
}

Result<void> RowWriter::write(const Writes& writes) {
  POSTERN_RETURN_IF_ERROR(write_callbacks(writes));
  POSTERN_RETURN_IF_ERROR(write_copies(writes.copies));
  POSTERN_RETURN_IF_ERROR(write_orders(writes));
  POSTERN_RETURN_IF_ERROR(write_attempts(writes));
  POSTERN_RETURN_IF_ERROR(write_facts(writes));
  POSTERN_RETURN_IF_ERROR(write_events(writes));
  POSTERN_RETURN_IF_ERROR(write_deliveries(writes));
  return write_incidents(writes);
}

Result<void> RowWriter::write_callbacks(const Writes& writes) {
  for (const CallbackRow& row : writes.callbacks) {
    callback_.bind(row.id, row.account.text(), row.received_at, to_code(row.outcome),
                   Reference{row.copy_of});
    if (row.message_key.empty()) {
      callback_.bind_at(6, std::nullopt);
    } else {
      callback_.bind_at(6, row.message_key);
    }
    callback_.bind_at(7, row.key_id);
    callback_.bind_at(8, row.scheme);
    callback_.bind_at(9, row.event_type);
    callback_.bind_at(10, row.peer);
    callback_.bind_at(11, Blob{row.digest});
    callback_.bind_at(12, Blob{row.target});
    callback_.bind_at(13, Blob{row.headers});
    callback_.bind_at(14, Blob{row.body});
    POSTERN_RETURN_IF_ERROR(callback_.run());
  }
  return {};
}

Result<void> RowWriter::write_copies(std::vector<RowId> copies) {
  std::ranges::sort(copies);
  for (auto first = copies.begin(); first != copies.end();) {
    const auto last = std::upper_bound(first, copies.end(), *first);
    copies_.bind(*first, std::int64_t{last - first});
    POSTERN_RETURN_IF_ERROR(copies_.run());
    first = last;
  }
  return {};
}

Result<void> RowWriter::write_orders(const Writes& writes) {
  const auto bind_common = [](Statement& statement, const OrderRow& row) -> Result<void> {
    statement.bind_at(1, row.id);
    statement.bind_at(4, row.sequence);
    statement.bind_at(5, to_code(row.state));
    statement.bind_at(6, to_code(row.dispute));
    bind_money(statement, 7, row.expected);
    bind_money(statement, 9, row.paid);
    statement.bind_at(12, row.updated_at);
    return bind_refunded(statement, 11, row);
  };
  for (const OrderRow& row : writes.orders_new) {
    POSTERN_RETURN_IF_ERROR(bind_common(order_new_, row));
    order_new_.bind_at(2, row.key.merchant.text());
    order_new_.bind_at(3, row.key.id.text());
    order_new_.bind_at(13, row.created_at);
    POSTERN_RETURN_IF_ERROR(order_new_.run());
  }
  for (const OrderRow& row : writes.orders_changed) {
    POSTERN_RETURN_IF_ERROR(bind_common(order_changed_, row));
    POSTERN_RETURN_IF_ERROR(run_on_one(order_changed_));
  }
  return {};
}

Result<void> RowWriter::write_attempts(const Writes& writes) {
  for (const AttemptRow& row : writes.attempts_new) {
    attempt_new_.bind(row.id, row.key.account.text(), row.key.sub_merchant, row.key.number,
                      Reference{row.order});
    POSTERN_RETURN_IF_ERROR(attempt_new_.run());
  }
  for (const AttemptRow& row : writes.attempts_assigned) {
    attempt_assigned_.bind(Reference{row.order}, row.id);
    POSTERN_RETURN_IF_ERROR(run_on_one(attempt_assigned_));
  }
  return {};
}

Result<void> RowWriter::write_facts(const Writes& writes) {
  std::string key;
  for (const FactRow& row : writes.facts) {
    key = core::fact_key(row.fact);
    fact_.bind(row.id, row.attempt, Reference{row.callback}, key, to_code(row.fact.kind),
               to_code(row.fact.source), row.fact.payment_id, row.fact.refund_id,
               row.fact.dispute_id);
    bind_money(fact_, 10, row.fact.money);
    fact_.bind_at(12, to_code(row.fact.dispute));
    fact_.bind_at(13, row.fact.occurred_at);
    fact_.bind_at(14, row.recorded_at);
    POSTERN_RETURN_IF_ERROR(fact_.run());
  }
  return {};
}

Result<void> RowWriter::write_events(const Writes& writes) {
  for (const EventRow& row : writes.events) {
    event_.bind(row.id, row.order, row.sequence, to_code(row.type), row.created_at, row.body);
    POSTERN_RETURN_IF_ERROR(event_.run());
  }
  return {};
}

Result<void> RowWriter::write_deliveries(const Writes& writes) {
  for (const DeliveryRow& row : writes.deliveries) {
    delivery_.bind(row.id, row.event, row.order, row.sequence, row.endpoint.text(),
                   to_code(row.state), row.due_at);
    POSTERN_RETURN_IF_ERROR(delivery_.run());
  }
  return {};
}

Result<void> RowWriter::write_incidents(const Writes& writes) {
  for (const IncidentRow& row : writes.incidents) {
    incident_.bind(row.id, to_code(row.kind), row.subject, Reference{row.order},
                   Reference{row.callback}, row.detail, to_code(row.state), row.count, row.first_at,
                   row.last_at);
    POSTERN_RETURN_IF_ERROR(incident_.run());
  }
  for (const auto& [kind, subject] : writes.incidents_resolved) {
    incident_resolved_.bind(subject, to_code(kind));
    POSTERN_RETURN_IF_ERROR(incident_resolved_.run());
  }
  return {};
}

Result<void> RowWriter::run_on_one(Statement& statement) {
  POSTERN_RETURN_IF_ERROR(statement.run());
  if (database_->changes() == 1) return {};
  return rejected("store_row_refused", "the row to change does not exist");
}

}  // namespace postern::store::sqlite
