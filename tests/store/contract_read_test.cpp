// Goal: readers answer alike on every engine. Method: one typed suite over the engines of
// contract_test.cpp, with rows written by scripted commands.
#include <gtest/gtest.h>

#include "tests/store/store_under_test.h"
#include "tests/store/test_rows.h"

namespace postern::store {
namespace {

template <class Engine>
class ReaderContract : public testing::Test {
 protected:
  Engine store;
};

TYPED_TEST_SUITE(ReaderContract, Engines, EngineNames);

template <class Row>
[[nodiscard]] std::vector<RowId> ids(const Result<std::vector<Row>>& rows) {
  EXPECT_TRUE(rows);
  std::vector<RowId> ids;
  for (const Row& row : rows.value()) ids.push_back(row.id);
  return ids;
}

using Ids = std::vector<RowId>;

TYPED_TEST(ReaderContract, FindsNothingInAnEmptyStore) {
  const auto reader = this->store.reader();
  EXPECT_FALSE(reader->order(order_key("T1")).value());
  EXPECT_FALSE(reader->order(1).value());
  EXPECT_FALSE(reader->callback(1).value());
  EXPECT_TRUE(reader->orders({}).value().empty());
  EXPECT_TRUE(reader->attempts(0).value().empty());
  EXPECT_TRUE(reader->facts(0).value().empty());
  EXPECT_TRUE(reader->events(0).value().empty());
  EXPECT_TRUE(reader->deliveries(0).value().empty());
  EXPECT_TRUE(reader->callbacks({}).value().empty());
  EXPECT_TRUE(reader->callbacks_of(0).value().empty());
  EXPECT_TRUE(reader->incidents({}).value().empty());
  EXPECT_TRUE(reader->incidents_of(0).value().empty());
  EXPECT_EQ(reader->totals().value(), Totals{});
}

TYPED_TEST(ReaderContract, ListsOrdersByFilterNewestFirst) {
  using core::OrderState;
  constexpr std::array kStates = {OrderState::kAwaiting, OrderState::kPaid, OrderState::kRefunded,
                                  OrderState::kAwaiting, OrderState::kPaid, OrderState::kClosed};
  Made made;
  this->store.must({.plan = [&](WorkingSet& working) {
    for (std::size_t i = 0; i < kStates.size(); ++i) {
      OrderRow row = order_row("T" + std::to_string(i % 5));  // T0 of two merchants
      if (i == 5) row.key = order_key("T0", "other");
      row.state = kStates[i];
      const RowId order = made.add(working.add_order(row));
      (void)working.add_attempt(attempt_key("N" + std::to_string(i)), order);
      (void)working.add_attempt(attempt_key("M" + std::to_string(i), "wechat"), order);
    }
    (void)working.add_attempt(attempt_key("T1"), 0);  // An attempt without an order is no hit.
    const RowId odd = made.add(working.add_order(order_row("odd")));
    (void)working.add_attempt(attempt_key("T2", "wechat"), odd);  // Named like another order.
  }});
  const auto reader = this->store.reader();
  const auto list = [&](const OrderFilter& filter) {
    return made.numbers(ids(reader->orders(filter)));
  };

  EXPECT_EQ(list({}), (Ids{7, 6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(list({.limit = 2}), (Ids{7, 6}));
  EXPECT_EQ(list({.before = made.id(6), .limit = 2}), (Ids{5, 4}));
  EXPECT_EQ(list({.before = made.id(1)}), Ids{});
  EXPECT_EQ(list({.limit = 0}), Ids{});
  EXPECT_EQ(list({.state = OrderState::kPaid}), (Ids{5, 2}));
  EXPECT_EQ(list({.state = OrderState::kPaid, .before = made.id(5)}), (Ids{2}));
  EXPECT_EQ(list({.state = OrderState::kAwaiting}), (Ids{7, 4, 1}));
  EXPECT_EQ(list({.state = OrderState::kClosed}), (Ids{6}));
  EXPECT_EQ(list({.state = OrderState::kFailed}), Ids{});
  EXPECT_EQ(list({.search = "T0"}), (Ids{6, 1}));
  EXPECT_EQ(list({.state = OrderState::kAwaiting, .search = "T0"}), (Ids{1}));
  EXPECT_EQ(list({.state = OrderState::kRefunded, .search = "M2"}), (Ids{3}));
  EXPECT_EQ(list({.search = "N3"}), (Ids{4}));
  EXPECT_EQ(list({.search = "T1"}), (Ids{2}));
  EXPECT_EQ(list({.search = "T2", .limit = 1}), (Ids{7}));
  EXPECT_EQ(list({.search = "T2", .before = made.id(7)}), (Ids{3}));
  EXPECT_EQ(list({.search = "T"}), Ids{});
  EXPECT_EQ(list({.search = "t0"}), Ids{});
}

TYPED_TEST(ReaderContract, ListsCallbacksWithoutTheirBytes) {
  Made made;
  this->store.must({.plan = [&](WorkingSet& working) {
    for (int i = 0; i < 6; ++i) {
      CallbackRow row = callback_row("body", i % 2 == 0 ? "alipay" : "wechat");
      row.outcome = i < 3   ? CallbackOutcome::kApplied
                    : i < 5 ? CallbackOutcome::kQuarantined
                            : CallbackOutcome::kDuplicate;
      if (i == 5) row.copy_of = made.id(2);
      const RowId id = made.add(working.add_callback(row));
      if (i == 4) working.count_copy(id);
    }
  }});
  const auto reader = this->store.reader();
  const auto list = [&](const CallbackFilter& filter) {
    return made.numbers(ids(reader->callbacks(filter)));
  };
  const AccountName alipay = AccountName::trusted("alipay");

  EXPECT_EQ(list({}), (Ids{6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(list({.before = made.id(4), .limit = 2}), (Ids{3, 2}));
  EXPECT_EQ(list({.account = alipay}), (Ids{5, 3, 1}));
  EXPECT_EQ(list({.account = alipay, .before = made.id(5)}), (Ids{3, 1}));
  EXPECT_EQ(list({.outcome = CallbackOutcome::kQuarantined}), (Ids{5, 4}));
  EXPECT_EQ(list({.outcome = CallbackOutcome::kApplied}), (Ids{3, 2, 1}));
  EXPECT_EQ(list({.account = alipay, .outcome = CallbackOutcome::kQuarantined}), (Ids{5}));
  EXPECT_EQ(list({.account = AccountName::trusted("none")}), Ids{});

  CallbackRow expected = callback_row("body");
  expected.id = made.id(5);
  expected.outcome = CallbackOutcome::kQuarantined;
  expected.copies = 1;
  EXPECT_EQ(describe(*reader->callback(expected.id).value()), describe(expected));
  expected.headers.clear();
  expected.body.clear();
  EXPECT_EQ(describe(reader->callbacks({.before = made.id(6), .limit = 1}).value().at(0)),
            describe(expected));
}

// P15: from an order to all of its evidence.
TYPED_TEST(ReaderContract, GathersTheEvidenceOfAnOrder) {
  RowId order = 0;
  Made attempts;
  Made callbacks;
  Made facts;
  this->store.must({.plan = [&](WorkingSet& working) {
    order = working.add_order(order_row("T1"));
    const RowId other = working.add_order(order_row("T2"));
    const RowId first = attempts.add(working.add_attempt(attempt_key("N1"), order));
    const RowId second = attempts.add(working.add_attempt(attempt_key("N2"), order));
    const RowId foreign = working.add_attempt(attempt_key("N3"), other);
    for (int i = 0; i < 4; ++i) callbacks.add(working.add_callback(callback_row("c")));
    CallbackRow variant = callback_row("variant");
    variant.copy_of = callbacks.id(2);
    callbacks.add(working.add_callback(variant));  // 5
    variant.copy_of = callbacks.id(4);
    callbacks.add(working.add_callback(variant));  // 6: of the other order
    const auto add_fact = [&](RowId attempt, RowId callback, const core::Fact& fact) {
      facts.add(working.add_fact({.attempt = attempt, .callback = callback, .fact = fact}));
    };
    add_fact(second, callbacks.id(3), payment("N2", "P1"));
    add_fact(first, callbacks.id(2), payment("N1", "P2"));
    add_fact(first, callbacks.id(2), payment("N1", "P3"));
    add_fact(first, 0, payment("N1", "P4"));
    add_fact(foreign, callbacks.id(4), payment("N3", "P5"));
    IncidentRow incident = incident_row(core::IncidentKind::kConflict, "x");
    working.raise_incident(incident);
    incident.subject = "y";
    incident.order = order;
    working.raise_incident(incident);
  }});
  const auto reader = this->store.reader();
  EXPECT_EQ(callbacks.numbers(ids(reader->callbacks_of(order))), (Ids{2, 3, 5}));
  EXPECT_EQ(reader->callbacks_of(order).value().at(2).copy_of, callbacks.id(2));
  EXPECT_EQ(facts.numbers(ids(reader->facts(order))), (Ids{1, 2, 3, 4}));
  EXPECT_EQ(attempts.numbers(ids(reader->attempts(order))), (Ids{1, 2}));
  const auto incidents = reader->incidents_of(order).value();
  ASSERT_EQ(incidents.size(), 1U);
  EXPECT_EQ(incidents[0].subject, "y");
}

TYPED_TEST(ReaderContract, ListsEventsBySequenceWhateverTheirIds) {
  Made made;
  this->store.must({.plan = [&](WorkingSet& working) {
    made.add(working.add_event(event_row(1, 2)));
    made.add(working.add_event(event_row(2, 1)));
    made.add(working.add_event(event_row(1, 1)));
  }});
  EXPECT_EQ(made.numbers(ids(this->store.reader()->events(1))), (Ids{3, 1}));
}

TYPED_TEST(ReaderContract, ListsIncidentsByState) {
  using core::IncidentKind;
  this->store.must({.plan = [](WorkingSet& working) {
    for (const char* subject : {"a", "b", "c"}) {
      working.raise_incident(incident_row(IncidentKind::kConflict, subject));
    }
    working.resolve_incident(IncidentKind::kConflict, "b");
    working.resolve_incident(IncidentKind::kUnknownOrder, "c");  // Another kind: not that one.
  }});
  const auto reader = this->store.reader();
  const auto list = [&](const IncidentFilter& filter) {
    std::string subjects;
    const auto rows = reader->incidents(filter);
    for (const IncidentRow& row : rows.value()) subjects += row.subject;
    return subjects;
  };
  EXPECT_EQ(list({}), "cba");
  EXPECT_EQ(list({.state = IncidentState::kOpen}), "ca");
  const RowId newest = reader->incidents({}).value().at(0).id;
  EXPECT_EQ(list({.state = IncidentState::kOpen, .before = newest, .limit = 5}), "a");
  EXPECT_EQ(list({.state = IncidentState::kResolved}), "b");
  EXPECT_EQ(list({.state = IncidentState::kAcknowledged}), "");
}

// P12: a listing has a limit, whatever is asked for.
TYPED_TEST(ReaderContract, GivesAtMostAThousandRows) {
  RowId last = 0;
  this->store.must({.plan = [&](WorkingSet& working) {
    for (int i = 0; i < 1003; ++i) last = working.add_callback(callback_row("c"));
  }});
  const auto rows = this->store.reader()->callbacks({.limit = 5000}).value();
  ASSERT_EQ(rows.size(), kRowsMax);
  EXPECT_EQ(rows.front().id, last);
}

TYPED_TEST(ReaderContract, SeesCommitsMadeAfterItWasOpened) {
  const auto early = this->store.reader();
  const auto second = this->store.reader();
  EXPECT_EQ(early->totals().value().callbacks, 0);
  const Script add{
      .plan = [](WorkingSet& working) { (void)working.add_callback(callback_row("c")); }};
  this->store.must(add);
  EXPECT_EQ(early->totals().value().callbacks, 1);
  EXPECT_EQ(second->totals().value().callbacks, 1);
  // What is planned but refused is never seen.
  (void)this->store.run({{.plan = [](WorkingSet& working) {
    (void)working.add_callback(callback_row("c"));
    (void)working.add_event(event_row(1, -1));
  }}});
  EXPECT_EQ(early->totals().value().callbacks, 1);
}

TEST(PublicId, HoldsTheStoresTag) {
  EXPECT_EQ(public_id("evt", "k3f9a2", 17), "evt_k3f9a2_17");
  EXPECT_EQ(parse_public_id("evt_k3f9a2_17", "evt", "k3f9a2"), 17);
  EXPECT_EQ(parse_public_id("17", "evt", "k3f9a2"), 17);
  for (const char* wrong : {"evt_other1_17", "cb_k3f9a2_17", "evt_k3f9a2_", "evt_k3f9a2_17x", "0",
                            "-1", "", "99999999999999999999"}) {
    EXPECT_EQ(parse_public_id(wrong, "evt", "k3f9a2"), std::nullopt) << wrong;
  }
}

/// A command that writes `count` events, and does not go in where `refused`.
[[nodiscard]] Script events_script(const std::string& number, std::int64_t count, bool refused) {
  return {.keys = {}, .plan = [=](WorkingSet& working) {
            const RowId order = working.add_order(order_row(number));
            for (std::int64_t i = 1; i <= count; ++i) {
              (void)working.add_event(event_row(order, i));
            }
            if (refused) (void)working.add_event(event_row(order, 1));
          }};
}

// The pull feed's cursor: what becomes readable later has a larger id, also where a batch was
// rolled back and its commands written one by one, and across a restart.
TYPED_TEST(ReaderContract, ACursorOfEventsSkipsNone) {
  RowId cursor = 0;
  std::size_t seen = 0;
  std::size_t written = 0;
  for (int round = 0; round < 12; ++round) {
    const auto reader = this->store.reader();
    std::vector<Script> scripts;
    std::vector<bool> refused;
    for (int i = 0; i < 6; ++i) {
      refused.push_back(round % 3 == 1 && i == round % 6);
      scripts.push_back(events_script("T" + std::to_string(round) + "-" + std::to_string(i), i % 3,
                                      refused.back()));
      if (!refused.back()) written += static_cast<std::size_t>(i % 3);
    }
    const std::vector<Commit> answers = this->store.run(std::move(scripts));
    for (std::size_t i = 0; i < answers.size(); ++i) {
      EXPECT_EQ(answers[i], refused[i] ? Commit::kRefused : Commit::kDone);
    }
    // Page by page, as a consumer would; the last page is read once more.
    while (true) {
      const Ids page = ids(reader->events_after(cursor, 2));
      if (page.empty()) break;
      for (const RowId id : page) {
        EXPECT_GT(id, cursor);
        cursor = id;
        ++seen;
      }
    }
    EXPECT_EQ(seen, written) << "round " << round;
    if (round % 4 == 3) this->store.reopen();
  }
}

}  // namespace
}  // namespace postern::store
