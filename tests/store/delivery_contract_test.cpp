// Goal: what the dispatcher may rely on (claims, leases, chains, promotion, tries) holds on every
// engine. Method: as contract_test.cpp.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/store/store_under_test.h"
#include "tests/store/test_rows.h"

namespace postern::store {
namespace {

const EndpointName kShop = EndpointName::trusted("shop");
const EndpointName kErp = EndpointName::trusted("erp");

template <class Engine>
class DeliveryContract : public testing::Test {
 protected:
  /// An order with `events` events, each owed to `endpoint` and due at its sequence.
  RowId order_with_events(const std::string& number, std::int64_t events,
                          const EndpointName& endpoint = kShop) {
    RowId order = 0;
    store.must({.plan = [&](WorkingSet& working) {
      order = working.add_order(order_row(number));
      for (std::int64_t sequence = 1; sequence <= events; ++sequence) {
        const RowId event = working.add_event(event_row(order, sequence));
        working.add_delivery(event, order, sequence, endpoint, at(sequence));
      }
    }});
    return order;
  }

  [[nodiscard]] Script end(RowId delivery, DeliveryState state) {
    return {.keys = {.deliveries = {delivery}}, .plan = [=](WorkingSet& working) {
              DeliveryRow row = working.deliveries().find(delivery)->row;
              row.state = state;
              working.update_delivery(row, at(100));
            }};
  }

  [[nodiscard]] std::string states(RowId order) {
    std::string text;
    const auto reader = store.reader();
    for (const DeliveryRow& row : reader->deliveries(order).value()) {
      text += fmt::format("{}{} ", row.sequence, name(row.state));
    }
    return text;
  }

  [[nodiscard]] std::vector<RowId> ids(RowId order) {
    std::vector<RowId> all;
    const auto reader = store.reader();
    for (const DeliveryRow& row : reader->deliveries(order).value()) all.push_back(row.id);
    return all;
  }

  /// The numbers of the orders whose deliveries a claim would get, and when to come back.
  [[nodiscard]] std::string claimable(const EndpointName& endpoint, TimePoint due_by,
                                      std::size_t limit) {
    std::string text;
    store.must({.keys = {.claims = {{endpoint, due_by, limit}}}, .plan = [&](WorkingSet& working) {
                  text.clear();
                  for (const RowId id : working.deliveries().claimable(endpoint)) {
                    const LoadedDelivery* delivery = working.deliveries().find(id);
                    text +=
                        fmt::format("{}/{} ", delivery->order.id.text(), delivery->event.sequence);
                  }
                  if (const auto next = working.deliveries().next_due(endpoint)) {
                    text += fmt::format("then {}", next->time_since_epoch().count() / 1000);
                  }
                }});
    return text;
  }

  Engine store;
};

TYPED_TEST_SUITE(DeliveryContract, Engines, EngineNames);

TYPED_TEST(DeliveryContract, LoadsHeadsThatAreDueTheLongestDueFirst) {
  (void)this->order_with_events("A", 2);
  (void)this->order_with_events("B", 1);
  (void)this->order_with_events("C", 1, kErp);
  const auto zero = at(1).time_since_epoch().count() / 1000;
  EXPECT_EQ(this->claimable(kShop, at(5), 10), "A/1 B/1 ");
  EXPECT_EQ(this->claimable(kShop, at(5), 1), fmt::format("A/1 then {}", zero));
  EXPECT_EQ(this->claimable(kShop, at(0), 10), fmt::format("then {}", zero));
  EXPECT_EQ(this->claimable(kErp, at(5), 10), "C/1 ");
  EXPECT_EQ(this->claimable(EndpointName::trusted("none"), at(5), 10), "");
}

// P7: the next one of the order becomes ready in the commit that ends the head, whatever the end.
TYPED_TEST(DeliveryContract, PromotesTheNextWhenAHeadEnds) {
  const RowId order = this->order_with_events("A", 4);
  EXPECT_EQ(this->states(order), "1ready 2waiting 3waiting 4waiting ");
  this->store.must(this->end(this->ids(order)[0], DeliveryState::kDelivered));
  EXPECT_EQ(this->states(order), "1delivered 2ready 3waiting 4waiting ");
  this->store.must(this->end(this->ids(order)[1], DeliveryState::kDead));
  EXPECT_EQ(this->states(order), "1delivered 2dead 3ready 4waiting ");
  this->store.reopen();
  this->store.must(this->end(this->ids(order)[2], DeliveryState::kCancelled));
  EXPECT_EQ(this->states(order), "1delivered 2dead 3cancelled 4ready ");
  EXPECT_EQ(this->store.reader()->delivery(this->ids(order)[3]).value()->due_at, at(100));
}

// P7: one that waits may end too, without disturbing the head; and several ends share a batch.
TYPED_TEST(DeliveryContract, PromotesOnceWhenSeveralEndInOneBatch) {
  const RowId order = this->order_with_events("A", 4);
  const auto ids = this->ids(order);
  (void)this->store.run(
      {this->end(ids[1], DeliveryState::kCancelled), this->end(ids[0], DeliveryState::kDelivered)});
  EXPECT_EQ(this->states(order), "1delivered 2cancelled 3ready 4waiting ");
  (void)this->store.run(
      {this->end(ids[2], DeliveryState::kDelivered), this->end(ids[3], DeliveryState::kDelivered)});
  EXPECT_EQ(this->states(order), "1delivered 2cancelled 3delivered 4delivered ");
}

// P7: an event written in the batch that ends the head is neither lost nor sent out of turn.
TYPED_TEST(DeliveryContract, SeesEventsOfTheSameBatch) {
  for (const bool end_first : {true, false}) {
    const RowId order = this->order_with_events(end_first ? "A" : "B", 1);
    const Script event{.keys = {.orders = {order_key(end_first ? "A" : "B")}},
                       .plan = [=](WorkingSet& working) {
                         const RowId id = working.add_event(event_row(order, 2));
                         working.add_delivery(id, order, 2, kShop, at(2));
                       }};
    const Script ended = this->end(this->ids(order)[0], DeliveryState::kDelivered);
    if (end_first) {
      (void)this->store.run({ended, event});
    } else {
      (void)this->store.run({event, ended});
    }
    EXPECT_EQ(this->states(order), "1delivered 2ready ") << end_first;
  }
}

TYPED_TEST(DeliveryContract, KeepsLeaseTriesAndReason) {
  const RowId order = this->order_with_events("A", 1);
  const RowId id = this->ids(order).at(0);
  this->store.must({.keys = {.deliveries = {id}}, .plan = [=](WorkingSet& working) {
                      DeliveryRow row = working.deliveries().find(id)->row;
                      row.due_at = at(50);
                      row.tries = 3;
                      row.lease = 7;
                      row.reason = "503";
                      working.update_delivery(row, at(40));
                      (void)working.add_try({.delivery = id,
                                             .began_at = at(39),
                                             .took = std::chrono::milliseconds(1500),
                                             .outcome = TryOutcome::kNotDelivered,
                                             .code = "503",
                                             .excerpt = "busy"});
                    }});
  this->store.reopen();
  const auto reader = this->store.reader();
  const DeliveryRow row = reader->delivery(id).value().value();
  EXPECT_EQ(row.state, DeliveryState::kReady);
  EXPECT_EQ(row.due_at, at(50));
  EXPECT_EQ(row.tries, 3);
  EXPECT_EQ(row.lease, 7);
  EXPECT_EQ(row.reason, "503");
  const std::vector<TryRow> tries = reader->tries(id).value();
  ASSERT_EQ(tries.size(), 1U);
  EXPECT_EQ(tries[0].began_at, at(39));
  EXPECT_EQ(tries[0].took, std::chrono::milliseconds(1500));
  EXPECT_EQ(tries[0].outcome, TryOutcome::kNotDelivered);
  EXPECT_EQ(tries[0].code + tries[0].excerpt, "503busy");
  EXPECT_EQ(reader->totals()->tries, 1);
}

TYPED_TEST(DeliveryContract, ListsDeliveriesAndEvents) {
  const RowId order = this->order_with_events("A", 3);
  (void)this->order_with_events("B", 1, kErp);
  const auto reader = this->store.reader();
  EXPECT_EQ(reader->deliveries(DeliveryFilter{.endpoint = kErp}).value().size(), 1U);
  EXPECT_EQ(reader->deliveries(DeliveryFilter{.state = DeliveryState::kWaiting}).value().size(),
            2U);
  const auto newest = reader->deliveries(DeliveryFilter{.limit = 2}).value();
  ASSERT_EQ(newest.size(), 2U);
  EXPECT_EQ(newest[0].endpoint, kErp);
  const auto rest = reader->deliveries(DeliveryFilter{.before = newest[1].id}).value();
  EXPECT_EQ(rest.size(), 2U);
  const auto events = reader->events_after(0, 2).value();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(reader->events_after(events[1].id, 10).value().size(), 2U);
  EXPECT_EQ(reader->event(events[0].id).value()->order, order);
}

TYPED_TEST(DeliveryContract, CountsAndListsByWhatTheEventSays) {
  const RowId order = this->order_with_events("A", 3);
  (void)this->order_with_events("B", 1, kErp);
  this->store.must({.plan = [&](WorkingSet& working) {
    const RowId c = working.add_order(order_row("C"));
    EventRow event = event_row(c, 1);
    event.type = core::EventType::kRefunded;
    event.created_at = at(9);
    event.body = R"({"data":{"account":"wechat","note":"\"account\":\"alipay\""}})";
    working.add_delivery(working.add_event(event), c, 1, kShop, at(1));
  }});
  this->store.must(this->end(this->ids(order)[0], DeliveryState::kDead));
  const auto reader = this->store.reader();
  Made made;
  const auto all = reader->deliveries_after({}).value();
  for (const DeliveryRow& row : all) made.add(row.id);
  const auto found = [&](const DeliveryFilter& filter) {
    std::string text;
    const auto rows = reader->deliveries_after(filter).value();
    for (const DeliveryRow& row : rows) text += fmt::format("{} ", made.number(row.id));
    const DeliveryCount count = reader->count(filter).value();
    return fmt::format("{}of {} in {} up to {}", text, count.deliveries, count.orders,
                       made.number(count.last));
  };
  EXPECT_EQ(found({}), "1 2 3 4 5 of 5 in 3 up to 5");
  EXPECT_EQ(found({.limit = 2}), "1 2 of 5 in 3 up to 5");
  EXPECT_EQ(found({.after = made.id(1), .until = made.id(4)}), "2 3 4 of 3 in 2 up to 4");
  EXPECT_EQ(found({.state = DeliveryState::kDead}), "1 of 1 in 1 up to 1");
  EXPECT_EQ(found({.state = DeliveryState::kDead, .endpoint = kShop}), "1 of 1 in 1 up to 1");
  EXPECT_EQ(found({.state = DeliveryState::kReady, .endpoint = kShop}), "2 5 of 2 in 2 up to 5");
  const DeliveryFilter range{
      .state = DeliveryState::kReady, .endpoint = kShop, .after = made.id(2), .until = made.id(5)};
  EXPECT_EQ(found(range), "5 of 1 in 1 up to 5");
  EXPECT_EQ(found({.state = DeliveryState::kCancelled}), "of 0 in 0 up to 0");
  EXPECT_EQ(found({.event = core::EventType::kRefunded}), "5 of 1 in 1 up to 5");
  EXPECT_EQ(found({.account = AccountName::trusted("wechat")}), "5 of 1 in 1 up to 5");
  EXPECT_EQ(found({.account = AccountName::trusted("alipay")}), "of 0 in 0 up to 0");
  EXPECT_EQ(found({.order = order}), "1 2 3 of 3 in 1 up to 3");
  EXPECT_EQ(found({.from = at(9)}), "5 of 1 in 1 up to 5");
  EXPECT_EQ(found({.to = at(9)}), "1 2 3 4 of 4 in 2 up to 4");
  EXPECT_EQ(reader->count({.from = at(9)})->oldest, at(9));
  EXPECT_EQ(reader->count({})->oldest, at(4));
  EXPECT_EQ(reader->count({})->newest, at(9));
  EXPECT_FALSE(reader->count({.to = at(1)})->newest);
}

TYPED_TEST(DeliveryContract, SaysWhatAnEndpointIsOwed) {
  const RowId a = this->order_with_events("A", 3);
  const RowId b = this->order_with_events("B", 2);
  (void)this->order_with_events("C", 1, kErp);
  const auto load = [&] {
    const EndpointLoad owed = this->store.reader()->load_of(kShop).value();
    return fmt::format("{} {} {} {} {}", owed.ready, owed.waiting, owed.dead, owed.cancelled,
                       owed.oldest == at(4));
  };
  EXPECT_EQ(load(), "2 3 0 0 true");
  this->store.must(this->end(this->ids(a)[0], DeliveryState::kDead));
  this->store.must(this->end(this->ids(a)[1], DeliveryState::kCancelled));
  this->store.must(this->end(this->ids(b)[0], DeliveryState::kDelivered));
  EXPECT_EQ(load(), "2 0 1 1 true");
  this->store.must(this->end(this->ids(a)[2], DeliveryState::kDelivered));
  this->store.must(this->end(this->ids(b)[1], DeliveryState::kCancelled));
  EXPECT_EQ(load(), "0 0 1 2 false");
}

}  // namespace
}  // namespace postern::store
