// A claim walks the partial index of ready deliveries, which is in the order of being due. What
// stands around a delivery (its event, its order's number) comes with it, so that a try needs no
// further question.
#include "store/sqlite/delivery_tables.h"

#include <fmt/format.h>

#include "store/sql/codes.h"
#include "store/sql/columns.h"

namespace postern::store::sqlite {
namespace {

[[nodiscard]] LoadedDelivery read_loaded(sql::Columns& columns) {
  DeliveryRow row = sql::read_delivery(columns);
  EventRow event = sql::read_event(columns);
  MerchantName merchant = MerchantName::trusted(columns.text());
  return {.row = std::move(row),
          .event = std::move(event),
          .order = {std::move(merchant), MerchantOrderId::trusted(columns.text())}};
}

}  // namespace

Result<DeliveryTables> DeliveryTables::prepare(Database& database) {
  DeliveryTables made;
  const std::string with_event = fmt::format(
      "SELECT {}, {}, o.merchant, o.merchant_order_id FROM deliveries d "
      "JOIN events e ON e.id = d.event_id JOIN orders o ON o.id = d.order_id ",
      sql::kDeliveryColumns, sql::kEventColumns);
  // 0 and 1: ready and waiting. The condition on the state is what lets the index be used.
  POSTERN_ASSIGN_OR_RETURN(made.due_,
                           database.prepare(with_event + "WHERE d.endpoint = ? AND d.state = 0 "
                                                         "ORDER BY d.due_at_ms LIMIT ?"));
  POSTERN_ASSIGN_OR_RETURN(made.by_id_, database.prepare(with_event + "WHERE d.id = ?"));
  POSTERN_ASSIGN_OR_RETURN(
      made.chain_, database.prepare("SELECT id, state FROM deliveries "
                                    "WHERE order_id = ? AND endpoint = ? AND state IN (0, 1)"));
  POSTERN_ASSIGN_OR_RETURN(
      made.change_, database.prepare("UPDATE deliveries SET state = ?, due_at_ms = ?, tries = ?, "
                                     "lease = ?, reason = ? WHERE id = ?"));
  POSTERN_ASSIGN_OR_RETURN(
      made.promote_, database.prepare("UPDATE deliveries SET state = 0, due_at_ms = ? WHERE id = ? "
                                      "AND state = 1"));
  POSTERN_ASSIGN_OR_RETURN(
      made.try_, Many::prepare(database,
                               "INSERT OR FAIL INTO tries (id, delivery_id, began_at_ms, took_ms, "
                               "outcome, code, excerpt) VALUES {}",
                               7));
  return made;
}

Result<void> DeliveryTables::load(const KeySet& keys, WorkingSet& working) {
  for (const ClaimKey& key : keys.claims) POSTERN_RETURN_IF_ERROR(load_claim(key, working));
  for (const RowId id : keys.deliveries) POSTERN_RETURN_IF_ERROR(load_delivery(id, working));
  return {};
}

/// One row more than asked for is looked at, to know when the endpoint has work again.
Result<void> DeliveryTables::load_claim(const ClaimKey& key, WorkingSet& working) {
  const Reading until_done(due_);
  due_.bind(key.endpoint.text(), static_cast<std::int64_t>(key.limit) + 1);
  for (std::size_t taken = 0;; ++taken) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, due_.step());
    if (!more) return {};
    sql::Columns columns(due_);
    LoadedDelivery delivery = read_loaded(columns);
    POSTERN_RETURN_IF_ERROR(columns.check());
    if (taken == key.limit || delivery.row.due_at > key.due_by) {
      working.deliveries().put_next_due(key.endpoint, delivery.row.due_at);
      return {};
    }
    working.deliveries().put_claimable(key.endpoint, delivery.row.id);
    working.deliveries().put(std::move(delivery));
  }
}

Result<void> DeliveryTables::load_delivery(RowId id, WorkingSet& working) {
  if (working.deliveries().find(id) == nullptr) {
    const Reading until_done(by_id_);
    by_id_.bind(id);
    POSTERN_ASSIGN_OR_RETURN(const bool found, by_id_.step());
    if (!found) return {};
    sql::Columns columns(by_id_);
    LoadedDelivery delivery = read_loaded(columns);
    POSTERN_RETURN_IF_ERROR(columns.check());
    working.deliveries().put(std::move(delivery));
  }
  const DeliveryRow& row = working.deliveries().find(id)->row;
  return load_chain({row.order, row.endpoint}, working);
}

Result<void> DeliveryTables::load_chain(const ChainKey& key, WorkingSet& working) {
  if (working.deliveries().has_chain(key)) return {};
  const Reading until_done(chain_);
  chain_.bind(key.order, key.endpoint.text());
  Chain chain;
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, chain_.step());
    if (!more) break;
    const bool ready = chain_.integer(1) == sql::to_code(DeliveryState::kReady);
    (ready ? chain.ready : chain.waiting).insert(chain_.integer(0));
  }
  working.deliveries().put_chain(key, std::move(chain));
  return {};
}

Result<void> DeliveryTables::write(const Writes& writes) {
  for (const DeliveryRow& row : writes.deliveries_changed) {
    change_.bind(sql::to_code(row.state), row.due_at, row.tries, row.lease,
                 OptionalText{row.reason}, row.id);
    POSTERN_RETURN_IF_ERROR(change_.run());
  }
  for (const Promotion& promotion : writes.deliveries_promoted) {
    promote_.bind(promotion.due_at, promotion.delivery);
    POSTERN_RETURN_IF_ERROR(promote_.run());
  }
  return try_.run(writes.tries, [](Statement& statement, int first, const TryRow& row) {
    statement.bind_from(first, row.id, row.delivery, row.began_at,
                        static_cast<std::int64_t>(row.took.count()), sql::to_code(row.outcome),
                        row.code, row.excerpt);
  });
}

}  // namespace postern::store::sqlite
