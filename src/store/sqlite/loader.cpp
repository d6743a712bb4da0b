// The usual callback reports the first payment of a registered order. It needs the attempt, its
// order, and all facts of all the order's attempts: one statement, for many attempts at a time.
// FactKeys is asked for its fact, which might belong to another order. Endpoints are asked about
// only where an order has had an event, since before that it owes nothing to anybody.
#include "store/sqlite/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>
#include <vector>

#include "base/failpoint.h"

namespace postern::store::sqlite {
namespace {

// "check_then_act" plants a guard against doubles that sees nothing of earlier batches.
[[nodiscard]] bool facts_are_hidden() {
  return planted_fault("check_then_act");
}

[[nodiscard]] KnownCallback read_known(sql::Columns& columns) {
  return KnownCallback{.id = columns.integer(),
                       .digest = columns.blob(),
                       .variants = static_cast<std::size_t>(columns.integer())};
}

// `b` are the attempts of a's order, a among them. An attempt without an order has only itself.
constexpr std::string_view kAttemptWithAll =
    "SELECT {}, {}, ifnull(b.id, a.id), {} FROM {} LEFT JOIN orders o ON o.id = a.order_id "
    "LEFT JOIN attempts b ON b.order_id = a.order_id "
    "LEFT JOIN facts f ON f.attempt_id = ifnull(b.id, a.id) {}";

/// Keys without their repetitions, in the order of their index: neighbours share pages.
template <class Key, class Order>
[[nodiscard]] std::vector<const Key*> each_once(const std::vector<Key>& keys, Order order) {
  std::vector<const Key*> once;
  once.reserve(keys.size());
  for (const Key& key : keys) once.push_back(&key);
  const auto place = [&order](const Key* key) -> decltype(auto) { return order(*key); };
  std::ranges::sort(once, {}, place);
  const auto repeated = std::ranges::unique(once, {}, place);
  once.erase(repeated.begin(), repeated.end());
  return once;
}

constexpr std::string_view kKnownCallback =
    "SELECT c.id, c.digest, (SELECT count(*) FROM callbacks v WHERE v.copy_of = c.id) "
    "FROM callbacks c WHERE ";

}  // namespace

Result<Loader> Loader::prepare(Database& database, FactKeys& fact_keys) {
  Loader made(fact_keys);
  POSTERN_ASSIGN_OR_RETURN(
      made.attempts_by_key_,
      Many::prepare(
          database,
          fmt::format(fmt::runtime(kAttemptWithAll), sql::kAttemptColumns, sql::kOrderColumns,
                      sql::kFactColumns, "(VALUES {}) k CROSS JOIN attempts a",
                      "WHERE a.number = k.column1 AND a.account = k.column2 "
                      "AND a.sub_merchant = k.column3"),
          3));
  POSTERN_ASSIGN_OR_RETURN(made.attempt_by_id_,
                           database.prepare(fmt::format("SELECT {} FROM attempts a WHERE a.id = ?",
                                                        sql::kAttemptColumns)));
  // An order without attempts gives one row, whose attempt is NULL.
  POSTERN_ASSIGN_OR_RETURN(
      made.order_by_key_,
      database.prepare(fmt::format("SELECT {}, a.id, {} FROM orders o "
                                   "LEFT JOIN attempts a ON a.order_id = o.id "
                                   "LEFT JOIN facts f ON f.attempt_id = a.id "
                                   "WHERE o.merchant_order_id = ? AND o.merchant = ?",
                                   sql::kOrderColumns, sql::kFactColumns)));
  // 0 and 1: ready and waiting.
  POSTERN_ASSIGN_OR_RETURN(
      made.endpoints_busy_,
      database.prepare("SELECT endpoint FROM deliveries WHERE order_id = ? AND state IN (0, 1)"));
  POSTERN_ASSIGN_OR_RETURN(
      made.fact_by_id_, database.prepare(fmt::format("SELECT {}, {} FROM facts f JOIN attempts a "
                                                     "ON a.id = f.attempt_id WHERE f.id = ?",
                                                     sql::kAttemptColumns, sql::kFactColumns)));
  POSTERN_ASSIGN_OR_RETURN(made.callback_by_id_,
                           database.prepare(fmt::format("{}c.id = ?", kKnownCallback)));
  POSTERN_ASSIGN_OR_RETURN(
      made.callback_by_message_,
      database.prepare(fmt::format("{}c.message_key = ? AND c.account = ?", kKnownCallback)));
  return made;
}

Result<void> Loader::load(const KeySet& keys, WorkingSet& working) {
  POSTERN_RETURN_IF_ERROR(load_attempts(keys, working));
  for (const core::OrderKey& key : keys.orders) {
    POSTERN_RETURN_IF_ERROR(load_order(key, working));
  }
  POSTERN_RETURN_IF_ERROR(load_facts(keys, working));
  for (const MessageKey& key : keys.messages) {
    POSTERN_RETURN_IF_ERROR(load_message(key, working));
  }
  return {};
}

Result<void> Loader::load_attempts(const KeySet& keys, WorkingSet& working) {
  const auto bind = [](Statement& statement, int first, const core::AttemptKey* key) {
    statement.bind_from(first, key->number, key->account.text(), key->sub_merchant);
  };
  const auto in_index_order = [](const core::AttemptKey& key) {
    return std::tie(key.number, key.account, key.sub_merchant);
  };
  return attempts_by_key_.for_all(each_once(keys.attempts, in_index_order), bind,
                                  [&](Statement& rows) { return read_attempts(rows, working); });
}

/// Reads rows of kAttemptWithAll. The rows of one order stand together; an order that was loaded
/// before, through another attempt or an equal key, is passed over.
Result<void> Loader::read_attempts(Statement& rows, WorkingSet& working) {
  std::optional<LoadedOrder> order;  // the one being read
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, rows.step());
    if (!more) return finish_order(order, working);
    sql::Columns columns(rows);
    const AttemptRow* attempt = working.find_attempt(columns.peek());
    if (attempt == nullptr) {
      AttemptRow row = sql::read_attempt(columns);
      const RowId row_id = row.id;
      working.put_attempt(std::move(row));
      attempt = working.find_attempt(row_id);
    } else {
      columns.skip(sql::kAttemptColumnCount);
    }
    if (columns.next_is_null()) {
      if (attempt->order != 0) return fault("store_corrupt", "an attempt names no order");
      columns.skip(sql::kOrderColumnCount);
      POSTERN_RETURN_IF_ERROR(read_fact_of(columns, columns.integer(), working));
      continue;
    }
    const RowId id = columns.peek();
    if (!order || order->row.id != id) {
      POSTERN_RETURN_IF_ERROR(finish_order(order, working));
      if (working.has_order(id)) continue;
      order = LoadedOrder{.row = sql::read_order(columns), .attempts = {}, .endpoints_busy = {}};
    } else {
      columns.skip(sql::kOrderColumnCount);
    }
    const RowId sibling = columns.integer();
    order->attempts.push_back(sibling);
    POSTERN_RETURN_IF_ERROR(read_fact_of(columns, sibling, working));
  }
}

/// Reads the fact that stands next in the row, if there is one.
Result<void> Loader::read_fact_of(sql::Columns& columns, RowId attempt, WorkingSet& working) {
  POSTERN_ASSIGN_OR_RETURN(const AttemptRow* const row, attempt_of(attempt, working));
  if (!columns.next_is_null() && !facts_are_hidden()) {
    working.put_fact(sql::read_fact(columns, row->key));
  }
  return columns.check();
}

Result<const AttemptRow*> Loader::attempt_of(RowId id, WorkingSet& working) {
  if (const AttemptRow* known = working.find_attempt(id)) return known;
  const Reading until_done(attempt_by_id_);
  attempt_by_id_.bind(id);
  POSTERN_ASSIGN_OR_RETURN(const bool found, attempt_by_id_.step());
  if (!found) return fault("store_corrupt", "an index names an attempt that does not exist");
  sql::Columns columns(attempt_by_id_);
  working.put_attempt(sql::read_attempt(columns));
  return working.find_attempt(id);
}

/// Puts an order all of whose rows have been read; its attempts may be named once per fact.
Result<void> Loader::finish_order(std::optional<LoadedOrder>& order, WorkingSet& working) {
  if (!order) return {};
  std::ranges::sort(order->attempts);
  const auto repeated = std::ranges::unique(order->attempts);
  order->attempts.erase(repeated.begin(), repeated.end());
  if (order->row.sequence > 0) {
    const Reading until_done(endpoints_busy_);
    endpoints_busy_.bind(order->row.id);
    while (true) {
      POSTERN_ASSIGN_OR_RETURN(const bool more, endpoints_busy_.step());
      if (!more) break;
      order->endpoints_busy.insert(EndpointName::trusted(std::string(endpoints_busy_.text(0))));
    }
  }
  working.put_order(*std::exchange(order, std::nullopt));
  return {};
}

Result<void> Loader::load_order(const core::OrderKey& key, WorkingSet& working) {
  if (working.find_order(key) != nullptr) return {};
  const Reading until_done(order_by_key_);
  order_by_key_.bind(key.id.text(), key.merchant.text());
  std::optional<LoadedOrder> order;
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, order_by_key_.step());
    if (!more) return finish_order(order, working);
    sql::Columns columns(order_by_key_);
    if (!order) {
      order = LoadedOrder{.row = sql::read_order(columns), .attempts = {}, .endpoints_busy = {}};
      POSTERN_RETURN_IF_ERROR(columns.check());
    } else {
      columns.skip(sql::kOrderColumnCount);
    }
    if (columns.next_is_null()) continue;
    const RowId attempt = columns.integer();
    order->attempts.push_back(attempt);
    POSTERN_RETURN_IF_ERROR(read_fact_of(columns, attempt, working));
  }
}

Result<void> Loader::load_facts(const KeySet& keys, WorkingSet& working) {
  if (facts_are_hidden()) return {};
  std::vector<const std::string*> unknown = each_once(keys.fact_keys, std::identity{});
  std::vector<RowId> callbacks;
  std::erase_if(unknown, [&](const std::string* key) {
    const FactRow* known = working.find_fact(*key);
    if (known != nullptr) callbacks.push_back(known->callback);
    return known != nullptr;
  });
  POSTERN_ASSIGN_OR_RETURN(const std::vector<RowId> facts, fact_keys_->find(unknown));
  for (const RowId fact : facts) {
    POSTERN_RETURN_IF_ERROR(load_fact(fact, working, callbacks));
  }
  for (const RowId callback : callbacks) {
    POSTERN_RETURN_IF_ERROR(load_callback(callback, working));
  }
  return {};
}

Result<void> Loader::load_fact(RowId id, WorkingSet& working, std::vector<RowId>& callbacks) {
  const Reading until_done(fact_by_id_);
  fact_by_id_.bind(id);
  POSTERN_ASSIGN_OR_RETURN(const bool found, fact_by_id_.step());
  if (!found) return fault("store_corrupt", "a key is filed for a fact that does not exist");
  sql::Columns columns(fact_by_id_);
  const AttemptRow attempt = sql::read_attempt(columns);
  FactRow fact = sql::read_fact(columns, attempt.key);
  POSTERN_RETURN_IF_ERROR(columns.check());
  callbacks.push_back(fact.callback);
  working.put_fact(std::move(fact));
  return {};
}

Result<void> Loader::load_callback(RowId id, WorkingSet& working) {
  if (id == 0 || working.has_callback(id)) return {};
  const Reading until_done(callback_by_id_);
  callback_by_id_.bind(id);
  POSTERN_ASSIGN_OR_RETURN(const bool found, callback_by_id_.step());
  if (!found) return {};
  sql::Columns columns(callback_by_id_);
  working.put_callback(read_known(columns));
  return {};
}

Result<void> Loader::load_message(const MessageKey& key, WorkingSet& working) {
  if (working.find_message(key) != nullptr) return {};
  const Reading until_done(callback_by_message_);
  callback_by_message_.bind(key.key, key.account.text());
  POSTERN_ASSIGN_OR_RETURN(const bool found, callback_by_message_.step());
  if (!found) return {};
  sql::Columns columns(callback_by_message_);
  KnownCallback known = read_known(columns);
  const RowId id = known.id;
  working.put_callback(std::move(known));
  working.put_message(key, id);
  return {};
}

}  // namespace postern::store::sqlite
