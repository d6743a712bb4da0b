// Goal: every rule of recording and registering (design: one commit holds evidence, facts, fold,
// events, deliveries and incidents), whatever the order of arrival (P2, P4, P6, P8).
// Method: the real planner against a WorkingSet that is never written away, so it plays the whole
// store; every permutation of a set that holds all kinds of fact, each sent twice.
#include "ledger/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <numeric>

#include "tests/core/facts.h"

namespace postern::ledger {
namespace {

using namespace core::testing;  // NOLINT: the vocabulary of these tests
using store::CallbackOutcome;

class CountingIds final : public store::RowIds {
 public:
  store::RowId next(store::Table table) override {
    return ++last_[static_cast<std::size_t>(table)];
  }

 private:
  std::array<store::RowId, store::kTables> last_{};
};

[[nodiscard]] Policy two_accounts(OrderMode mode = OrderMode::kRegistered) {
  Policy policy;
  for (const char* name : {"alipay", "wechat"}) {
    policy.accounts.emplace(
        name,
        AccountPolicy{.merchant = MerchantName::trusted("shop"), .channel = name, .orders = mode});
  }
  policy.endpoints.push_back(
      {.name = EndpointName::trusted("all"), .events = {"order.*"}, .accounts = {}});
  policy.endpoints.push_back({.name = EndpointName::trusted("refunds"),
                              .events = {"order.refunded"},
                              .accounts = {AccountName::trusted("alipay")}});
  return policy;
}

[[nodiscard]] std::shared_ptr<const store::CallbackRow> share(store::CallbackRow row) {
  return std::make_shared<const store::CallbackRow>(std::move(row));
}

/// A ledger in memory.
class Book {
 public:
  explicit Book(Policy policy = two_accounts()) : policy_(std::move(policy)) {}

  Recorded record(std::vector<core::Fact> facts, std::string digest = "d") {
    Recording recording{.evidence = share({.account = facts.front().attempt.account,
                                           .body = "body",
                                           .digest = std::move(digest)}),
                        .facts = std::move(facts)};
    return plan_record(working_, policy_, recording, at(1000));
  }
  Recorded message(std::string key, std::string digest = "d") {
    Recording recording{.evidence = share({.account = AccountName::trusted("alipay"),
                                           .digest = std::move(digest),
                                           .message_key = std::move(key),
                                           .outcome = CallbackOutcome::kNothingToDo}),
                        .facts = {}};
    return plan_record(working_, policy_, recording, at(1000));
  }
  Result<Registered> enroll(std::int64_t minor,
                            std::vector<core::AttemptKey> attempts = {attempt()},
                            std::string id = "T1") {
    const Registering order{
        .key = {MerchantName::trusted("shop"), MerchantOrderId::trusted(std::move(id))},
        .expected = cny(minor),
        .attempts = std::move(attempts)};
    return plan_register(working_, policy_, order, at(2000));
  }
  [[nodiscard]] const store::OrderRow& order(std::string id = "T1") const {
    return working_
        .find_order({MerchantName::trusted("shop"), MerchantOrderId::trusted(std::move(id))})
        ->row;
  }
  [[nodiscard]] store::Writes writes() { return working_.take_writes(); }

 private:
  CountingIds ids_;
  Policy policy_;
  store::WorkingSet working_{ids_};
};

[[nodiscard]] std::vector<core::EventType> types(const store::Writes& writes) {
  std::vector<core::EventType> types;
  for (const store::EventRow& event : writes.events) types.push_back(event.type);
  return types;
}

[[nodiscard]] std::vector<core::IncidentKind> raised(const store::Writes& writes) {
  std::vector<core::IncidentKind> kinds;
  for (const store::IncidentRow& incident : writes.incidents) kinds.push_back(incident.kind);
  return kinds;
}

TEST(Record, AppliesAPaymentWithItsEventAndDeliveries) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  EXPECT_EQ(book.record({payment("P", 100, 1)}).outcome, CallbackOutcome::kApplied);
  EXPECT_EQ(book.order().state, core::OrderState::kPaid);
  const store::Writes writes = book.writes();
  EXPECT_EQ(types(writes), std::vector{core::EventType::kPaid});
  ASSERT_EQ(writes.deliveries.size(), 1U);  // P6: in the same writes
  EXPECT_EQ(writes.deliveries[0].endpoint.text(), "all");
  EXPECT_EQ(writes.deliveries[0].event, writes.events[0].id);
  EXPECT_EQ(writes.deliveries[0].state, store::DeliveryState::kReady);
  EXPECT_EQ(writes.facts.size(), 1U);
  EXPECT_EQ(writes.callbacks.size(), 1U);
  EXPECT_EQ(writes.facts[0].callback, writes.callbacks[0].id);
}

// A bad part of a combined callback quarantines only itself, and somebody hears of it.
TEST(Record, RaisesAnIncidentForEachPartThatWasLeftOut) {
  Policy policy = two_accounts();
  CountingIds ids;
  store::WorkingSet working(ids);
  const Recording recording{
      .evidence = share({.account = AccountName::trusted("wechat"), .digest = "d"}),
      .facts = {payment("P", 100, 1)},
      .left_out = {"SUB-2: sub_merchant_mismatch"}};
  (void)plan_record(working, policy, recording, at(1000));
  (void)plan_record(working, policy, recording, at(1001));
  const store::Writes writes = working.take_writes();
  ASSERT_EQ(writes.incidents.size(), 2U);  // the other one: nobody registered the number
  EXPECT_EQ(writes.incidents[1].kind, core::IncidentKind::kPartLeftOut);
  EXPECT_EQ(writes.incidents[1].subject, "wechat/SUB-2: sub_merchant_mismatch");
  EXPECT_EQ(writes.facts.size(), 1U);
}

TEST(Record, RaisesItEvenWhereNoPartIsOurs) {
  Policy policy = two_accounts();
  CountingIds ids;
  store::WorkingSet working(ids);
  const Recording recording{.evidence = share({.account = AccountName::trusted("wechat"),
                                               .digest = "d",
                                               .message_key = "M1",
                                               .outcome = CallbackOutcome::kNothingToDo}),
                            .facts = {},
                            .left_out = {"SUB-1: body_malformed"}};
  (void)plan_record(working, policy, recording, at(1000));
  (void)plan_record(working, policy, recording, at(1001));
  const store::Writes writes = working.take_writes();
  ASSERT_EQ(writes.incidents.size(), 1U);
  EXPECT_EQ(writes.incidents[0].kind, core::IncidentKind::kPartLeftOut);
}

// P4: each payment of a wrong sum is told as kept without effect, not only the first.
TEST(Record, CallsEveryPaymentOfAWrongSumQuarantined) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  EXPECT_EQ(book.record({payment("P1", 99, 1)}).outcome, CallbackOutcome::kQuarantined);
  EXPECT_EQ(book.record({payment("P2", 98, 2)}).outcome, CallbackOutcome::kQuarantined);
  EXPECT_EQ(book.record({payment("P3", 100, 3)}).outcome, CallbackOutcome::kApplied);
}

TEST(Record, AnExactCopyOnlyCounts) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  const Recorded first = book.record({payment("P", 100, 1)});
  for (int i = 0; i < 10; ++i) {
    const Recorded copy = book.record({payment("P", 100, 1)});
    EXPECT_EQ(copy.outcome, CallbackOutcome::kDuplicate);
    EXPECT_EQ(copy.callback, first.callback);
  }
  const store::Writes writes = book.writes();
  EXPECT_EQ(writes.callbacks.size(), 1U);
  EXPECT_EQ(writes.copies.size(), 10U);
  EXPECT_EQ(writes.events.size(), 1U);
}

TEST(Record, DifferingBodiesOfTheSameFactAreKeptUpToALimit) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  const Recorded first = book.record({payment("P", 100, 1)});
  for (int i = 0; i < 10; ++i) (void)book.record({payment("P", 100, 1)}, std::to_string(i));
  const store::Writes writes = book.writes();
  EXPECT_EQ(writes.callbacks.size(), 5U);
  EXPECT_EQ(writes.copies.size(), 6U);
  EXPECT_EQ(writes.callbacks[4].copy_of, first.callback);
  EXPECT_EQ(writes.callbacks[4].outcome, CallbackOutcome::kDuplicate);
}

TEST(Record, OtherSumUnderTheSameKeyIsAConflictAndTheFirstStays) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  (void)book.record({payment("P", 100, 1)});
  EXPECT_EQ(book.record({payment("P", 200, 1)}, "other").outcome, CallbackOutcome::kConflict);
  EXPECT_EQ(book.order().paid, cny(100));
  const store::Writes writes = book.writes();
  EXPECT_EQ(raised(writes), std::vector{core::IncidentKind::kConflict});
  EXPECT_EQ(writes.callbacks.size(), 2U);  // both kept as evidence
  EXPECT_EQ(writes.facts.size(), 1U);
}

TEST(Record, OnePaymentIdForTwoOrdersIsAConflict) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  ASSERT_TRUE(book.enroll(100, {attempt("alipay", "T2")}, "T2"));
  (void)book.record({payment("P", 100, 1)});
  EXPECT_EQ(book.record({payment("P", 100, 1, attempt("alipay", "T2"))}, "other").outcome,
            CallbackOutcome::kConflict);
  EXPECT_EQ(book.order("T2").state, core::OrderState::kAwaiting);
}

TEST(Record, AWrongSumIsQuarantined) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  EXPECT_EQ(book.record({payment("P", 99, 1)}).outcome, CallbackOutcome::kQuarantined);
  EXPECT_EQ(book.order().state, core::OrderState::kAwaiting);
  const store::Writes writes = book.writes();
  EXPECT_TRUE(writes.events.empty());
  EXPECT_EQ(raised(writes), std::vector{core::IncidentKind::kAmountMismatch});
  EXPECT_EQ(writes.facts.size(), 1U);
}

TEST(Record, AnUnknownOrderIsKeptAndSettledWhenItIsRegistered) {
  Book book;
  EXPECT_EQ(book.record({payment("P", 100, 1)}).outcome, CallbackOutcome::kUnknownOrder);
  EXPECT_EQ(book.record({refund("P", "R", 100)}, "2").outcome, CallbackOutcome::kUnknownOrder);
  EXPECT_EQ(book.record({payment("P", 100, 1)}).outcome, CallbackOutcome::kDuplicate);
  ASSERT_TRUE(book.enroll(100));
  EXPECT_EQ(book.order().state, core::OrderState::kRefunded);
  const store::Writes writes = book.writes();
  EXPECT_EQ(types(writes), (std::vector{core::EventType::kPaid, core::EventType::kRefunded}));
  ASSERT_EQ(writes.incidents_resolved.size(), 1U);
  EXPECT_EQ(writes.incidents_resolved[0].first, core::IncidentKind::kUnknownOrder);
}

TEST(Record, ARefundBeforeItsPaymentWaits) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  EXPECT_EQ(book.record({refund("P", "R", 40)}).outcome, CallbackOutcome::kApplied);
  EXPECT_EQ(book.order().state, core::OrderState::kAwaiting);
  (void)book.record({payment("P", 100, 1)}, "2");
  EXPECT_EQ(book.order().state, core::OrderState::kPartiallyRefunded);
  const store::Writes writes = book.writes();
  EXPECT_EQ(types(writes),
            (std::vector{core::EventType::kPaid, core::EventType::kPartiallyRefunded}));
}

TEST(Record, ACallbackWithPaymentAndRefundTellsBothInTurn) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  (void)book.record({payment("P", 100, 1), refund_total("P", 30)});
  const store::Writes writes = book.writes();
  EXPECT_EQ(types(writes),
            (std::vector{core::EventType::kPaid, core::EventType::kPartiallyRefunded}));
  EXPECT_EQ(writes.events[0].sequence, 1);
  EXPECT_EQ(writes.events[1].sequence, 2);
  // The second delivery to an endpoint waits behind the first (P7).
  ASSERT_EQ(writes.deliveries.size(), 2U);
  EXPECT_EQ(writes.deliveries[0].state, store::DeliveryState::kReady);
  EXPECT_EQ(writes.deliveries[1].state, store::DeliveryState::kWaiting);
}

TEST(Record, ACombinedCallbackSettlesItsOrdersAndABadPartHurtsOnlyItself) {
  Book book;
  const auto first = attempt("wechat", "A");
  const auto second = attempt("wechat", "B");
  ASSERT_TRUE(book.enroll(100, {first}, "A"));
  ASSERT_TRUE(book.enroll(200, {second}, "B"));
  const Recorded recorded =
      book.record({payment("P1", 100, 1, first), payment("P2", 201, 1, second),
                   payment("P3", 5, 1, attempt("wechat", "C"))});
  EXPECT_EQ(recorded.outcome, CallbackOutcome::kQuarantined);
  EXPECT_EQ(book.order("A").state, core::OrderState::kPaid);
  EXPECT_EQ(book.order("B").state, core::OrderState::kAwaiting);
  const store::Writes writes = book.writes();
  EXPECT_EQ(writes.callbacks.size(), 1U);
  EXPECT_EQ(writes.facts.size(), 3U);
}

TEST(Record, ASecondPaymentByAnotherPlatformNeverFulfilsTwice) {
  Book book;
  ASSERT_TRUE(book.enroll(100, {attempt("alipay"), attempt("wechat")}));
  (void)book.record({payment("P", 100, 5)});
  (void)book.record({payment("W", 100, 1, attempt("wechat"))}, "2");
  const store::Writes writes = book.writes();
  EXPECT_EQ(types(writes),
            (std::vector{core::EventType::kPaid, core::EventType::kDuplicatePayment}));
  EXPECT_EQ(std::ranges::count(raised(writes), core::IncidentKind::kDuplicatePayment), 1);
}

TEST(Record, APaymentOnAnAccountTheOrderDoesNotNameIsUnknown) {
  Book book;
  ASSERT_TRUE(book.enroll(100, {attempt("wechat")}));
  EXPECT_EQ(book.record({payment("P", 100, 1)}).outcome, CallbackOutcome::kUnknownOrder);
  EXPECT_EQ(book.order().state, core::OrderState::kAwaiting);
}

TEST(Record, OpenOrdersAreMadeByTheirFirstFact) {
  Book book(two_accounts(OrderMode::kOpen));
  EXPECT_EQ(book.record({payment("P", 100, 1)}).outcome, CallbackOutcome::kApplied);
  EXPECT_EQ(book.order().state, core::OrderState::kPaid);
  EXPECT_FALSE(book.order().expected);
  (void)book.record({payment("W", 100, 2, attempt("wechat"))}, "2");
  const store::Writes writes = book.writes();
  EXPECT_EQ(writes.orders_new.size(), 1U);
  EXPECT_EQ(types(writes),
            (std::vector{core::EventType::kPaid, core::EventType::kDuplicatePayment}));
  EXPECT_NE(writes.events[0].body.find(R"("amount_checked":false)"), std::string::npos);
}

TEST(Record, MessagesWithoutFactsAreKeptOnceAndTheirCopiesCounted) {
  Book book;
  EXPECT_EQ(book.message("n1").outcome, CallbackOutcome::kNothingToDo);
  EXPECT_EQ(book.message("n1").outcome, CallbackOutcome::kDuplicate);
  EXPECT_EQ(book.message("n2").outcome, CallbackOutcome::kNothingToDo);
  const store::Writes writes = book.writes();
  EXPECT_EQ(writes.callbacks.size(), 2U);
  EXPECT_EQ(writes.copies.size(), 1U);
}

TEST(Record, AFilteredEndpointGetsOnlyWhatItAskedFor) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  (void)book.record({payment("P", 100, 1), refund("P", "R", 100)});
  const store::Writes writes = book.writes();
  const auto refunds = std::ranges::count_if(writes.deliveries, [](const store::DeliveryRow& row) {
    return row.endpoint.text() == "refunds";
  });
  EXPECT_EQ(refunds, 1);
  EXPECT_EQ(writes.deliveries.size(), 3U);
}

TEST(Register, TwiceTheSameChangesNothing) {
  Book book;
  EXPECT_EQ(book.enroll(100)->outcome, RegisterOutcome::kCreated);
  EXPECT_EQ(book.enroll(100)->outcome, RegisterOutcome::kUnchanged);
}

TEST(Register, AnotherSumIsRefused) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  EXPECT_EQ(book.enroll(101).error().code, "order_exists");
  EXPECT_EQ(book.order().expected, cny(100));
}

TEST(Register, ANumberBelongsToOneOrder) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  EXPECT_EQ(book.enroll(100, {attempt()}, "T2").error().code, "attempt_taken");
}

TEST(Register, ALaterAttemptIsAddedWithItsWaitingFacts) {
  Book book;
  ASSERT_TRUE(book.enroll(100));
  (void)book.record({payment("W", 100, 1, attempt("wechat"))});
  EXPECT_EQ(book.order().state, core::OrderState::kAwaiting);
  EXPECT_EQ(book.enroll(100, {attempt(), attempt("wechat")})->outcome, RegisterOutcome::kChanged);
  EXPECT_EQ(book.order().state, core::OrderState::kPaid);
}

TEST(Register, AnOpenOrderTakesTheSumItWasPaidWith) {
  Book book(two_accounts(OrderMode::kOpen));
  (void)book.record({payment("P", 100, 1)});
  EXPECT_EQ(book.enroll(99).error().code, "order_exists");
  EXPECT_EQ(book.enroll(100)->outcome, RegisterOutcome::kChanged);
  EXPECT_EQ(book.order().expected, cny(100));
}

TEST(Register, WaitingFactsOfAWrongSumAreSetAside) {
  Book book;
  (void)book.record({payment("P", 1, 1)});
  ASSERT_TRUE(book.enroll(100));
  EXPECT_EQ(book.order().state, core::OrderState::kAwaiting);
  const store::Writes writes = book.writes();
  EXPECT_EQ(raised(writes),
            (std::vector{core::IncidentKind::kUnknownOrder, core::IncidentKind::kAmountMismatch}));
}

TEST(EventBody, IsOneJsonObjectWithFixedMembers) {
  Book book;
  ASSERT_TRUE(book.enroll(8888));
  (void)book.record({payment("P\"1", 8888, 1)});
  const store::Writes writes = book.writes();
  const boost::json::value value = boost::json::parse(writes.events.at(0).body);
  EXPECT_EQ(value.at("type").as_string(), "order.paid");
  const auto& data = value.at("data").as_object();
  EXPECT_EQ(data.at("sequence").as_int64(), 1);
  EXPECT_EQ(data.at("order").at("state").as_string(), "paid");
  EXPECT_EQ(data.at("order").at("paid").at("minor").as_int64(), 8888);
  EXPECT_EQ(data.at("order").at("paid").at("currency").as_string(), "CNY");
  EXPECT_TRUE(data.at("order").at("amount_checked").as_bool());
  EXPECT_EQ(data.at("payment").at("channel_payment_id").as_string(), "P\"1");
  EXPECT_EQ(data.at("source").as_string(), "callback");
}

/// Registration too is one of the things that may come at any moment.
TEST(Record, EveryPermutationWithDuplicatesEndsInTheSameOrder) {
  const std::vector<core::Fact> facts{payment("A", 100, 5),
                                      refund("A", "R1", 20),
                                      refund("A", "R2", 30),
                                      refund_total("A", 40),
                                      core::Fact::close(attempt(), at(4)),
                                      payment("S", 100, 2, attempt("wechat")),
                                      dispute("A", "D", core::DisputeState::kOpen, 7)};
  std::vector<std::size_t> order(facts.size() + 1);
  std::iota(order.begin(), order.end(), 0U);
  std::optional<store::OrderRow> expected;
  const auto run = [&](const std::vector<std::size_t>& steps) {
    Book book;
    for (const std::size_t step : steps) {
      for (int copy = 0; copy < 2; ++copy) {
        if (step == facts.size()) {
          ASSERT_TRUE(book.enroll(100, {attempt(), attempt("wechat")}));
        } else {
          (void)book.record({facts[step]}, std::to_string(step));
        }
      }
    }
    const store::OrderRow row = book.order();
    if (!expected) expected = row;
    ASSERT_EQ(row.state, expected->state);
    ASSERT_EQ(row.dispute, expected->dispute);
    ASSERT_EQ(row.paid, expected->paid);
    ASSERT_EQ(row.refunded, expected->refunded);
    const store::Writes writes = book.writes();
    ASSERT_EQ(std::ranges::count(types(writes), core::EventType::kPaid), 1);
    ASSERT_EQ(writes.facts.size(), facts.size());
    for (std::size_t i = 0; i < writes.events.size(); ++i) {
      ASSERT_EQ(writes.events[i].sequence, static_cast<std::int64_t>(i) + 1);
    }
  };
  // Sanitizers look at the memory of some; a prime stride meets every beginning.
  const char* const given = std::getenv("POSTERN_PERMUTATION_STRIDE");
  const int stride = given == nullptr ? 1 : std::max(1, std::atoi(given));
  int turn = 0;
  do {
    if (turn++ % stride != 0) continue;
    run(order);
    if (::testing::Test::HasFatalFailure()) return;
  } while (std::ranges::next_permutation(order).found);
  EXPECT_EQ(expected->state, core::OrderState::kPaid);  // settled by the earlier second payment
  EXPECT_EQ(expected->refunded, cny(0));
}

}  // namespace
}  // namespace postern::ledger
