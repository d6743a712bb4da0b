// The usual callback reports the first payment of a registered order. For it this runs three
// statements: the attempt with its order; the order's attempts with their facts; the fact by its
// key, since it might belong to another order. An order that has had no event owes nothing to any
// endpoint, so that question is asked of the others only.
#include "store/sqlite/loader.h"

#include <fmt/format.h>

#include "base/failpoint.h"
#include "store/sqlite/columns.h"

namespace postern::store::sqlite {
namespace {

// "check_then_act" plants a guard against doubles that sees nothing of earlier batches.
[[nodiscard]] bool facts_are_hidden() {
  return planted_fault("check_then_act");
}

[[nodiscard]] KnownCallback read_known(Columns& columns) {
  return KnownCallback{.id = columns.integer(),
                       .digest = columns.blob(),
                       .variants = static_cast<std::size_t>(columns.integer())};
}

constexpr std::string_view kKnownCallback =
    "SELECT c.id, c.digest, (SELECT count(*) FROM callbacks v WHERE v.copy_of = c.id) "
    "FROM callbacks c WHERE ";

}  // namespace

Result<Loader> Loader::prepare(Database& database) {
  Loader made;
  POSTERN_ASSIGN_OR_RETURN(
      made.attempt_by_key_,
      database.prepare(
          fmt::format("SELECT {}, {} FROM attempts a LEFT JOIN orders o ON o.id = a.order_id "
                      "WHERE a.number = ? AND a.account = ? AND a.sub_merchant = ?",
                      kAttemptColumns, kOrderColumns)));
  POSTERN_ASSIGN_OR_RETURN(
      made.order_by_key_,
      database.prepare(
          fmt::format("SELECT {} FROM orders o WHERE o.merchant_order_id = ? AND o.merchant = ?",
                      kOrderColumns)));
  POSTERN_ASSIGN_OR_RETURN(made.facts_of_order_,
                           database.prepare(fmt::format("SELECT {}, {} FROM attempts a "
                                                        "LEFT JOIN facts f ON f.attempt_id = a.id "
                                                        "WHERE a.order_id = ? ORDER BY a.id, f.id",
                                                        kAttemptColumns, kFactColumns)));
  POSTERN_ASSIGN_OR_RETURN(
      made.facts_of_attempt_,
      database.prepare(fmt::format("SELECT {} FROM facts f WHERE f.attempt_id = ? ORDER BY f.id",
                                   kFactColumns)));
  // 0 and 1: ready and waiting.
  POSTERN_ASSIGN_OR_RETURN(
      made.endpoints_busy_,
      database.prepare("SELECT endpoint FROM deliveries WHERE order_id = ? AND state IN (0, 1)"));
  POSTERN_ASSIGN_OR_RETURN(
      made.fact_by_key_,
      database.prepare(fmt::format("SELECT {}, {} FROM facts f "
                                   "JOIN attempts a ON a.id = f.attempt_id WHERE f.fact_key = ?",
                                   kAttemptColumns, kFactColumns)));
  POSTERN_ASSIGN_OR_RETURN(made.callback_by_id_,
                           database.prepare(fmt::format("{}c.id = ?", kKnownCallback)));
  POSTERN_ASSIGN_OR_RETURN(
      made.callback_by_message_,
      database.prepare(fmt::format("{}c.message_key = ? AND c.account = ?", kKnownCallback)));
  return made;
}

Result<void> Loader::load(const KeySet& keys, WorkingSet& working) {
  for (const core::AttemptKey& key : keys.attempts) {
    POSTERN_RETURN_IF_ERROR(load_attempt(key, working));
  }
  for (const core::OrderKey& key : keys.orders) {
    POSTERN_RETURN_IF_ERROR(load_order(key, working));
  }
  for (const std::string& key : keys.fact_keys) {
    POSTERN_RETURN_IF_ERROR(load_fact(key, working));
  }
  for (const MessageKey& key : keys.messages) {
    POSTERN_RETURN_IF_ERROR(load_message(key, working));
  }
  return {};
}

Result<void> Loader::load_attempt(const core::AttemptKey& key, WorkingSet& working) {
  if (working.find_attempt(key) != nullptr) return {};
  const Reading until_done(attempt_by_key_);
  attempt_by_key_.bind(key.number, key.account.text(), key.sub_merchant);
  POSTERN_ASSIGN_OR_RETURN(const bool found, attempt_by_key_.step());
  if (!found) return {};
  Columns columns(attempt_by_key_);
  AttemptRow attempt = read_attempt(columns);
  if (attempt.order == 0) {
    POSTERN_RETURN_IF_ERROR(load_facts_of(attempt, working));
    working.put_attempt(std::move(attempt));
    return {};
  }
  LoadedOrder order{.row = read_order(columns), .attempts = {}, .endpoints_busy = {}};
  POSTERN_RETURN_IF_ERROR(columns.check());
  return complete_order(std::move(order), working);
}

Result<void> Loader::load_order(const core::OrderKey& key, WorkingSet& working) {
  if (working.find_order(key) != nullptr) return {};
  const Reading until_done(order_by_key_);
  order_by_key_.bind(key.id.text(), key.merchant.text());
  POSTERN_ASSIGN_OR_RETURN(const bool found, order_by_key_.step());
  if (!found) return {};
  Columns columns(order_by_key_);
  LoadedOrder order{.row = read_order(columns), .attempts = {}, .endpoints_busy = {}};
  POSTERN_RETURN_IF_ERROR(columns.check());
  return complete_order(std::move(order), working);
}

Result<void> Loader::complete_order(LoadedOrder order, WorkingSet& working) {
  const Reading until_done(facts_of_order_);
  facts_of_order_.bind(order.row.id);
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, facts_of_order_.step());
    if (!more) break;
    Columns columns(facts_of_order_);
    AttemptRow attempt = read_attempt(columns);
    if (!columns.next_is_null() && !facts_are_hidden()) {
      working.put_fact(read_fact(columns, attempt.key));
      POSTERN_RETURN_IF_ERROR(columns.check());
    }
    if (!order.attempts.empty() && order.attempts.back() == attempt.id) continue;
    order.attempts.push_back(attempt.id);
    working.put_attempt(std::move(attempt));
  }
  if (order.row.sequence > 0) {
    const Reading until_all(endpoints_busy_);
    endpoints_busy_.bind(order.row.id);
    while (true) {
      POSTERN_ASSIGN_OR_RETURN(const bool more, endpoints_busy_.step());
      if (!more) break;
      order.endpoints_busy.insert(EndpointName::trusted(std::string(endpoints_busy_.text(0))));
    }
  }
  working.put_order(std::move(order));
  return {};
}

Result<void> Loader::load_facts_of(const AttemptRow& attempt, WorkingSet& working) {
  if (facts_are_hidden()) return {};
  const Reading until_done(facts_of_attempt_);
  facts_of_attempt_.bind(attempt.id);
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, facts_of_attempt_.step());
    if (!more) return {};
    Columns columns(facts_of_attempt_);
    working.put_fact(read_fact(columns, attempt.key));
    POSTERN_RETURN_IF_ERROR(columns.check());
  }
}

Result<void> Loader::load_fact(const std::string& key, WorkingSet& working) {
  if (facts_are_hidden()) return {};
  if (const FactRow* known = working.find_fact(key)) return load_callback(known->callback, working);
  const Reading until_done(fact_by_key_);
  fact_by_key_.bind(key);
  POSTERN_ASSIGN_OR_RETURN(const bool found, fact_by_key_.step());
  if (!found) return {};
  Columns columns(fact_by_key_);
  const AttemptRow attempt = read_attempt(columns);
  FactRow fact = read_fact(columns, attempt.key);
  POSTERN_RETURN_IF_ERROR(columns.check());
  const RowId callback = fact.callback;
  working.put_fact(std::move(fact));
  return load_callback(callback, working);
}

Result<void> Loader::load_callback(RowId id, WorkingSet& working) {
  if (id == 0 || working.has_callback(id)) return {};
  const Reading until_done(callback_by_id_);
  callback_by_id_.bind(id);
  POSTERN_ASSIGN_OR_RETURN(const bool found, callback_by_id_.step());
  if (!found) return {};
  Columns columns(callback_by_id_);
  working.put_callback(read_known(columns));
  return {};
}

Result<void> Loader::load_message(const MessageKey& key, WorkingSet& working) {
  if (working.find_message(key) != nullptr) return {};
  const Reading until_done(callback_by_message_);
  callback_by_message_.bind(key.key, key.account.text());
  POSTERN_ASSIGN_OR_RETURN(const bool found, callback_by_message_.step());
  if (!found) return {};
  Columns columns(callback_by_message_);
  KnownCallback known = read_known(columns);
  const RowId id = known.id;
  working.put_callback(std::move(known));
  working.put_message(key, id);
  return {};
}

}  // namespace postern::store::sqlite
