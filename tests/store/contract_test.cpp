// Goal: what planners may rely on (loading, planning, writing, answers) holds on every engine.
// Method: one typed suite of small scripted commands, run through the real batch code; an engine
// joins by implementing StoreUnderTest. tests/store/contract_read_test.cpp does so for readers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/store/store_under_test.h"
#include "tests/store/test_rows.h"

namespace postern::store {
namespace {

template <class Engine>
class StoreContract : public testing::Test {
 protected:
  using Scripts = std::vector<Script>;

  /// A registered order of 88 yuan with one attempt of the same number.
  RowId register_order(const std::string& number) {
    RowId order = 0;
    store.must({.plan = [&, number](WorkingSet& working) {
      order = working.add_order(order_row(number));
      (void)working.add_attempt(attempt_key(number), order);
    }});
    return order;
  }

  /// What a planner sees that asked for `keys`.
  void look(KeySet keys, std::function<void(WorkingSet&)> see) {
    bool seen = false;
    store.must({.keys = std::move(keys), .plan = [&](WorkingSet& working) {
                  seen = true;
                  see(working);
                }});
    EXPECT_TRUE(seen);
  }

  [[nodiscard]] Totals totals() { return store.reader()->totals().value(); }

  Engine store;
};

TYPED_TEST_SUITE(StoreContract, Engines, EngineNames);

[[nodiscard]] std::vector<std::string> keys_of(std::span<const FactRow> facts) {
  std::vector<std::string> keys;
  for (const FactRow& row : facts) keys.push_back(core::fact_key(row.fact));
  return keys;
}

// P6: the effect, its event and its delivery are of one commit.
TYPED_TEST(StoreContract, KeepsOneCommandsRowsTogether) {
  std::vector<std::string> written;
  RowId order_id = 0;
  RowId callback_id = 0;
  this->store.must({.plan = [&](WorkingSet& working) {
    written.clear();
    OrderRow order = order_row("T1");
    order_id = working.add_order(order);
    const RowId attempt = working.add_attempt(attempt_key("N1", "alipay", "sub"), order_id);
    CallbackRow callback = callback_row("body");
    callback_id = working.add_callback(callback);
    FactRow fact{.attempt = attempt, .callback = callback_id, .fact = payment("N1", "P1")};
    fact.fact.attempt = attempt_key("N1", "alipay", "sub");
    fact.recorded_at = at(6);
    fact.id = working.add_fact(fact);
    EventRow event = event_row(order_id, 1);
    event.id = working.add_event(event);
    working.add_delivery(event.id, order_id, 1, EndpointName::trusted("crm"), at(7));
    order = working.order(order_id).row;
    order.sequence = 1;
    order.state = core::OrderState::kPaid;
    order.paid = yuan(8800);
    order.refunded = yuan(0);
    order.updated_at = at(8);
    working.update_order(order);
    callback.id = callback_id;
    written = {describe(order), describe(callback), describe(fact), describe(event)};
  }});

  for (int look = 0; look < 2; ++look) {
    const auto reader = this->store.reader();
    const auto order = reader->order(order_id).value();
    ASSERT_TRUE(order);
    EXPECT_EQ(describe(*order), written[0]);
    EXPECT_EQ(describe(*reader->callback(callback_id).value()), written[1]);
    EXPECT_EQ(describe(reader->facts(order_id).value().at(0)), written[2]);
    const EventRow event = reader->events(order_id).value().at(0);
    EXPECT_EQ(describe(event), written[3]);
    const auto owed = reader->deliveries(order_id).value();
    ASSERT_EQ(owed.size(), 1U);
    EXPECT_EQ(describe(owed[0]),
              fmt::format("delivery {} event={} order={} 1 crm ready {}", owed[0].id, event.id,
                          order_id, at(7).time_since_epoch().count()));
    this->store.reopen();
  }
}

TYPED_TEST(StoreContract, LoadsAnOrderThroughAnyOfItsAttempts) {
  const RowId order = this->register_order("N1");
  this->store.must(
      {.keys = {.attempts = {attempt_key("N1")}}, .plan = [&](WorkingSet& working) {
         const RowId first = working.find_attempt(attempt_key("N1"))->id;
         const RowId second = working.add_attempt(attempt_key("N2", "wechat"), order);
         (void)working.add_fact({.attempt = second, .fact = payment("N2", "P2", 8800, "wechat")});
         (void)working.add_fact({.attempt = first, .fact = payment("N1", "P1")});
         (void)working.add_fact({.attempt = second, .fact = payment("N2", "P3", 8800, "wechat")});
       }});

  for (const auto& key : {attempt_key("N1"), attempt_key("N2", "wechat")}) {
    this->look({.attempts = {key}}, [&](WorkingSet& working) {
      ASSERT_NE(working.find_attempt(key), nullptr);
      EXPECT_EQ(working.find_attempt(key)->order, order);
      const LoadedOrder& loaded = working.order(order);
      EXPECT_EQ(loaded.row.key, order_key("N1"));
      EXPECT_EQ(*loaded.row.expected, yuan(8800));
      ASSERT_EQ(loaded.attempts.size(), 2U);
      EXPECT_EQ(working.attempt(loaded.attempts[0]).key, attempt_key("N1"));
      EXPECT_EQ(working.attempt(loaded.attempts[1]).key, attempt_key("N2", "wechat"));
      EXPECT_EQ(keys_of(working.facts_of(loaded.attempts[0])),
                std::vector{core::fact_key(payment("N1", "P1"))});
      EXPECT_EQ(keys_of(working.facts_of(loaded.attempts[1])),
                (std::vector{core::fact_key(payment("N2", "P2", 8800, "wechat")),
                             core::fact_key(payment("N2", "P3", 8800, "wechat"))}));
    });
  }
}

TYPED_TEST(StoreContract, LoadsAnOrderByItsOwnKey) {
  const RowId order = this->register_order("N1");
  this->look({.orders = {order_key("N1"), order_key("N1", "other"), order_key("N9")}},
             [&](WorkingSet& working) {
               ASSERT_NE(working.find_order(order_key("N1")), nullptr);
               EXPECT_EQ(working.find_order(order_key("N1"))->row.id, order);
               EXPECT_EQ(working.find_order(order_key("N1"))->attempts.size(), 1U);
               EXPECT_NE(working.find_attempt(attempt_key("N1")), nullptr);
               EXPECT_EQ(working.find_order(order_key("N1", "other")), nullptr);
               EXPECT_EQ(working.find_order(order_key("N9")), nullptr);
             });
}

TYPED_TEST(StoreContract, TellsAttemptsOfDifferentAccountsAndSubMerchantsApart) {
  RowId third = 0;
  this->store.must({.plan = [&](WorkingSet& working) {
    (void)working.add_attempt(attempt_key("N1"), 0);
    (void)working.add_attempt(attempt_key("N1", "wechat"), 0);
    third = working.add_attempt(attempt_key("N1", "wechat", "sub"), 0);
  }});
  this->look({.attempts = {attempt_key("N1", "wechat", "sub"), attempt_key("N1", "alipay", "sub"),
                           attempt_key("n1")}},
             [&](WorkingSet& working) {
               EXPECT_EQ(working.find_attempt(attempt_key("N1", "wechat", "sub"))->id, third);
               EXPECT_EQ(working.find_attempt(attempt_key("N1", "alipay", "sub")), nullptr);
               EXPECT_EQ(working.find_attempt(attempt_key("n1")), nullptr);
             });
}

// P2: facts that came before their order wait, and are found when it is registered.
TYPED_TEST(StoreContract, KeepsFactsWaitingUntilTheirAttemptIsAssigned) {
  this->store.must({.plan = [](WorkingSet& working) {
    const RowId attempt = working.add_attempt(attempt_key("N1"), 0);
    (void)working.add_fact({.attempt = attempt, .fact = payment("N1", "P1")});
  }});
  RowId order = 0;
  this->store.must({.keys = {.attempts = {attempt_key("N1")}, .orders = {order_key("T1")}},
                    .plan = [&](WorkingSet& working) {
                      const AttemptRow* attempt = working.find_attempt(attempt_key("N1"));
                      ASSERT_NE(attempt, nullptr);
                      EXPECT_EQ(attempt->order, 0);
                      EXPECT_EQ(working.facts_of(attempt->id).size(), 1U);
                      order = working.add_order(order_row("T1"));
                      working.assign_attempt(attempt->id, order);
                    }});
  this->look({.orders = {order_key("T1")}}, [&](WorkingSet& working) {
    const LoadedOrder& loaded = working.order(order);
    ASSERT_EQ(loaded.attempts.size(), 1U);
    EXPECT_EQ(working.facts_of(loaded.attempts[0]).size(), 1U);
  });
  EXPECT_EQ(this->store.reader()->facts(order).value().size(), 1U);
}

TYPED_TEST(StoreContract, FindsAFactOfAnotherAttemptWithItsCallback) {
  RowId callback = 0;
  this->store.must({.plan = [&](WorkingSet& working) {
    callback = working.add_callback(callback_row("first"));
    const RowId attempt = working.add_attempt(attempt_key("N1"), 0);
    (void)working.add_fact({.attempt = attempt, .fact = payment("N1", "P0")});
    (void)working.add_fact({.attempt = attempt, .callback = callback, .fact = payment("N1", "P1")});
    CallbackRow variant = callback_row("variant");
    variant.copy_of = callback;
    (void)working.add_callback(variant);
  }});
  // The fact is asked for by its key alone, before the attempt whose second fact it is.
  this->store.hold();
  Answers answers;
  const std::string key = core::fact_key(payment("N1", "P1"));
  this->store.store().submit(answers.command(
      {.keys = {.attempts = {attempt_key("N2")}, .fact_keys = {key, "no such fact"}},
       .plan = [&](WorkingSet& working) {
         const FactRow* fact = working.find_fact(key);
         ASSERT_NE(fact, nullptr);
         EXPECT_EQ(fact->fact.attempt, attempt_key("N1"));
         ASSERT_EQ(fact->callback, callback);
         const KnownCallback* known = working.find_callback(callback);
         ASSERT_NE(known, nullptr);
         EXPECT_EQ(known->digest, callback_row("first").digest);
         EXPECT_EQ(known->variants, 1U);
         EXPECT_EQ(working.find_fact("no such fact"), nullptr);
       }}));
  this->store.store().submit(answers.command(
      {.keys = {.attempts = {attempt_key("N1")}}, .plan = [&](WorkingSet& working) {
         const RowId attempt = working.find_attempt(attempt_key("N1"))->id;
         EXPECT_EQ(keys_of(working.facts_of(attempt)),
                   (std::vector{core::fact_key(payment("N1", "P0")), key}));
         EXPECT_EQ(working.find_fact(key)->fact.payment_id, "P1");
         EXPECT_EQ(working.find_fact(core::fact_key(payment("N1", "P0")))->fact.payment_id, "P0");
       }}));
  this->store.release();
  ASSERT_TRUE(answers.wait());
}

TYPED_TEST(StoreContract, KnowsMessagesByAccountAndKey) {
  RowId callback = 0;
  this->store.must({.plan = [&](WorkingSet& working) {
    CallbackRow row = callback_row("probe");
    row.message_key = "M1";
    row.outcome = CallbackOutcome::kNothingToDo;
    callback = working.add_callback(row);
    (void)working.add_callback(callback_row("without a key"));
  }});
  const MessageKey known{AccountName::trusted("alipay"), "M1"};
  const MessageKey elsewhere{AccountName::trusted("wechat"), "M1"};
  this->look({.messages = {known, elsewhere}}, [&](WorkingSet& working) {
    ASSERT_NE(working.find_message(known), nullptr);
    EXPECT_EQ(working.find_message(known)->id, callback);
    EXPECT_EQ(working.find_message(known)->digest, callback_row("probe").digest);
    EXPECT_EQ(working.find_message(elsewhere), nullptr);
  });
}

// P2, P15: copies leave the evidence as it is and are counted beside it.
TYPED_TEST(StoreContract, CountsCopies) {
  RowId first = 0;
  RowId second = 0;
  this->store.must({.plan = [&](WorkingSet& working) {
    first = working.add_callback(callback_row("first"));
    second = working.add_callback(callback_row("second"));
    working.count_copy(second);
  }});
  const Script twice{.plan = [&](WorkingSet& working) {
    working.count_copy(first);
    working.count_copy(second);
    working.count_copy(first);
  }};
  EXPECT_EQ(this->store.run({twice, twice}), (std::vector{Commit::kDone, Commit::kDone}));
  EXPECT_EQ(this->store.reader()->callback(first).value()->copies, 4);
  EXPECT_EQ(this->store.reader()->callback(second).value()->copies, 3);
  EXPECT_EQ(this->totals().copies, 7);
}

// P2: of two copies in one batch the second sees the first.
TYPED_TEST(StoreContract, ShowsABatchsCommandsTheirForerunners) {
  this->register_order("N1");
  const core::Fact fact = payment("N1", "P1");
  const Script record{.keys = {.attempts = {fact.attempt}, .fact_keys = {core::fact_key(fact)}},
                      .plan = [&](WorkingSet& working) {
                        if (working.find_fact(core::fact_key(fact)) != nullptr) return;
                        const RowId attempt = working.find_attempt(fact.attempt)->id;
                        (void)working.add_fact({.attempt = attempt, .fact = fact});
                      }};
  EXPECT_EQ(this->store.run({record, record, record}), std::vector(3, Commit::kDone));
  EXPECT_EQ(this->totals().facts, 1);
}

// P2: even a planner that does not look cannot write the same thing twice; and P10: the command at
// fault leaves nothing behind and does its neighbours no harm.
TYPED_TEST(StoreContract, RefusesASecondRowUnderOneKeyAndSparesItsNeighbours) {
  const std::vector<std::function<void(WorkingSet&)>> writers = {
      [](WorkingSet& working) { (void)working.add_order(order_row("T1")); },
      [](WorkingSet& working) { (void)working.add_attempt(attempt_key("N1"), 0); },
      [](WorkingSet& working) {
        (void)working.add_fact({.attempt = 77, .fact = payment("N7", "P1")});
      },
      [](WorkingSet& working) { (void)working.add_event(event_row(77, 1)); },
      [](WorkingSet& working) {
        CallbackRow row = callback_row("message");
        row.message_key = "M1";
        (void)working.add_callback(row);
      },
  };
  std::int64_t neighbours = 0;
  for (const auto& writer : writers) {
    const auto neighbour = [&neighbours](WorkingSet& working) {
      (void)working.add_callback(callback_row("neighbour " + std::to_string(neighbours)));
    };
    const Script both{.plan = [&](WorkingSet& working) {
      (void)working.add_callback(callback_row("must not stay"));
      writer(working);
    }};
    this->store.must({.plan = writer});
    EXPECT_EQ(this->store.run({{.plan = neighbour}, both, {.plan = neighbour}}),
              (std::vector{Commit::kDone, Commit::kRefused, Commit::kDone}));
    neighbours += 2;
  }
  const Totals expected{
      .orders = 1, .attempts = 1, .facts = 1, .callbacks = neighbours + 1, .events = 1};
  EXPECT_EQ(this->totals(), expected);
}

TYPED_TEST(StoreContract, RefusesTheSecondOfTwoEqualRowsInOneBatch) {
  // Neither looks, so the rows of the batch cannot be written together.
  const Script order{.plan = [](WorkingSet& working) { (void)working.add_order(order_row("T1")); }};
  EXPECT_EQ(this->store.run({order, order}), (std::vector{Commit::kDone, Commit::kRefused}));
  EXPECT_EQ(this->totals().orders, 1);
}

// P8: 0 <= refunded <= paid, in one currency, whatever a planner says.
TYPED_TEST(StoreContract, RefusesSumsThatCannotBe) {
  const RowId order = this->register_order("N1");
  const auto with = [&](std::optional<core::Money> paid, std::optional<core::Money> refunded) {
    return this->store.run({{.keys = {.orders = {order_key("N1")}}, .plan = [&](WorkingSet& set) {
                               OrderRow row = set.order(order).row;
                               row.paid = paid;
                               row.refunded = refunded;
                               set.update_order(row);
                             }}});
  };
  EXPECT_EQ(with(yuan(100), yuan(101)), std::vector{Commit::kRefused});
  EXPECT_EQ(with(yuan(100), yuan(-1)), std::vector{Commit::kRefused});
  EXPECT_EQ(with(yuan(-100), std::nullopt), std::vector{Commit::kRefused});
  EXPECT_EQ(with(std::nullopt, yuan(0)), std::vector{Commit::kRefused});
  EXPECT_EQ(with(yuan(100), money(1, "USD")), std::vector{Commit::kRefused});
  EXPECT_EQ(this->store.reader()->order(order).value()->paid, std::nullopt);
  EXPECT_EQ(with(yuan(100), yuan(100)), std::vector{Commit::kDone});
  EXPECT_EQ(with(money(5, "JPY"), money(0, "JPY")), std::vector{Commit::kDone});
  EXPECT_EQ(this->store.reader()->order(order).value()->paid, money(5, "JPY"));
}

TYPED_TEST(StoreContract, RefusesToChangeARowThatDoesNotExist) {
  const auto answers = this->store.run({{.plan = [](WorkingSet& working) {
    working.put_order(
        {.row = {.id = 99, .key = order_key("ghost")}, .attempts = {}, .endpoints_busy = {}});
    working.update_order(working.order(99).row);
  }}});
  EXPECT_EQ(answers, std::vector{Commit::kRefused});
}

TYPED_TEST(StoreContract, KeepsKeyAndBirthOfAnOrderThatChanges) {
  const RowId id = this->register_order("N1");
  this->store.must({.keys = {.orders = {order_key("N1")}}, .plan = [&](WorkingSet& working) {
                      OrderRow row = working.order(id).row;
                      row.state = core::OrderState::kClosed;
                      row.dispute = core::DisputeState::kWon;
                      row.expected = money(1250, "KWD");
                      row.updated_at = at(99);
                      working.update_order(row);
                    }});
  const auto row = this->store.reader()->order(order_key("N1")).value();
  ASSERT_TRUE(row);
  OrderRow expected = order_row("N1");
  expected.id = id;
  expected.state = core::OrderState::kClosed;
  expected.dispute = core::DisputeState::kWon;
  expected.expected = money(1250, "KWD");
  expected.updated_at = at(99);
  EXPECT_EQ(describe(*row), describe(expected));
}

// Public ids hold row ids, so a number is never given out twice.
TYPED_TEST(StoreContract, GivesGrowingIdsAndNeverTheSameAgain) {
  std::vector<RowId> ids;
  const auto add = [&] {
    this->store.must({.plan = [&](WorkingSet& working) {
      ids.push_back(working.add_callback(callback_row("c")));
      ids.push_back(working.add_callback(callback_row("c")));
    }});
  };
  add();
  (void)this->store.run({{.plan = [](WorkingSet& working) {  // Refused: its numbers are lost.
    (void)working.add_callback(callback_row("c"));
    (void)working.add_event(event_row(1, 0));
  }}});
  add();
  const std::string tag = this->store.store().tag();
  EXPECT_EQ(tag.size(), 6U);
  this->store.reopen();
  EXPECT_EQ(this->store.store().tag(), tag);
  add();
  EXPECT_EQ(ids.size(), 6U);
  EXPECT_TRUE(std::ranges::is_sorted(ids));
  EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end());
  EXPECT_GT(ids.front(), 0);
}

// P7: per order and endpoint only the first unfinished delivery may go.
TYPED_TEST(StoreContract, MakesOnlyTheHeadOfAnOrdersDeliveriesReady) {
  const RowId order = this->register_order("N1");
  const RowId other = this->register_order("N2");
  const auto deliver = [&](RowId id, const std::string& key, std::int64_t sequence,
                           const std::string& endpoint) {
    this->store.must({.keys = {.orders = {order_key(key)}}, .plan = [=](WorkingSet& working) {
                        OrderRow row = working.order(id).row;
                        row.sequence = sequence;
                        working.update_order(row);
                        const RowId event = working.add_event(event_row(id, sequence));
                        working.add_delivery(event, id, sequence, EndpointName::trusted(endpoint),
                                             at(sequence));
                      }});
  };
  deliver(order, "N1", 1, "crm");
  deliver(order, "N1", 2, "crm");
  deliver(order, "N1", 3, "erp");
  this->store.reopen();
  deliver(order, "N1", 4, "erp");
  deliver(other, "N2", 1, "crm");

  std::vector<DeliveryState> states;
  const auto reader = this->store.reader();
  for (const DeliveryRow& row : reader->deliveries(order).value()) states.push_back(row.state);
  EXPECT_EQ(states, (std::vector{DeliveryState::kReady, DeliveryState::kWaiting,
                                 DeliveryState::kReady, DeliveryState::kWaiting}));
  EXPECT_EQ(reader->deliveries(other).value().at(0).state, DeliveryState::kReady);
}

TYPED_TEST(StoreContract, CountsAnIncidentOfTheSameKindAndSubject) {
  using core::IncidentKind;
  const auto raise = [](RowId callback, std::int64_t seconds, IncidentKind kind) {
    return Script{.plan = [=](WorkingSet& working) {
      IncidentRow row = incident_row(kind, "alipay/N1");
      row.callback = callback;
      row.order = callback == 5 ? 7 : 0;
      row.detail = "seen by " + std::to_string(callback);
      row.first_at = row.last_at = at(seconds);
      working.raise_incident(row);
    }};
  };
  (void)this->store.run({raise(4, 10, IncidentKind::kUnknownOrder),
                         raise(5, 11, IncidentKind::kUnknownOrder),
                         raise(6, 12, IncidentKind::kConflict)});
  this->store.must(raise(0, 13, IncidentKind::kUnknownOrder));

  const auto rows = this->store.reader()->incidents({}).value();
  ASSERT_EQ(rows.size(), 2U);
  IncidentRow expected = incident_row(IncidentKind::kUnknownOrder, "alipay/N1");
  expected.id = rows[1].id;
  expected.order = 7;
  expected.callback = 5;
  expected.detail = "seen by 0";
  expected.count = 3;
  expected.first_at = at(10);
  expected.last_at = at(13);
  EXPECT_EQ(describe(rows[1]), describe(expected));
  EXPECT_EQ(rows[0].kind, IncidentKind::kConflict);
}

TYPED_TEST(StoreContract, OpensAResolvedIncidentAgainWhenItComesBack) {
  const auto kind = core::IncidentKind::kAmountMismatch;
  const Script raise{.plan = [=](WorkingSet& working) {
    working.raise_incident(incident_row(kind, "alipay/P1"));
  }};
  const Script resolve{
      .plan = [=](WorkingSet& working) { working.resolve_incident(kind, "alipay/P1"); }};
  const auto state = [&] { return this->store.reader()->incidents({}).value().at(0).state; };

  this->store.must(raise);
  EXPECT_EQ(state(), IncidentState::kOpen);
  this->store.must(resolve);
  EXPECT_EQ(state(), IncidentState::kResolved);
  this->store.must(raise);
  EXPECT_EQ(state(), IncidentState::kOpen);
  EXPECT_EQ(this->store.run({raise, resolve}), std::vector(2, Commit::kDone));
  EXPECT_EQ(state(), IncidentState::kResolved);
  EXPECT_EQ(this->store.run({resolve, raise}), std::vector(2, Commit::kDone));
  EXPECT_EQ(state(), IncidentState::kOpen);
  EXPECT_EQ(this->store.reader()->incidents({}).value().at(0).count, 4);
  // Nothing to resolve is no mistake: it may have been resolved by hand.
  this->store.must({.plan = [=](WorkingSet& working) { working.resolve_incident(kind, "none"); }});
}

// P15: exact bytes.
TYPED_TEST(StoreContract, KeepsBytesAsTheyAre) {
  std::string all_bytes;
  for (int byte = 0; byte < 256; ++byte) all_bytes.push_back(static_cast<char>(byte));
  CallbackRow row = callback_row("");
  row.body = std::string("\0\0a\0", 4) + all_bytes + "支付" + std::string(255 * 1024, '\xff');
  row.headers = "X: " + all_bytes;
  row.target = std::string("/\0?\xfe", 4);
  row.digest = std::string(31, '\0') + "\x80";
  row.event_type = "交易成功";
  row.key_id = "";
  row.outcome = CallbackOutcome::kToBeConfirmed;
  EventRow event = event_row(1, 1);
  event.body = "{\"a\":\"\\u0000\x01\x7f支付\"}";  // JSON: every byte but NUL, which it escapes
  core::Fact fact = payment("订单 1 ", "支付/1");
  this->store.must({.plan = [&](WorkingSet& working) {
    row.id = working.add_callback(row);
    const RowId order = working.add_order(order_row("订单 1 "));
    const RowId attempt = working.add_attempt(fact.attempt, order);
    (void)working.add_fact({.attempt = attempt, .callback = row.id, .fact = fact});
    (void)working.add_event(event);
  }});
  this->store.reopen();
  const auto reader = this->store.reader();
  const auto kept = reader->callback(row.id).value();
  ASSERT_TRUE(kept);
  EXPECT_TRUE(describe(*kept) == describe(row));
  EXPECT_TRUE(reader->events(1).value().at(0).body == event.body);
  const RowId order = reader->order(order_key("订单 1 ")).value().value().id;
  EXPECT_EQ(describe(reader->facts(order).value().at(0).fact), describe(fact));
  EXPECT_FALSE(reader->order(order_key("订单 1")).value());
}

TYPED_TEST(StoreContract, KeepsEveryKindOfFact) {
  const core::AttemptKey key = attempt_key("N1");
  std::vector<core::Fact> facts = {
      core::Fact::payment(key, "P1", yuan(8800), at(1)),
      core::Fact::refund(key, "P1", "R1", money(1, "JPY"), at(2)),
      core::Fact::refund_total(key, "P1", money(std::numeric_limits<std::int64_t>::max(), "KWD"),
                               at(3)),
      core::Fact::refund_failure(key, "P1", "R2", std::nullopt, at(4)),
      core::Fact::close(key, at(5)),
      core::Fact::failure(key, at(-6)),
      core::Fact::dispute_change(key, "P1", "D1", core::DisputeState::kLost, at(7))};
  facts[1].source = core::FactSource::kQuery;
  facts[2].source = core::FactSource::kBill;
  facts[3].source = core::FactSource::kOperator;
  const RowId order = this->register_order("N1");
  this->store.must({.keys = {.attempts = {key}}, .plan = [&](WorkingSet& working) {
                      const RowId attempt = working.find_attempt(key)->id;
                      for (const core::Fact& fact : facts)
                        (void)working.add_fact({.attempt = attempt, .fact = fact});
                    }});
  const auto rows = this->store.reader()->facts(order).value();
  ASSERT_EQ(rows.size(), facts.size());
  this->look({.attempts = {key}}, [&](WorkingSet& working) {
    for (std::size_t i = 0; i < facts.size(); ++i) {
      EXPECT_EQ(describe(rows[i].fact), describe(facts[i]));
      EXPECT_EQ(describe(working.facts_of(rows[i].attempt)[i].fact), describe(facts[i]));
    }
  });
}

// P12: the queue has a limit, and says so at once.
TYPED_TEST(StoreContract, RefusesAtOnceWhenTheQueueIsFull) {
  TypeParam small(StoreLimits{.batch_max = 2, .queue_max = 3});
  Answers answers;
  small.hold();
  for (int i = 0; i < 5; ++i) {
    small.store().submit(answers.command(
        {.plan = [](WorkingSet& working) { (void)working.add_callback(callback_row("c")); }}));
  }
  EXPECT_EQ(answers.count(), 2U);
  EXPECT_EQ(answers.at(3), Commit::kRefused);
  EXPECT_EQ(answers.at(4), Commit::kRefused);
  small.release();
  ASSERT_TRUE(answers.wait());
  EXPECT_EQ(answers.at(0), Commit::kDone);
  EXPECT_EQ(answers.at(2), Commit::kDone);
  EXPECT_EQ(small.reader()->totals().value().callbacks, 3);
  small.must({});
}

TYPED_TEST(StoreContract, WritesWhatIsQueuedBeforeItCloses) {
  Answers answers;
  for (int i = 0; i < 1000; ++i) {
    this->store.store().submit(answers.command(
        {.plan = [](WorkingSet& working) { (void)working.add_callback(callback_row("c")); }}));
  }
  this->store.reopen();
  EXPECT_EQ(answers.all(), std::vector(1000, Commit::kDone));
  EXPECT_EQ(this->totals().callbacks, 1000);
  EXPECT_TRUE(this->store.store().healthy());
}

TYPED_TEST(StoreContract, LetsAnAnswerSubmitTheNextCommand) {
  struct Chain final : Command {
    Chain(Store& to, std::promise<void>& ended_, int left_)
        : store(to), ended(ended_), left(left_) {}
    KeySet keys() const override { return {}; }
    void plan(WorkingSet& working) override { (void)working.add_callback(callback_row("c")); }
    void finish(Commit outcome) noexcept override {
      if (outcome != Commit::kDone || left == 0) return ended.set_value();
      store.submit(std::make_unique<Chain>(store, ended, left - 1));
    }
    Store& store;
    std::promise<void>& ended;
    int left;
  };
  std::promise<void> ended;
  this->store.hold();
  this->store.store().submit(std::make_unique<Chain>(this->store.store(), ended, 9));
  this->store.release();
  ASSERT_EQ(ended.get_future().wait_for(std::chrono::minutes(1)), std::future_status::ready);
  EXPECT_EQ(this->totals().callbacks, 10);
}

}  // namespace
}  // namespace postern::store
