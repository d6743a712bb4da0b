// Rows go in by the group (many.h). OR FAIL lets SQLite do without a journal of the statement: the
// whole batch is rolled back anyway when one of its rows is refused.
#include "store/sqlite/row_writer.h"

#include <algorithm>

#include "store/sql/codes.h"

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

/// The refunded sum is stored without its currency.
[[nodiscard]] bool refunded_as_paid(const OrderRow& row) {
  return !row.refunded || (row.paid && row.refunded->currency() == row.paid->currency());
}

/// The nine columns of an order that change.
void bind_changing(Statement& statement, int first, const OrderRow& row) {
  statement.bind_from(first, row.sequence, sql::to_code(row.state), sql::to_code(row.dispute));
  bind_money(statement, first + 3, row.expected);
  bind_money(statement, first + 5, row.paid);
  if (row.refunded) {
    statement.bind_at(first + 7, row.refunded->minor());
  } else {
    statement.bind_at(first + 7, std::nullopt);
  }
  statement.bind_at(first + 8, row.updated_at);
}

}  // namespace

Result<RowWriter> RowWriter::prepare(Database& database, FactKeys& fact_keys) {
  RowWriter made(database, fact_keys);
  POSTERN_RETURN_IF_ERROR(made.prepare_evidence());
  POSTERN_RETURN_IF_ERROR(made.prepare_orders());
  POSTERN_RETURN_IF_ERROR(made.prepare_effects());
  return made;
}

Result<void> RowWriter::prepare_evidence() {
  POSTERN_ASSIGN_OR_RETURN(
      callback_, Many::prepare(*database_,
                               "INSERT OR FAIL INTO callbacks (id, account, received_at_ms, "
                               "outcome, copy_of, message_key, key_id, scheme, event_type, peer, "
                               "digest, target, headers, body) VALUES {}",
                               14));
  POSTERN_ASSIGN_OR_RETURN(
      copies_,
      database_->prepare("INSERT INTO copies (callback_id, count) VALUES (?, ?) "
                         "ON CONFLICT (callback_id) DO UPDATE SET count = count + excluded.count"));
  POSTERN_ASSIGN_OR_RETURN(
      fact_, Many::prepare(*database_,
                           "INSERT OR FAIL INTO facts (id, attempt_id, callback_id, fact_key, "
                           "kind, source, payment_id, refund_id, dispute_id, minor, currency, "
                           "dispute, occurred_at_ms, recorded_at_ms) VALUES {}",
                           14));
  return {};
}

Result<void> RowWriter::prepare_orders() {
  POSTERN_ASSIGN_OR_RETURN(
      order_new_, Many::prepare(*database_,
                                "INSERT OR FAIL INTO orders (id, merchant, merchant_order_id, "
                                "created_at_ms, sequence, state, dispute, expected_minor, "
                                "expected_currency, paid_minor, paid_currency, refunded_minor, "
                                "updated_at_ms) VALUES {}",
                                13));
  POSTERN_ASSIGN_OR_RETURN(
      order_changed_,
      database_->prepare("UPDATE orders SET sequence = ?, state = ?, dispute = ?, "
                         "expected_minor = ?, expected_currency = ?, paid_minor = ?, "
                         "paid_currency = ?, refunded_minor = ?, updated_at_ms = ? WHERE id = ?"));
  POSTERN_ASSIGN_OR_RETURN(attempt_new_,
                           Many::prepare(*database_,
                                         "INSERT OR FAIL INTO attempts (id, account, sub_merchant, "
                                         "number, order_id) VALUES {}",
                                         5));
  POSTERN_ASSIGN_OR_RETURN(attempt_assigned_,
                           database_->prepare("UPDATE attempts SET order_id = ? WHERE id = ?"));
  return {};
}

Result<void> RowWriter::prepare_effects() {
  POSTERN_ASSIGN_OR_RETURN(event_,
                           Many::prepare(*database_,
                                         "INSERT OR FAIL INTO events (id, order_id, sequence, "
                                         "type, created_at_ms, body) VALUES {}",
                                         6));
  POSTERN_ASSIGN_OR_RETURN(
      delivery_, Many::prepare(*database_,
                               "INSERT OR FAIL INTO deliveries (id, event_id, order_id, sequence, "
                               "endpoint, state, due_at_ms) VALUES {}",
                               7));
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
  return callback_.run(
      writes.callbacks, [](Statement& statement, int first, const NewCallback& row) {
        const CallbackRow& evidence = *row.evidence;
        statement.bind_from(first, row.id, evidence.account.text(), evidence.received_at,
                            sql::to_code(row.outcome), Reference{row.copy_of},
                            OptionalText{row.message_key}, evidence.key_id, evidence.scheme,
                            evidence.event_type, evidence.peer, Blob{evidence.digest},
                            Blob{evidence.target}, Blob{evidence.headers}, Blob{evidence.body});
      });
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
  for (const auto* rows : {&writes.orders_new, &writes.orders_changed}) {
    if (!std::ranges::all_of(*rows, refunded_as_paid)) {
      return rejected("store_row_refused", "an order is refunded in another currency than paid");
    }
  }
  POSTERN_RETURN_IF_ERROR(order_new_.run(writes.orders_new, [](Statement& statement, int first,
                                                               const OrderRow& row) {
    statement.bind_from(first, row.id, row.key.merchant.text(), row.key.id.text(), row.created_at);
    bind_changing(statement, first + 4, row);
  }));
  for (const OrderRow& row : writes.orders_changed) {
    bind_changing(order_changed_, 1, row);
    order_changed_.bind_at(10, row.id);
    POSTERN_RETURN_IF_ERROR(run_on_one(order_changed_));
  }
  return {};
}

Result<void> RowWriter::write_attempts(const Writes& writes) {
  POSTERN_RETURN_IF_ERROR(attempt_new_.run(
      writes.attempts_new, [](Statement& statement, int first, const AttemptRow& row) {
        statement.bind_from(first, row.id, row.key.account.text(), row.key.sub_merchant,
                            row.key.number, Reference{row.order});
      }));
  for (const AttemptRow& row : writes.attempts_assigned) {
    attempt_assigned_.bind(Reference{row.order}, row.id);
    POSTERN_RETURN_IF_ERROR(run_on_one(attempt_assigned_));
  }
  return {};
}

Result<void> RowWriter::write_facts(const Writes& writes) {
  std::vector<std::string> keys;
  keys.reserve(writes.facts.size());
  const auto bind = [&keys](Statement& statement, int first, const FactRow& row) {
    keys.push_back(core::fact_key(row.fact));
    statement.bind_from(first, row.id, row.attempt, Reference{row.callback}, keys.back(),
                        sql::to_code(row.fact.kind), sql::to_code(row.fact.source),
                        row.fact.payment_id, row.fact.refund_id, row.fact.dispute_id);
    bind_money(statement, first + 9, row.fact.money);
    statement.bind_from(first + 11, sql::to_code(row.fact.dispute), row.fact.occurred_at,
                        row.recorded_at);
  };
  POSTERN_RETURN_IF_ERROR(fact_.run(writes.facts, bind));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    POSTERN_RETURN_IF_ERROR(fact_keys_->claim(keys[i], writes.facts[i].id));
  }
  return fact_keys_->file_surplus();
}

Result<void> RowWriter::write_events(const Writes& writes) {
  return event_.run(writes.events, [](Statement& statement, int first, const EventRow& row) {
    statement.bind_from(first, row.id, row.order, row.sequence, sql::to_code(row.type),
                        row.created_at, row.body);
  });
}

Result<void> RowWriter::write_deliveries(const Writes& writes) {
  const auto bind = [](Statement& statement, int first, const DeliveryRow& row) {
    statement.bind_from(first, row.id, row.event, row.order, row.sequence, row.endpoint.text(),
                        sql::to_code(row.state), row.due_at);
  };
  return delivery_.run(writes.deliveries, bind);
}

Result<void> RowWriter::write_incidents(const Writes& writes) {
  for (const IncidentRow& row : writes.incidents) {
    incident_.bind(row.id, sql::to_code(row.kind), row.subject, Reference{row.order},
                   Reference{row.callback}, row.detail, sql::to_code(row.state), row.count,
                   row.first_at, row.last_at);
    POSTERN_RETURN_IF_ERROR(incident_.run());
  }
  for (const auto& [kind, subject] : writes.incidents_resolved) {
    incident_resolved_.bind(subject, sql::to_code(kind));
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
