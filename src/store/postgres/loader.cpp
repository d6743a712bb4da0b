#include "store/postgres/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/failpoint.h"
#include "store/postgres/round.h"
#include "store/sql/columns.h"

namespace postern::store::postgres {
namespace {

using sql::Columns;

constexpr std::string_view kKnownCallback =
    "c.id, c.digest, (SELECT count(*) FROM callbacks v WHERE v.copy_of = c.id)";

/// About how many rows one command adds.
constexpr std::size_t kRowsUsual = 9;

[[nodiscard]] KnownCallback read_known(Columns& columns) {
  return KnownCallback{.id = columns.integer(),
                       .digest = columns.blob(),
                       .variants = static_cast<std::size_t>(columns.integer())};
}

[[nodiscard]] LoadedDelivery read_loaded(Columns& columns) {
  DeliveryRow row = sql::read_delivery(columns);
  EventRow event = sql::read_event(columns);
  MerchantName merchant = MerchantName::trusted(columns.text());
  return {.row = std::move(row),
          .event = std::move(event),
          .order = {std::move(merchant), MerchantOrderId::trusted(columns.text())}};
}

/// Names of the keys for advisory locks. The parts cannot hold the separator.
[[nodiscard]] Array lock_names(const KeySet& keys) {
  constexpr std::string_view kFormat = "{}\x1f{}\x1f{}\x1f{}";
  Array names(Type::kText);
  for (const auto& key : keys.attempts) {
    names.add(fmt::format(kFormat, "a", key.number, key.account.text(), key.sub_merchant));
  }
  for (const auto& key : keys.orders) {
    names.add(fmt::format(kFormat, "o", key.id.text(), key.merchant.text(), ""));
  }
  for (const auto& key : keys.messages) {
    names.add(fmt::format(kFormat, "m", key.key, key.account.text(), ""));
  }
  return names;
}

[[nodiscard]] Result<void> no_attempt() {
  return fault("store_corrupt", "a fact names an attempt that does not exist");
}

[[nodiscard]] Array ids_of(const auto& ids) {
  Array array(Type::kBigint);
  for (const RowId id : ids) array.add(id);
  return array;
}

}  // namespace

/// What the first trip learns.
struct Loader::Found {
  std::vector<AttemptRow> attempts;  ///< those named
  std::set<RowId> orders;            ///< theirs, and those named
  std::set<RowId> orders_owing;      ///< of the deliveries named
  std::vector<RowId> orphans;        ///< attempts named that have no order
};

/// What the second one fills.
struct Loader::Read {
  WorkingSet& working;
  std::set<RowId> locked;  ///< orders
  std::map<RowId, LoadedOrder> orders;
  std::map<ChainKey, Chain> chains;  ///< of the deliveries named
};

// CROSS JOIN LATERAL with OFFSET 0 prescribes the order: first the keys, then a look-up for each.
// As long as the server believes a table empty, it would as soon walk over all of it.
Result<Loader> Loader::prepare(Connection& connection) {
  Loader made(connection);
  POSTERN_RETURN_IF_ERROR(made.prepare_locks());
  POSTERN_RETURN_IF_ERROR(made.prepare_orders());
  POSTERN_RETURN_IF_ERROR(made.prepare_known());
  POSTERN_RETURN_IF_ERROR(made.prepare_deliveries());
  return made;
}

Result<void> Loader::prepare_locks() {
  POSTERN_ASSIGN_OR_RETURN(begin_, connection_->prepare("BEGIN"));
  POSTERN_ASSIGN_OR_RETURN(
      mark_, connection_->prepare("SELECT pg_advisory_xact_lock_shared(4611686018427387904 + "
                                  "last_value) FROM row_ids"));
  // Keys of these locks are below zero, so they never meet those above. DISTINCT keeps the sorting
  // apart, so that the locks are taken in its order.
  POSTERN_ASSIGN_OR_RETURN(
      lock_keys_,
      connection_->prepare("SELECT pg_advisory_xact_lock(k) FROM (SELECT DISTINCT "
                           "hashtextextended(t, 0) | (-9223372036854775807 - 1)::bigint AS k "
                           "FROM unnest($1::text[]) AS t ORDER BY k) AS keys"));
  POSTERN_ASSIGN_OR_RETURN(
      draw_, connection_->prepare("SELECT nextval('row_ids') FROM generate_series(1, $1::bigint)"));
  return {};
}

Result<void> Loader::prepare_orders() {
  POSTERN_ASSIGN_OR_RETURN(
      attempts_by_key_,
      connection_->prepare(fmt::format(
          "SELECT {} FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[])) AS "
          "k (number, account, sub_merchant) CROSS JOIN LATERAL (SELECT * FROM attempts WHERE "
          "number = k.number AND account = k.account AND sub_merchant = k.sub_merchant "
          "OFFSET 0) AS a",
          sql::kAttemptColumns)));
  POSTERN_ASSIGN_OR_RETURN(
      orders_by_key_,
      connection_->prepare("SELECT o.id FROM unnest($1::text[], $2::text[]) AS k (id, merchant) "
                           "CROSS JOIN LATERAL (SELECT id FROM orders WHERE merchant_order_id = "
                           "k.id AND merchant = k.merchant OFFSET 0) AS o"));
  POSTERN_ASSIGN_OR_RETURN(
      orders_of_deliveries_,
      connection_->prepare("SELECT order_id FROM deliveries WHERE id = ANY ($1::bigint[])"));
  POSTERN_ASSIGN_OR_RETURN(
      orders_, connection_->prepare(fmt::format("SELECT {} FROM orders o WHERE o.id = ANY "
                                                "($1::bigint[]) ORDER BY o.id FOR NO KEY UPDATE",
                                                sql::kOrderColumns)));
  POSTERN_ASSIGN_OR_RETURN(
      attempts_, connection_->prepare(
                     fmt::format("SELECT {} FROM attempts a WHERE a.order_id = ANY ($1::bigint[])",
                                 sql::kAttemptColumns)));
  POSTERN_ASSIGN_OR_RETURN(
      facts_,
      connection_->prepare(fmt::format(
          "SELECT f.* FROM (SELECT a.id FROM attempts a WHERE a.order_id = ANY ($1::bigint[]) "
          "UNION ALL SELECT unnest($2::bigint[])) k CROSS JOIN LATERAL (SELECT {} FROM facts f "
          "WHERE f.attempt_id = k.id OFFSET 0) f ORDER BY f.id",
          sql::kFactColumns)));
  // 0 and 1: ready and waiting.
  POSTERN_ASSIGN_OR_RETURN(
      unfinished_, connection_->prepare("SELECT id, state, order_id, endpoint FROM deliveries "
                                        "WHERE order_id = ANY ($1::bigint[]) AND state <= 1"));
  return {};
}

Result<void> Loader::prepare_known() {
  POSTERN_ASSIGN_OR_RETURN(
      facts_by_key_,
      connection_->prepare(fmt::format(
          "SELECT {}, {} FROM (SELECT * FROM facts WHERE fact_key = ANY ($1::text[]) OFFSET 0) AS "
          "f "
          "CROSS JOIN LATERAL (SELECT * FROM attempts WHERE id = f.attempt_id OFFSET 0) AS a",
          sql::kAttemptColumns, sql::kFactColumns)));
  POSTERN_ASSIGN_OR_RETURN(
      callbacks_of_facts_,
      connection_->prepare(fmt::format(
          "SELECT {} FROM (SELECT DISTINCT callback_id FROM facts WHERE fact_key = ANY "
          "($1::text[]) OFFSET 0) AS k CROSS JOIN LATERAL (SELECT * FROM callbacks WHERE id = "
          "k.callback_id OFFSET 0) AS c",
          kKnownCallback)));
  POSTERN_ASSIGN_OR_RETURN(
      callbacks_by_message_,
      connection_->prepare(fmt::format(
          "SELECT {}, c.account, c.message_key FROM unnest($1::text[], $2::text[]) AS k (message, "
          "account) CROSS JOIN LATERAL (SELECT * FROM callbacks WHERE message_key = k.message "
          "AND account = k.account OFFSET 0) AS c",
          kKnownCallback)));
  POSTERN_ASSIGN_OR_RETURN(
      events_, connection_->prepare("SELECT id FROM events WHERE id = ANY ($1::bigint[])"));
  POSTERN_ASSIGN_OR_RETURN(
      applied_, connection_->prepare(fmt::format("SELECT {} FROM applied p WHERE p.event_id = ANY "
                                                 "($1::bigint[]) ORDER BY p.event_id, p.consumer",
                                                 sql::kAppliedColumns)));
  return {};
}

Result<void> Loader::prepare_deliveries() {
  const std::string with_event = fmt::format(
      "SELECT {}, {}, o.merchant, o.merchant_order_id FROM deliveries d "
      "JOIN events e ON e.id = d.event_id JOIN orders o ON o.id = d.order_id ",
      sql::kDeliveryColumns, sql::kEventColumns);
  POSTERN_ASSIGN_OR_RETURN(deliveries_,
                           connection_->prepare(with_event + "WHERE d.id = ANY ($1::bigint[]) "
                                                             "ORDER BY d.id FOR UPDATE OF d"));
  POSTERN_ASSIGN_OR_RETURN(
      due_, connection_->prepare(with_event + "WHERE d.endpoint = $1::text AND d.state = 0 "
                                              "ORDER BY d.due_at_ms LIMIT $2::bigint "
                                              "FOR UPDATE OF d SKIP LOCKED"));
  return {};
}

Result<void> Loader::load(const KeySet& keys, WorkingSet& working, std::vector<RowId>& blocks) {
  Found found;
  POSTERN_RETURN_IF_ERROR(find(keys, found));
  return read(keys, found, working, blocks);
}

Result<void> Loader::find(const KeySet& keys, Found& found) {
  Round round(*connection_);
  round.send(begin_, {});
  round.send(mark_, {});
  if (!keys.attempts.empty() || !keys.orders.empty() || !keys.messages.empty()) {
    round.send(lock_keys_, Parameters().add(lock_names(keys)));
  }
  if (!keys.attempts.empty()) {
    Array numbers(Type::kText);
    Array accounts(Type::kText);
    Array sub_merchants(Type::kText);
    for (const core::AttemptKey& key : keys.attempts) {
      numbers.add(key.number);
      accounts.add(key.account.text());
      sub_merchants.add(key.sub_merchant);
    }
    round.send(
        attempts_by_key_,
        Parameters().add(std::move(numbers)).add(std::move(accounts)).add(std::move(sub_merchants)),
        [&found](const Row& row) {
          Columns columns(row);
          AttemptRow attempt = sql::read_attempt(columns);
          if (attempt.order == 0) {
            found.orphans.push_back(attempt.id);
          } else {
            found.orders.insert(attempt.order);
          }
          found.attempts.push_back(std::move(attempt));
          return Result<void>();
        });
  }
  const auto note_in = [](std::set<RowId>& ids) {
    return [&ids](const Row& row) {
      ids.insert(row.integer(0));
      return Result<void>();
    };
  };
  if (!keys.orders.empty()) {
    Array ids(Type::kText);
    Array merchants(Type::kText);
    for (const core::OrderKey& key : keys.orders) {
      ids.add(key.id.text());
      merchants.add(key.merchant.text());
    }
    round.send(orders_by_key_, Parameters().add(std::move(ids)).add(std::move(merchants)),
               note_in(found.orders));
  }
  if (!keys.deliveries.empty()) {
    round.send(orders_of_deliveries_, Parameters().add(ids_of(keys.deliveries)),
               note_in(found.orders_owing));
  }
  return round.run();
}

Result<void> Loader::read(const KeySet& keys, const Found& found, WorkingSet& working,
                          std::vector<RowId>& blocks) {
  Read into{.working = working, .locked = found.orders, .orders = {}, .chains = {}};
  into.locked.insert(found.orders_owing.begin(), found.orders_owing.end());
  for (const AttemptRow& attempt : found.attempts) working.put_attempt(attempt);
  Round round(*connection_);
  if (!into.locked.empty()) {
    round.send(orders_, Parameters().add(ids_of(into.locked)), [&](const Row& row) {
      Columns columns(row);
      if (!found.orders.contains(columns.peek())) return Result<void>();
      OrderRow order = sql::read_order(columns);
      const RowId id = order.id;
      into.orders.emplace(
          id, LoadedOrder{.row = std::move(order), .attempts = {}, .endpoints_busy = {}});
      return columns.check();
    });
  }
  if (!keys.deliveries.empty()) {
    round.send(deliveries_, Parameters().add(ids_of(keys.deliveries)), [&](const Row& row) {
      Columns columns(row);
      LoadedDelivery delivery = read_loaded(columns);
      into.chains[{delivery.row.order, delivery.row.endpoint}];
      working.deliveries().put(std::move(delivery));
      return columns.check();
    });
  }
  const std::size_t commands = keys.attempts.size() + keys.orders.size() + keys.messages.size() +
                               keys.deliveries.size() + keys.events.size() + 1;
  round.send(draw_, Parameters().add(static_cast<std::int64_t>(1 + commands * kRowsUsual / kBlock)),
             [&blocks](const Row& row) {
               blocks.push_back(row.integer(0));
               return Result<void>();
             });
  send_order_parts(round, found, into);
  send_known(round, keys, working);
  send_claims(round, keys, working);
  POSTERN_RETURN_IF_ERROR(round.run());
  for (auto& [id, order] : into.orders) {
    std::ranges::sort(order.attempts);
    working.put_order(std::move(order));
  }
  for (auto& [key, chain] : into.chains) working.deliveries().put_chain(key, std::move(chain));
  return read_applied(keys, working);
}

/// What belongs to the orders, and to attempts without one.
void Loader::send_order_parts(Round& round, const Found& found, Read& into) {
  if (!found.orders.empty()) {
    round.send(attempts_, Parameters().add(ids_of(found.orders)), [&into](const Row& row) {
      Columns columns(row);
      AttemptRow attempt = sql::read_attempt(columns);
      const auto order = into.orders.find(attempt.order);
      if (order != into.orders.end()) order->second.attempts.push_back(attempt.id);
      into.working.put_attempt(std::move(attempt));
      return Result<void>();
    });
  }
  if (!found.orders.empty() || !found.orphans.empty()) {
    round.send(facts_, Parameters().add(ids_of(found.orders)).add(ids_of(found.orphans)),
               [&into](const Row& row) {
                 // Its attempt stands behind its id.
                 const AttemptRow* const attempt = into.working.find_attempt(row.integer(1));
                 if (attempt == nullptr) return no_attempt();
                 Columns columns(row);
                 into.working.put_fact(sql::read_fact(columns, attempt->key));
                 return columns.check();
               });
  }
  if (into.locked.empty()) return;
  round.send(unfinished_, Parameters().add(ids_of(into.locked)), [&into](const Row& row) {
    const RowId order = row.integer(2);
    EndpointName endpoint = EndpointName::trusted(std::string(row.text(3)));
    if (const auto chain = into.chains.find({order, endpoint}); chain != into.chains.end()) {
      const bool ready = row.integer(1) == sql::to_code(DeliveryState::kReady);
      (ready ? chain->second.ready : chain->second.waiting).insert(row.integer(0));
    }
    const auto loaded = into.orders.find(order);
    if (loaded != into.orders.end()) loaded->second.endpoints_busy.insert(std::move(endpoint));
    return Result<void>();
  });
}

/// What guards against doubles.
void Loader::send_known(Round& round, const KeySet& keys, WorkingSet& working) {
  // "check_then_act" plants a guard against doubles that sees nothing of earlier batches.
  if (!keys.fact_keys.empty() && !planted_fault("check_then_act")) {
    Array wanted(Type::kText);
    for (const std::string& key : keys.fact_keys) wanted.add(key);
    const Parameters parameters = Parameters().add(std::move(wanted));
    round.send(facts_by_key_, parameters, [&working](const Row& row) {
      Columns columns(row);
      const AttemptRow attempt = sql::read_attempt(columns);
      working.put_fact(sql::read_fact(columns, attempt.key));
      return columns.check();
    });
    round.send(callbacks_of_facts_, parameters, [&working](const Row& row) {
      Columns columns(row);
      working.put_callback(read_known(columns));
      return Result<void>();
    });
  }
  if (!keys.messages.empty()) {
    Array messages(Type::kText);
    Array accounts(Type::kText);
    for (const MessageKey& key : keys.messages) {
      messages.add(key.key);
      accounts.add(key.account.text());
    }
    round.send(callbacks_by_message_,
               Parameters().add(std::move(messages)).add(std::move(accounts)),
               [&working](const Row& row) {
                 Columns columns(row);
                 KnownCallback known = read_known(columns);
                 const RowId id = known.id;
                 working.put_callback(std::move(known));
                 AccountName account = AccountName::trusted(columns.text());
                 working.put_message({std::move(account), columns.text()}, id);
                 return Result<void>();
               });
  }
}

/// One row more than asked for is looked at, to know when the endpoint has work again.
void Loader::send_claims(Round& round, const KeySet& keys, WorkingSet& working) {
  for (const ClaimKey& key : keys.claims) {
    round.send(due_,
               Parameters().add(key.endpoint.text()).add(static_cast<std::int64_t>(key.limit) + 1),
               [&working, &key, taken = std::size_t{0}](const Row& row) mutable {
                 Columns columns(row);
                 LoadedDelivery delivery = read_loaded(columns);
                 DeliverySet& deliveries = working.deliveries();
                 if (taken == key.limit || delivery.row.due_at > key.due_by) {
                   const auto known = deliveries.next_due(key.endpoint);
                   if (!known || delivery.row.due_at < *known) {
                     deliveries.put_next_due(key.endpoint, delivery.row.due_at);
                   }
                   return columns.check();
                 }
                 ++taken;
                 deliveries.put_claimable(key.endpoint, delivery.row.id);
                 deliveries.put(std::move(delivery));
                 return columns.check();
               });
  }
}

/// What consumers have said of the events that are there.
Result<void> Loader::read_applied(const KeySet& keys, WorkingSet& working) {
  if (keys.events.empty()) return {};
  std::map<RowId, KnownEvent> events;
  for (const RowId id : keys.events) events.emplace(id, KnownEvent{.id = 0, .applied = {}});
  Round round(*connection_);
  const Parameters wanted = Parameters().add(ids_of(keys.events));
  round.send(events_, wanted, [&events](const Row& row) {
    events.at(row.integer(0)).id = row.integer(0);
    return Result<void>();
  });
  round.send(applied_, wanted, [&events](const Row& row) {
    Columns columns(row);
    AppliedRow applied = sql::read_applied(columns);
    events.at(applied.event).applied.push_back(std::move(applied));
    return Result<void>();
  });
  POSTERN_RETURN_IF_ERROR(round.run());
  for (auto& [id, event] : events) {
    if (event.id != 0) working.put_event(std::move(event));
  }
  return {};
}

Result<void> Loader::draw(std::size_t count, std::vector<RowId>& blocks) {
  POSTERN_ASSIGN_OR_RETURN(
      const Rows rows, connection_->ask(draw_, Parameters().add(static_cast<std::int64_t>(count))));
  for (int i = 0; i < rows.size(); ++i) blocks.push_back(rows.row(i).integer(0));
  return {};
}

}  // namespace postern::store::postgres
