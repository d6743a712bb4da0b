// How a callback changes the ledger. A fact belongs to an attempt (the number given to a platform),
// an attempt to an order once somebody has registered it. New facts are applied one at a time, in
// the order given: fold before, fold after, and what differs becomes events, deliveries and
// incidents. Nothing here asks the world anything.
#include "ledger/planner.h"

#include <algorithm>

#include "ledger/event_body.h"

namespace postern::ledger {
namespace {

using store::CallbackOutcome;
using store::RowId;
using store::WorkingSet;

/// How many differing bodies are kept beside the first callback of the same facts.
constexpr std::size_t kVariantsMax = 4;

[[nodiscard]] std::string subject_of(const core::AttemptKey& key) {
  std::string text = key.account.text() + "/";
  if (!key.sub_merchant.empty()) text += key.sub_merchant + "/";
  return text + key.number;
}

[[nodiscard]] std::string advice(core::IncidentKind kind) {
  switch (kind) {
    case core::IncidentKind::kAmountMismatch:
      return "The sum paid is not the sum expected, so the payment has no effect. Compare it with "
             "the order, then refund it or register the order with the right sum.";
    case core::IncidentKind::kDuplicatePayment:
      return "The order was paid twice. Refund this payment; the order itself stays paid.";
    case core::IncidentKind::kPaidAfterClose:
      return "The payment came after the platform closed the attempt. Fulfil the order or refund "
             "it.";
    case core::IncidentKind::kRefundAbovePaid:
      return "More was refunded than paid. Check the refunds at the platform.";
    case core::IncidentKind::kRefundMismatch:
      return "The refund is in another currency than its payment and has no effect. Check it at "
             "the "
             "platform.";
    case core::IncidentKind::kRefundFailed:
      return "The platform could not pay the refund out. Refund again or by another way.";
    case core::IncidentKind::kUnknownOrder:
      return "Nobody registered this number. Register the order: the fact is kept and will be "
             "applied.";
    case core::IncidentKind::kConflict:
      return "Two different messages claim the same payment or refund. The first stays in effect; "
             "ask the platform which is true.";
    case core::IncidentKind::kIdentityMismatch:
      return "The message is genuine, but made for another account. Check the notify URLs and ids.";
    case core::IncidentKind::kPartLeftOut:
      return "A part of a combined payment is not one of ours, or cannot be read, and has no "
             "effect. The other parts have. Check the sub-merchants listed for the account.";
    case core::IncidentKind::kDeliveryDead:
    case core::IncidentKind::kEndpointGone:
    case core::IncidentKind::kDiskLow:
    case core::IncidentKind::kConfigurationRefused:
    case core::IncidentKind::kKeyExpiring:
      break;  // who raises these tells what to do
  }
  return "";
}

/// One order while its facts are applied: what the fold saw last, and the row to write.
class OrderChange {
 public:
  /// @param known  whether a fact had been applied before this command
  template <class Known>
  OrderChange(WorkingSet& working, const Policy& policy, RowId order, TimePoint now, Known known)
      : working_(working), policy_(policy), row_(working.order(order).row), now_(now) {
    for (const RowId attempt : working.order(order).attempts) {
      registration_.attempts.push_back(working.attempt(attempt).key);
      for (const store::FactRow& fact : working.facts_of(attempt)) {
        if (known(fact)) facts_.push_back(&fact.fact);
      }
    }
    registration_.expected = row_.expected;
    folded_ = core::fold(registration_, facts_);
  }

  /// Applies one further fact, which stays alive as long as this object, and tells what it changed.
  void apply(const core::Fact& fact, RowId callback) {
    facts_.push_back(&fact);
    core::Order after = core::fold(registration_, facts_);
    for (const core::EventType type : core::events_between(folded_, after)) {
      tell(type, after, fact);
    }
    note_concerns(after, callback);
    folded_ = std::move(after);
  }

  /// Writes the order's row back.
  void finish() {
    follow(folded_);
    working_.update_order(row_);
  }

  [[nodiscard]] const core::Order& folded() const { return folded_; }

 private:
  void follow(const core::Order& order) {
    row_.state = order.state;
    row_.dispute = order.dispute;
    row_.paid = order.paid;
    row_.refunded = order.refunded;
    row_.updated_at = now_;
  }

  void tell(core::EventType type, const core::Order& order, const core::Fact& fact) {
    const AccountName& account = fact.attempt.account;
    const std::int64_t sequence = ++row_.sequence;
    const RowId event = working_.add_event(
        store::EventRow{.order = row_.id,
                        .sequence = sequence,
                        .type = type,
                        .created_at = now_,
                        .body = event_body(type, sequence, now_, row_.key, order, fact,
                                           policy_.account(account).channel)});
    for (const EndpointPolicy& endpoint : policy_.endpoints) {
      if (!wants(endpoint, type, account)) continue;
      working_.add_delivery(event, row_.id, sequence, endpoint.name, now_);
    }
  }

  void note_concerns(const core::Order& after, RowId callback) {
    for (const core::Concern& concern : after.concerns) {
      if (std::ranges::binary_search(folded_.concerns, concern)) continue;
      working_.raise_incident(store::IncidentRow{.kind = concern.kind,
                                                 .subject = concern.subject,
                                                 .order = row_.id,
                                                 .callback = callback,
                                                 .detail = advice(concern.kind),
                                                 .first_at = now_,
                                                 .last_at = now_});
    }
    for (const core::Concern& concern : folded_.concerns) {
      if (std::ranges::binary_search(after.concerns, concern)) continue;
      working_.resolve_incident(concern.kind, concern.subject);
    }
  }

  WorkingSet& working_;
  const Policy& policy_;
  store::OrderRow row_;
  TimePoint now_;
  core::Registration registration_;
  std::vector<const core::Fact*> facts_;
  core::Order folded_;
};

/// Keeps a copy of a known callback: exact ones only count, a few differing ones are kept.
[[nodiscard]] Recorded keep_copy(WorkingSet& working, const Recording& recording, RowId first,
                                 CallbackOutcome outcome) {
  const store::KnownCallback* known = working.find_callback(first);
  if (known == nullptr || known->digest == recording.evidence->digest ||
      known->variants >= kVariantsMax) {
    if (first != 0) working.count_copy(first);
    return {outcome, first};
  }
  working.add_callback(
      {.evidence = recording.evidence, .outcome = outcome, .copy_of = first, .message_key = {}});
  return {outcome, first};
}

void raise(WorkingSet& working, core::IncidentKind kind, std::string subject, RowId order,
           RowId callback, TimePoint now) {
  working.raise_incident(store::IncidentRow{.kind = kind,
                                            .subject = std::move(subject),
                                            .order = order,
                                            .callback = callback,
                                            .detail = advice(kind),
                                            .first_at = now,
                                            .last_at = now});
}

void raise_left_out(WorkingSet& working, const Recording& recording, RowId callback,
                    TimePoint now) {
  for (const std::string& part : recording.left_out) {
    raise(working, core::IncidentKind::kPartLeftOut,
          recording.evidence->account.text() + "/" + part, 0, callback, now);
  }
}

[[nodiscard]] Recorded record_message(WorkingSet& working, const Recording& recording,
                                      TimePoint now) {
  const store::CallbackRow& evidence = *recording.evidence;
  if (const auto* known = working.find_message({evidence.account, evidence.message_key})) {
    return keep_copy(working, recording, known->id, CallbackOutcome::kDuplicate);
  }
  const RowId callback = working.add_callback({.evidence = recording.evidence,
                                               .outcome = evidence.outcome,
                                               .message_key = evidence.message_key});
  raise_left_out(working, recording, callback, now);
  return {evidence.outcome, callback};
}

/// The attempt a fact is about, made where it is not known yet; in open mode with its order.
[[nodiscard]] store::AttemptRow attempt_for(WorkingSet& working, const Policy& policy,
                                            const core::AttemptKey& key, TimePoint now) {
  const store::AttemptRow* known = working.find_attempt(key);
  const RowId id = known != nullptr ? known->id : working.add_attempt(key, 0);
  const AccountPolicy& account = policy.account(key.account);
  if (working.attempt(id).order == 0 && account.orders == OrderMode::kOpen) {
    const core::OrderKey order_key = open_order_key(account, key);
    const store::LoadedOrder* order = working.find_order(order_key);
    const RowId order_id =
        order != nullptr
            ? order->row.id
            : working.add_order({.key = order_key, .created_at = now, .updated_at = now});
    working.assign_attempt(id, order_id);
  }
  return working.attempt(id);
}

/// How many facts of the order are kept without effect.
[[nodiscard]] std::ptrdiff_t quarantined(const core::Order& order) {
  return std::ranges::count_if(order.concerns, [](const core::Concern& concern) {
    return concern.kind == core::IncidentKind::kAmountMismatch ||
           concern.kind == core::IncidentKind::kRefundMismatch;
  });
}

/// Adds one new fact and says how it went.
[[nodiscard]] CallbackOutcome add_fact(WorkingSet& working, const Policy& policy,
                                       const core::Fact& fact, RowId callback, TimePoint now) {
  const store::AttemptRow attempt = attempt_for(working, policy, fact.attempt, now);
  if (attempt.order == 0) {
    working.add_fact(
        {.attempt = attempt.id, .callback = callback, .fact = fact, .recorded_at = now});
    raise(working, core::IncidentKind::kUnknownOrder, subject_of(fact.attempt), 0, callback, now);
    return CallbackOutcome::kUnknownOrder;
  }
  OrderChange change(working, policy, attempt.order, now,
                     [](const store::FactRow& /*row*/) { return true; });
  const std::ptrdiff_t quarantined_before = quarantined(change.folded());
  change.apply(fact, callback);
  const bool is_quarantined = quarantined(change.folded()) > quarantined_before;
  change.finish();
  working.add_fact({.attempt = attempt.id, .callback = callback, .fact = fact, .recorded_at = now});
  return is_quarantined ? CallbackOutcome::kQuarantined : CallbackOutcome::kApplied;
}

/// The outcome worth telling of a callback with several facts: the one that needs most attention.
[[nodiscard]] CallbackOutcome graver(CallbackOutcome a, CallbackOutcome b) {
  const auto weight = [](CallbackOutcome outcome) {
    switch (outcome) {
      case CallbackOutcome::kConflict:
        return 5;
      case CallbackOutcome::kQuarantined:
        return 4;
      case CallbackOutcome::kUnknownOrder:
        return 3;
      case CallbackOutcome::kApplied:
        return 2;
      case CallbackOutcome::kDuplicate:
        return 1;
      case CallbackOutcome::kNothingToDo:
      case CallbackOutcome::kToBeConfirmed:
        return 0;
    }
    return 0;
  };
  return weight(a) >= weight(b) ? a : b;
}

[[nodiscard]] RowId order_of(const WorkingSet& working, const core::Fact& fact) {
  const store::AttemptRow* attempt = working.find_attempt(fact.attempt);
  return attempt == nullptr ? 0 : attempt->order;
}

}  // namespace

core::OrderKey open_order_key(const AccountPolicy& account, const core::AttemptKey& attempt) {
  std::string id =
      attempt.sub_merchant.empty() ? attempt.number : attempt.sub_merchant + "/" + attempt.number;
  return {account.merchant, MerchantOrderId::trusted(std::move(id))};
}

store::KeySet keys_of(const Policy& policy, const Recording& recording) {
  store::KeySet keys;
  for (const core::Fact& fact : recording.facts) {
    keys.fact_keys.push_back(core::fact_key(fact));
    if (std::ranges::find(keys.attempts, fact.attempt) != keys.attempts.end()) continue;
    keys.attempts.push_back(fact.attempt);
    const AccountPolicy& account = policy.account(fact.attempt.account);
    if (account.orders == OrderMode::kOpen) {
      keys.orders.push_back(open_order_key(account, fact.attempt));
    }
  }
  if (recording.facts.empty()) {
    keys.messages.push_back({recording.evidence->account, recording.evidence->message_key});
  }
  return keys;
}

store::KeySet keys_of(const Registering& order) {
  return {.attempts = order.attempts, .orders = {order.key}, .fact_keys = {}, .messages = {}};
}

Recorded plan_record(WorkingSet& working, const Policy& policy, const Recording& recording,
                     TimePoint now) {
  if (recording.facts.empty()) return record_message(working, recording, now);

  RowId known_callback = 0;
  CallbackOutcome outcome = CallbackOutcome::kDuplicate;
  std::vector<const core::Fact*> fresh;
  for (const core::Fact& fact : recording.facts) {
    const store::FactRow* known = working.find_fact(core::fact_key(fact));
    if (known == nullptr) {
      fresh.push_back(&fact);
      continue;
    }
    if (known_callback == 0) known_callback = known->callback;
    if (!core::conflict(known->fact, fact)) continue;
    outcome = CallbackOutcome::kConflict;
    known_callback = known->callback;
    raise(working, core::IncidentKind::kConflict, core::subject(fact), order_of(working, fact),
          known->callback, now);
  }
  if (fresh.empty()) return keep_copy(working, recording, known_callback, outcome);

  const RowId callback = working.add_callback({.evidence = recording.evidence, .message_key = {}});
  for (const core::Fact* fact : fresh) {
    // A callback may say the same thing twice; the second time it is known.
    if (fresh.size() > 1 && working.find_fact(core::fact_key(*fact)) != nullptr) continue;
    outcome = graver(outcome, add_fact(working, policy, *fact, callback, now));
  }
  for (const std::string& part : recording.left_out) {
    raise(working, core::IncidentKind::kPartLeftOut,
          recording.evidence->account.text() + "/" + part, 0, callback, now);
  }
  working.judge_callback(callback, outcome);
  return {outcome, callback};
}

Result<Registered> plan_register(WorkingSet& working, const Policy& policy,
                                 const Registering& order, TimePoint now) {
  const store::LoadedOrder* known = working.find_order(order.key);
  if (known != nullptr) {
    const auto& bound = known->row.expected ? known->row.expected : known->row.paid;
    if (bound && *bound != order.expected) {
      return rejected("order_exists", "the order is registered or paid with another sum");
    }
  }
  const RowId known_id = known == nullptr ? 0 : known->row.id;
  for (const core::AttemptKey& key : order.attempts) {
    const store::AttemptRow* attempt = working.find_attempt(key);
    if (attempt != nullptr && attempt->order != 0 && attempt->order != known_id) {
      return rejected("attempt_taken",
                      "the number " + subject_of(key) + " belongs to another order");
    }
  }

  // From here on nothing can fail.
  RegisterOutcome outcome = RegisterOutcome::kUnchanged;
  RowId id = known_id;
  if (known == nullptr) {
    outcome = RegisterOutcome::kCreated;
    id = working.add_order(
        {.key = order.key, .expected = order.expected, .created_at = now, .updated_at = now});
  } else if (!known->row.expected) {
    outcome = RegisterOutcome::kChanged;
    store::OrderRow row = known->row;
    row.expected = order.expected;
    working.update_order(row);
  }
  std::vector<store::FactRow> waiting;
  for (const core::AttemptKey& key : order.attempts) {
    const store::AttemptRow* attempt = working.find_attempt(key);
    if (attempt != nullptr && attempt->order == id) continue;
    if (outcome == RegisterOutcome::kUnchanged) outcome = RegisterOutcome::kChanged;
    if (attempt == nullptr) {
      working.add_attempt(key, id);
      continue;
    }
    const auto facts = working.facts_of(attempt->id);
    waiting.insert(waiting.end(), facts.begin(), facts.end());
    working.assign_attempt(attempt->id, id);
    working.resolve_incident(core::IncidentKind::kUnknownOrder, subject_of(key));
  }
  if (outcome == RegisterOutcome::kUnchanged) return Registered{outcome, id};

  std::ranges::sort(waiting, {}, &store::FactRow::id);
  const auto is_waiting = [&](const store::FactRow& fact) {
    return std::ranges::binary_search(waiting, fact.id, {}, &store::FactRow::id);
  };
  OrderChange change(working, policy, id, now,
                     [&](const store::FactRow& fact) { return !is_waiting(fact); });
  for (const store::FactRow& row : waiting) change.apply(row.fact, row.callback);
  change.finish();
  return Registered{outcome, id};
}

}  // namespace postern::ledger
