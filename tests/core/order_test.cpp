// Goal: the order is a commutative fold of its facts, and money is conserved (P2, P4, P8).
// Method: a test for each rule in core/order.h; every permutation of a set that holds all kinds of
// fact; random sets by rapidcheck.
#include "core/order.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>

#include "core/event.h"
#include "tests/core/facts.h"

namespace postern::core {
namespace {

using namespace testing;  // NOLINT: the vocabulary of these tests

TEST(Fold, NothingHappened) {
  const Order order = fold_all(expects(100), {});
  EXPECT_EQ(order.state, OrderState::kAwaiting);
  EXPECT_FALSE(order.paid);
  EXPECT_TRUE(order.concerns.empty());
}

TEST(Fold, Rule1AcceptsTheExactSumOnly) {
  EXPECT_EQ(fold_all(expects(100), {payment("P", 100, 1)}).state, OrderState::kPaid);
  for (const std::int64_t other : {0, 1, 99, 101, 10000}) {
    const Order order = fold_all(expects(100), {payment("P", other, 1)});
    EXPECT_EQ(order.state, OrderState::kAwaiting) << other;
    EXPECT_TRUE(has(order, IncidentKind::kAmountMismatch)) << other;
  }
}

TEST(Fold, Rule1RefusesTheSameNumberInAnotherCurrency) {
  const Fact fact = Fact::payment(attempt(), "P", usd(100), at(1));
  const Order order = fold_all(expects(100), {fact});
  EXPECT_EQ(order.state, OrderState::kAwaiting);
  EXPECT_TRUE(has(order, IncidentKind::kAmountMismatch));
}

TEST(Fold, Rule1TakesAnySumAboveZeroWhereNoneIsExpected) {
  const Registration open{.expected = std::nullopt, .attempts = {attempt()}};
  EXPECT_EQ(fold_all(open, {payment("P", 77, 1)}).paid, cny(77));
  EXPECT_EQ(fold_all(open, {payment("P", 0, 1)}).state, OrderState::kAwaiting);
}

TEST(Fold, Rule1TwoPartsNeverMakeAPayment) {
  const Order order = fold_all(expects(100), {payment("P", 30, 1), payment("Q", 70, 2)});
  EXPECT_EQ(order.state, OrderState::kAwaiting);
  EXPECT_EQ(std::ranges::count(order.concerns, IncidentKind::kAmountMismatch, &Concern::kind), 2);
}

TEST(Fold, Rule2TheEarliestPaymentSettlesAndTheOtherIsADuplicate) {
  const Order order = fold_all(expects(100), {payment("B", 100, 2), payment("A", 100, 1)});
  EXPECT_EQ(order.state, OrderState::kPaid);
  EXPECT_EQ(order.settled_by->payment_id, "A");
  EXPECT_EQ(order.payments_accepted, 2U);
  EXPECT_TRUE(has(order, IncidentKind::kDuplicatePayment));
}

TEST(Fold, Rule2TiesAreBrokenByAccountAndId) {
  const Order order = fold_all(expects(100, {attempt("alipay"), attempt("wechat")}),
                               {payment("A", 100, 1, attempt("wechat")), payment("Z", 100, 1)});
  EXPECT_EQ(order.settled_by->payment_id, "Z");
}

TEST(Fold, Rule2RefundingTheDuplicateDoesNotUnpayTheOrder) {
  const Order order =
      fold_all(expects(100), {payment("A", 100, 1), payment("B", 100, 2), refund("B", "R", 100)});
  EXPECT_EQ(order.state, OrderState::kPaid);
  EXPECT_EQ(order.refunded, cny(0));
}

TEST(Fold, Rule3SingleRefundsAddUp) {
  std::vector<Fact> facts{payment("P", 100, 1), refund("P", "R1", 30)};
  EXPECT_EQ(fold_all(expects(100), facts).state, OrderState::kPartiallyRefunded);
  facts.push_back(refund("P", "R2", 70));
  const Order order = fold_all(expects(100), facts);
  EXPECT_EQ(order.state, OrderState::kRefunded);
  EXPECT_EQ(order.refunded, cny(100));
}

TEST(Fold, Rule3TheLargestTotalCounts) {
  const Order order =
      fold_all(expects(100), {payment("P", 100, 1), refund_total("P", 50), refund_total("P", 20)});
  EXPECT_EQ(order.refunded, cny(50));
}

TEST(Fold, Rule3TotalsAndSinglesAreNotAddedToEachOther) {
  const Order order =
      fold_all(expects(100), {payment("P", 100, 1), refund("P", "R1", 30), refund_total("P", 30)});
  EXPECT_EQ(order.refunded, cny(30));
}

TEST(Fold, Rule3RefundsAreCappedAtThePayment) {
  const Order order =
      fold_all(expects(100), {payment("P", 100, 1), refund("P", "R1", 60), refund("P", "R2", 60)});
  EXPECT_EQ(order.refunded, cny(100));
  EXPECT_TRUE(has(order, IncidentKind::kRefundAbovePaid));
}

TEST(Fold, Rule3SumsOfRefundsDoNotWrapAround) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const Order order = fold_all(
      expects(100), {payment("P", 100, 1), refund("P", "R1", kMost), refund("P", "R2", kMost)});
  EXPECT_EQ(order.refunded, cny(100));
}

TEST(Fold, Rule3ARefundOfAnUnknownPaymentIsHeld) {
  EXPECT_EQ(fold_all(expects(100), {refund("P", "R", 100)}).state, OrderState::kAwaiting);
  const Order other = fold_all(expects(100), {payment("P", 100, 1), refund("Q", "R", 100)});
  EXPECT_EQ(other.state, OrderState::kPaid);
}

TEST(Fold, Rule3ARefundInAnotherCurrencyHasNoEffect) {
  const Fact foreign = Fact::refund(attempt(), "P", "R", usd(100), at(5));
  const Order order = fold_all(expects(100), {payment("P", 100, 1), foreign});
  EXPECT_EQ(order.state, OrderState::kPaid);
  EXPECT_TRUE(has(order, IncidentKind::kRefundMismatch));
}

TEST(Fold, Rule3TheSamePaymentIdOnAnotherAccountIsAnotherPayment) {
  const Order order = fold_all(expects(100, {attempt("alipay"), attempt("wechat")}),
                               {payment("P", 100, 1), refund("P", "R", 100, attempt("wechat"))});
  EXPECT_EQ(order.state, OrderState::kPaid);
}

TEST(Fold, Rule4AFailedRefundIsAConcernUntilItSucceeds) {
  const Fact failed = Fact::refund_failure(attempt(), "P", "R", cny(30), at(4));
  std::vector<Fact> facts{payment("P", 100, 1), failed};
  EXPECT_TRUE(has(fold_all(expects(100), facts), IncidentKind::kRefundFailed));
  EXPECT_EQ(fold_all(expects(100), facts).state, OrderState::kPaid);
  facts.push_back(refund("P", "R", 30));
  EXPECT_FALSE(has(fold_all(expects(100), facts), IncidentKind::kRefundFailed));
}

TEST(Fold, Rule5PaidOutranksClosedAndFailed) {
  const std::vector<Fact> facts{Fact::close(attempt(), at(1)), Fact::failure(attempt(), at(2)),
                                payment("P", 100, 3)};
  const Order order = fold_all(expects(100), facts);
  EXPECT_EQ(order.state, OrderState::kPaid);
  EXPECT_TRUE(has(order, IncidentKind::kPaidAfterClose));
}

TEST(Fold, Rule5ClosingAnotherAttemptIsNoConcern) {
  const Order order = fold_all(expects(100, {attempt("alipay"), attempt("wechat")}),
                               {payment("P", 100, 1), Fact::close(attempt("wechat"), at(2))});
  EXPECT_EQ(order.state, OrderState::kPaid);
  EXPECT_TRUE(order.concerns.empty());
}

TEST(Fold, Rule6ClosingOneAttemptDoesNotCloseAnOrderThatHasAnother) {
  const Registration two = expects(100, {attempt("alipay"), attempt("wechat")});
  std::vector<Fact> facts{Fact::close(attempt("alipay"), at(1))};
  EXPECT_EQ(fold_all(two, facts).state, OrderState::kAwaiting);
  facts.push_back(Fact::close(attempt("wechat"), at(2)));
  EXPECT_EQ(fold_all(two, facts).state, OrderState::kClosed);
}

TEST(Fold, Rule6FailedOnlyWhereEveryAttemptFailed) {
  const Registration two = expects(100, {attempt("alipay"), attempt("wechat")});
  std::vector<Fact> facts{Fact::failure(attempt("alipay"), at(1))};
  EXPECT_EQ(fold_all(two, facts).state, OrderState::kAwaiting);
  facts.push_back(Fact::failure(attempt("wechat"), at(2)));
  EXPECT_EQ(fold_all(two, facts).state, OrderState::kFailed);
  facts.push_back(Fact::close(attempt("wechat"), at(3)));
  EXPECT_EQ(fold_all(two, facts).state, OrderState::kClosed);
}

TEST(Fold, Rule7DisputesAreAnAxisOfTheirOwn) {
  std::vector<Fact> facts{payment("P", 100, 1), dispute("P", "D", DisputeState::kOpen, 2)};
  EXPECT_EQ(fold_all(expects(100), facts).dispute, DisputeState::kOpen);
  EXPECT_EQ(fold_all(expects(100), facts).state, OrderState::kPaid);
  facts.push_back(dispute("P", "D", DisputeState::kLost, 3));
  EXPECT_EQ(fold_all(expects(100), facts).dispute, DisputeState::kLost);
  facts.push_back(dispute("P", "E", DisputeState::kWon, 4));
  EXPECT_EQ(fold_all(expects(100), facts).dispute, DisputeState::kLost);
  facts.push_back(dispute("P", "F", DisputeState::kOpen, 5));
  EXPECT_EQ(fold_all(expects(100), facts).dispute, DisputeState::kOpen);
}

TEST(Fold, Rule7DisputesOfAnotherPaymentDoNotCount) {
  const Order order = fold_all(expects(100), {payment("A", 100, 1), payment("B", 100, 2),
                                              dispute("B", "D", DisputeState::kOpen, 3)});
  EXPECT_EQ(order.dispute, DisputeState::kNone);
}

/// One of each kind, with a late and a second payment.
[[nodiscard]] std::vector<Fact> all_kinds() {
  return {payment("A", 100, 5),
          refund("A", "R1", 20),
          refund("A", "R2", 30),
          refund_total("A", 40),
          Fact::close(attempt(), at(4)),
          payment("L", 100, 9),
          payment("S", 100, 2, attempt("wechat")),
          dispute("A", "D", DisputeState::kOpen, 7)};
}

TEST(Fold, EveryPermutationGivesTheSameOrder) {
  const std::vector<Fact> facts = all_kinds();
  const Registration registration = expects(100, {attempt(), attempt("wechat")});
  const Order expected = fold_all(registration, facts);
  std::vector<std::size_t> order(facts.size());
  std::iota(order.begin(), order.end(), 0U);
  std::vector<const Fact*> pointers(facts.size());
  std::size_t permutations = 0;
  do {
    for (std::size_t i = 0; i < order.size(); ++i) pointers[i] = &facts[order[i]];
    ASSERT_EQ(fold(registration, pointers), expected);
    ++permutations;
  } while (std::ranges::next_permutation(order).found);
  EXPECT_EQ(permutations, 40320U);
}

[[nodiscard]] rc::Gen<Fact> any_fact() {
  return rc::gen::exec([] {
    const AttemptKey key = *rc::gen::element(attempt("alipay"), attempt("wechat"));
    const std::string payment_id = *rc::gen::element<std::string>("A", "B", "C");
    const std::string refund_id = *rc::gen::element<std::string>("R1", "R2", "R3");
    const auto minor = *rc::gen::element<std::int64_t>(0, 1, 30, 50, 100, 101);
    const auto second = *rc::gen::inRange(0, 10);
    switch (*rc::gen::inRange(0, 7)) {
      case 0:
        return payment(payment_id, minor, second, key);
      case 1:
        return refund(payment_id, refund_id, minor, key);
      case 2:
        return refund_total(payment_id, minor, key);
      case 3:
        return Fact::refund_failure(key, payment_id, refund_id, cny(minor), at(second));
      case 4:
        return Fact::close(key, at(second));
      case 5:
        return Fact::failure(key, at(second));
      default:
        return Fact::dispute_change(
            key, payment_id, refund_id,
            *rc::gen::element(DisputeState::kOpen, DisputeState::kWon, DisputeState::kLost),
            at(second));
    }
  });
}

[[nodiscard]] std::vector<Fact> distinct(std::vector<Fact> facts) {
  std::vector<Fact> kept;
  for (Fact& fact : facts) {
    const auto same = [&](const Fact& other) { return fact_key(other) == fact_key(fact); };
    if (std::ranges::none_of(kept, same)) kept.push_back(std::move(fact));
  }
  return kept;
}

TEST(Fold, RandomSetsAreCommutativeAndConserveMoney) {
  const bool ok = rc::check("fold", [] {
    std::vector<Fact> facts = distinct(*rc::gen::container<std::vector<Fact>>(any_fact()));
    const Registration registration = expects(100, {attempt("alipay"), attempt("wechat")});
    const Order order = fold_all(registration, facts);
    std::ranges::reverse(facts);
    RC_ASSERT(fold_all(registration, facts) == order);
    std::ranges::rotate(facts, facts.begin() + static_cast<std::ptrdiff_t>(facts.size() / 2));
    RC_ASSERT(fold_all(registration, facts) == order);
    RC_ASSERT(order.paid.has_value() == order.refunded.has_value());
    if (order.paid) {
      RC_ASSERT(*order.paid == cny(100));
      RC_ASSERT(order.refunded->minor() >= 0);
      RC_ASSERT(order.refunded->minor() <= order.paid->minor());
    }
  });
  EXPECT_TRUE(ok);
}

TEST(FactKey, LeavesOutTimeSourceAndSumOfPayments) {
  Fact a = payment("P", 100, 1);
  Fact b = payment("P", 200, 2);
  b.source = FactSource::kQuery;
  EXPECT_EQ(fact_key(a), fact_key(b));
  EXPECT_TRUE(conflict(a, b));
  b.money = a.money;
  EXPECT_FALSE(conflict(a, b));
  b.attempt = attempt("alipay", "T2");
  EXPECT_TRUE(conflict(a, b));
}

TEST(FactKey, PartsDoNotRunIntoEachOther) {
  EXPECT_NE(fact_key(refund("P1", "2", 1)), fact_key(refund("P", "12", 1)));
  EXPECT_NE(fact_key(refund_total("P", 10)), fact_key(refund_total("P1", 0)));
  EXPECT_NE(fact_key(refund("P", "R", 1)),
            fact_key(Fact::refund_failure(attempt(), "P", "R", std::nullopt, at(1))));
}

TEST(EventsBetween, TellPaidOnceInALife) {
  const Order none = fold_all(expects(100), {});
  const Order paid = fold_all(expects(100), {payment("B", 100, 2)});
  const Order both = fold_all(expects(100), {payment("B", 100, 2), payment("A", 100, 1)});
  EXPECT_EQ(events_between(none, paid), std::vector{EventType::kPaid});
  EXPECT_EQ(events_between(paid, both), std::vector{EventType::kDuplicatePayment});
  EXPECT_TRUE(events_between(both, both).empty());
}

TEST(EventsBetween, DoNotFulfilAgainWhenAnEarlierPaymentTakesOver) {
  const std::vector<Fact> refunded{payment("B", 100, 2), refund("B", "R", 100)};
  std::vector<Fact> later = refunded;
  later.push_back(payment("A", 100, 1));
  const auto events =
      events_between(fold_all(expects(100), refunded), fold_all(expects(100), later));
  EXPECT_EQ(events, std::vector{EventType::kDuplicatePayment});
}

TEST(EventsBetween, TellRefundsClosesAndDisputes) {
  const Order none = fold_all(expects(100), {});
  const Order closed = fold_all(expects(100), {Fact::close(attempt(), at(1))});
  const Order failed = fold_all(expects(100), {Fact::failure(attempt(), at(1))});
  EXPECT_EQ(events_between(none, closed), std::vector{EventType::kClosed});
  EXPECT_EQ(events_between(none, failed), std::vector{EventType::kFailed});

  const Fact paid = payment("P", 100, 1);
  const Order before = fold_all(expects(100), {paid});
  EXPECT_EQ(events_between(before, fold_all(expects(100), {paid, refund("P", "R", 1)})),
            std::vector{EventType::kPartiallyRefunded});
  EXPECT_EQ(events_between(before, fold_all(expects(100), {paid, refund("P", "R", 100)})),
            std::vector{EventType::kRefunded});
  const Fact failure = Fact::refund_failure(attempt(), "P", "R", cny(1), at(3));
  EXPECT_EQ(events_between(before, fold_all(expects(100), {paid, failure})),
            std::vector{EventType::kRefundFailed});
  EXPECT_EQ(events_between(
                before, fold_all(expects(100), {paid, dispute("P", "D", DisputeState::kOpen, 2)})),
            std::vector{EventType::kDisputeOpened});
  EXPECT_EQ(events_between(none, before), std::vector{EventType::kPaid});
}

}  // namespace
}  // namespace postern::core
