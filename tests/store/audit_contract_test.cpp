// Goal: what people did and what consumers said is kept on every engine, in the commit it belongs
// to or not at all. Method: as contract_test.cpp.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "tests/store/store_under_test.h"
#include "tests/store/test_rows.h"

namespace postern::store {
namespace {

template <class Engine>
class AuditContract : public testing::Test {
 protected:
  [[nodiscard]] static AuditRow act(AuditAct what, std::vector<RowId> deliveries) {
    return {.at = at(7),
            .actor = {.name = "owner", .peer = "192.0.2.9"},
            .act = what,
            .outcome = AuditOutcome::kRefused,
            .deliveries = std::move(deliveries),
            .detail = "delivery_ended"};
  }
  /// Each by its place in `made`.
  [[nodiscard]] std::string listed(const Made& made, RowId after = 0, std::size_t limit = 10) {
    std::string text;
    const auto rows = store.reader()->audit_after(after, limit);
    for (const AuditRow& row : rows.value()) {
      text += fmt::format("{} {} {}@{} {} {} [{}] {}; ", made.number(row.id), row.at == at(7),
                          row.actor.name, row.actor.peer, name(row.act), name(row.outcome),
                          fmt::join(row.deliveries, ","), row.detail);
    }
    return text;
  }
  RowId event(const std::string& number) {
    RowId id = 0;
    store.must({.plan = [&](WorkingSet& working) {
      id = working.add_event(event_row(working.add_order(order_row(number)), 1));
    }});
    return id;
  }

  Engine store;
};

TYPED_TEST_SUITE(AuditContract, Engines, EngineNames);

TYPED_TEST(AuditContract, KeepsActsAcrossARestart) {
  Made made;
  this->store.must({.plan = [&](WorkingSet& working) {
    made.add(working.add_audit(this->act(AuditAct::kDeliveryCancelled, {5})));
    made.add(working.add_audit(this->act(AuditAct::kDeliveriesRetried, {1, 2, 30})));
  }});
  this->store.reopen();
  this->store.must({.plan = [&](WorkingSet& working) {
    made.add(working.add_audit(this->act(AuditAct::kDeliveryRetried, {})));
  }});
  EXPECT_EQ(this->listed(made),
            "1 true owner@192.0.2.9 delivery_cancelled refused [5] delivery_ended; "
            "2 true owner@192.0.2.9 deliveries_retried refused [1,2,30] delivery_ended; "
            "3 true owner@192.0.2.9 delivery_retried refused [] delivery_ended; ");
  EXPECT_EQ(this->listed(made, made.id(1), 1),
            "2 true owner@192.0.2.9 deliveries_retried refused [1,2,30] delivery_ended; ");
  EXPECT_EQ(this->listed(made, made.id(3)), "");
}

// P16: an act that was not written has no row, and no act is written without one.
TYPED_TEST(AuditContract, ARefusedBatchLeavesNoAct) {
  const RowId order = 77;
  const std::vector<Commit> answers = this->store.run({{.plan = [&](WorkingSet& working) {
    (void)working.add_audit(this->act(AuditAct::kDeliveryRetried, {1}));
    (void)working.add_event(event_row(order, 1));
    (void)working.add_event(event_row(order, 1));
  }}});
  EXPECT_EQ(answers, std::vector{Commit::kRefused});
  EXPECT_EQ(this->listed({}), "");
}

TYPED_TEST(AuditContract, KnowsWhoHasAppliedAnEvent) {
  const RowId first = this->event("A");
  const RowId second = this->event("B");
  this->store.must({.keys = {.events = {first, second, 99}}, .plan = [&](WorkingSet& working) {
                      EXPECT_EQ(working.find_event(99), nullptr);
                      ASSERT_NE(working.find_event(first), nullptr);
                      EXPECT_TRUE(working.find_event(first)->applied.empty());
                      working.add_applied({.event = first, .consumer = "shop", .at = at(8)});
                      EXPECT_EQ(working.find_event(first)->applied.size(), 1U);
                      working.add_applied({.event = first, .consumer = "erp", .at = at(9)});
                    }});
  this->store.reopen();
  this->store.must({.keys = {.events = {first, second}}, .plan = [&](WorkingSet& working) {
                      EXPECT_EQ(working.find_event(first)->applied.size(), 2U);
                      EXPECT_TRUE(working.find_event(second)->applied.empty());
                    }});
  const auto reader = this->store.reader();
  const RowId order = reader->event(first).value()->order;
  const std::vector<AppliedRow> rows = reader->applied(order).value();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].consumer, "erp");
  EXPECT_EQ(rows[0].at, at(9));
  EXPECT_EQ(rows[1].event, first);
  EXPECT_TRUE(reader->applied(order + 1).value().empty());
}

}  // namespace
}  // namespace postern::store
