// Goal: several nodes on one database are one store: no effect is made twice, no change of one node
// is overwritten by another, each due delivery is claimed by one, and a cursor of events skips none
// however their commits overlap (P2, P6, P7).
//
// Method: two real stores on one real server, each driven by a thread of its own; where an order of
// steps matters, a lock taken by a third client holds a batch between its rows and its COMMIT.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <set>
#include <thread>

#include "store/postgres/connection.h"
#include "tests/store/store_under_test.h"
#include "tests/store/test_rows.h"

namespace postern::store {
namespace {

const EndpointName kShop = EndpointName::trusted("shop");

class PostgresNodes : public testing::Test {
 protected:
  void SetUp() override {
    if (database_.url().empty()) return;
    for (auto& node : nodes_) ASSERT_NE(node = open_node(database_), nullptr);
  }

  [[nodiscard]] Store& node(std::size_t i) { return *nodes_.at(i); }
  [[nodiscard]] std::unique_ptr<Reader> reader(std::size_t i = 0) {
    Result<std::unique_ptr<Reader>> reader = node(i).reader();
    EXPECT_TRUE(reader);
    return *std::move(reader);
  }

  /// One command on one node, and its answer.
  Commit run(std::size_t i, Script script) {
    Answers answers;
    node(i).submit(answers.command(std::move(script)));
    EXPECT_TRUE(answers.wait());
    return answers.at(0);
  }

  /// What each node does, both at once.
  void both(const std::function<void(std::size_t)>& what) {
    std::thread other([&] { what(1); });
    what(0);
    other.join();
  }

  RowId register_order(const std::string& number) {
    RowId order = 0;
    EXPECT_EQ(run(0, {.plan =
                          [&](WorkingSet& working) {
                            order = working.add_order(order_row(number));
                            (void)working.add_attempt(attempt_key(number), order);
                          }}),
              Commit::kDone);
    return order;
  }

  PostgresDatabase database_;
  std::array<std::unique_ptr<Store>, 2> nodes_;
};

/// The order's next event, owed to the shop; the order is found by its own key or by its attempt's.
enum class By : unsigned char { kOrder, kAttempt };
[[nodiscard]] Script next_event(const std::string& number, By by = By::kOrder) {
  KeySet keys;
  if (by == By::kOrder) keys.orders.push_back(order_key(number));
  if (by == By::kAttempt) keys.attempts.push_back(attempt_key(number));
  return {.keys = std::move(keys), .plan = [=](WorkingSet& working) {
            const RowId order = by == By::kOrder ? working.find_order(order_key(number))->row.id
                                                 : working.find_attempt(attempt_key(number))->order;
            OrderRow row = working.order(order).row;
            ++row.sequence;
            working.update_order(row);
            const RowId event = working.add_event(event_row(row.id, row.sequence));
            working.add_delivery(event, row.id, row.sequence, kShop, at(row.sequence));
          }};
}

// P2: both nodes are sent the same payments; each makes the effect only where the other has not.
TEST_F(PostgresNodes, MakeOneEffectOfWhatBothAreTold) {
  constexpr int kOrders = 40;
  for (int i = 0; i < kOrders; ++i) (void)register_order(fmt::format("N{}", i));
  std::atomic<int> effects = 0;
  both([&](std::size_t side) {
    Answers answers;
    std::vector<int> made(kOrders);  // by the last planning of each, which is the one written
    for (int k = 0; k < kOrders; ++k) {
      const int i = side == 0 ? k : kOrders - 1 - k;  // Two orders of locking invite a deadlock.
      const core::Fact fact = payment(fmt::format("N{}", i), fmt::format("P{}", i));
      node(side).submit(answers.command(
          {.keys = {.attempts = {fact.attempt}, .fact_keys = {core::fact_key(fact)}},
           .plan = [&made, fact, i](WorkingSet& working) {
             made[static_cast<std::size_t>(i)] = 0;
             if (working.find_fact(core::fact_key(fact)) != nullptr) return;
             made[static_cast<std::size_t>(i)] = 1;
             const AttemptRow* attempt = working.find_attempt(fact.attempt);
             const RowId order = attempt->order;
             (void)working.add_fact({.attempt = attempt->id, .fact = fact});
             (void)working.add_event(event_row(order, 1));
           }}));
    }
    EXPECT_TRUE(answers.wait());
    EXPECT_EQ(answers.all(), std::vector(kOrders, Commit::kDone));
    for (const int effect : made) effects += effect;
  });
  EXPECT_EQ(effects, kOrders);
  const Totals totals = reader()->totals().value();
  EXPECT_EQ(totals.facts, kOrders);
  EXPECT_EQ(totals.events, kOrders);
}

// P2: what neither has seen before, such as an unknown number, is made once, whoever comes first.
TEST_F(PostgresNodes, MakeOneRowOfAKeyThatBothAdd) {
  constexpr int kNumbers = 60;
  both([&](std::size_t side) {
    for (int i = 0; i < kNumbers; ++i) {
      const core::Fact fact = payment(fmt::format("N{}", i), fmt::format("P{}", i));
      EXPECT_EQ(
          run(side, {.keys = {.attempts = {fact.attempt}, .fact_keys = {core::fact_key(fact)}},
                     .plan =
                         [&](WorkingSet& working) {
                           if (working.find_fact(core::fact_key(fact)) != nullptr) return;
                           const AttemptRow* known = working.find_attempt(fact.attempt);
                           const RowId attempt =
                               known != nullptr ? known->id : working.add_attempt(fact.attempt, 0);
                           (void)working.add_fact({.attempt = attempt, .fact = fact});
                         }}),
          Commit::kDone);
    }
  });
  const Totals totals = reader()->totals().value();
  EXPECT_EQ(totals.facts, kNumbers);
  EXPECT_EQ(totals.attempts, kNumbers);
}

// P7: of one order the events of both nodes are numbered without a gap and without a double,
// however each came to the order, and only its oldest unfinished delivery is ready.
TEST_F(PostgresNodes, NumberAnOrdersEventsTogether) {
  constexpr std::int64_t kEach = 60;
  const RowId order = register_order("N1");
  both([&](std::size_t side) {
    Answers answers;
    for (std::int64_t i = 0; i < kEach; ++i) {
      node(side).submit(answers.command(next_event("N1", side == 0 ? By::kOrder : By::kAttempt)));
      if (i % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(answers.wait());
    EXPECT_EQ(answers.all(), std::vector(kEach, Commit::kDone));
  });
  const auto events = reader()->events(order).value();
  ASSERT_EQ(std::ssize(events), 2 * kEach);
  for (std::int64_t i = 0; i < 2 * kEach; ++i) {
    EXPECT_EQ(events[static_cast<std::size_t>(i)].sequence, i + 1);
  }
  EXPECT_EQ(reader()->order(order).value()->sequence, 2 * kEach);
  EXPECT_EQ(reader()->load_of(kShop)->ready, 1);
  EXPECT_EQ(reader()->load_of(kShop)->waiting, 2 * kEach - 1);
}

// P7: a delivery is claimed by one node, and nobody waits for the other's claim.
TEST_F(PostgresNodes, ClaimEachDeliveryOnce) {
  constexpr int kOrders = 120;
  for (int i = 0; i < kOrders; ++i) (void)register_order(fmt::format("N{}", i));
  for (int i = 0; i < kOrders; ++i) {
    ASSERT_EQ(run(0, next_event(fmt::format("N{}", i))), Commit::kDone);
  }
  std::array<std::vector<RowId>, 2> claimed;
  both([&](std::size_t side) {
    for (int round = 0; round < 40; ++round) {
      std::vector<RowId> now;
      const Commit outcome =
          run(side, {.keys = {.claims = {{kShop, at(5), 7}}}, .plan = [&](WorkingSet& working) {
                       now.clear();
                       const std::vector<RowId> due = working.deliveries().claimable(kShop);
                       for (const RowId id : due) {
                         DeliveryRow row = working.deliveries().find(id)->row;
                         if (row.state != DeliveryState::kReady || row.due_at > at(5)) continue;
                         ++row.lease;
                         row.due_at = at(35);
                         working.update_delivery(row, at(5));
                         now.push_back(id);
                       }
                     }});
      if (outcome == Commit::kDone)
        claimed[side].insert(claimed[side].end(), now.begin(), now.end());
    }
  });
  std::set<RowId> distinct(claimed[0].begin(), claimed[0].end());
  distinct.insert(claimed[1].begin(), claimed[1].end());
  EXPECT_EQ(claimed[0].size() + claimed[1].size(), static_cast<std::size_t>(kOrders));
  EXPECT_EQ(distinct.size(), static_cast<std::size_t>(kOrders));
  for (const DeliveryRow& row : reader()->deliveries_after({.limit = kRowsMax}).value()) {
    EXPECT_EQ(row.lease, 1);
  }
}

/// Follows the pull feed as a consumer does.
class Follower {
 public:
  explicit Follower(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {}
  void follow() {
    while (true) {
      const Result<std::vector<EventRow>> page = reader_->events_after(cursor_, 3);
      ASSERT_TRUE(page) << page.error().detail;
      if (page->empty()) return;
      for (const EventRow& event : *page) {
        ASSERT_GT(event.id, cursor_);
        cursor_ = event.id;
        seen_.push_back(event.id);
      }
    }
  }
  [[nodiscard]] std::size_t seen() const { return seen_.size(); }

 private:
  std::unique_ptr<Reader> reader_;
  RowId cursor_ = 0;
  std::vector<RowId> seen_;
};

/// A new order with an event; the owed one is written to the deliveries, too.
enum class Owed : unsigned char { kYes, kNo };
[[nodiscard]] Script lone_event(const std::string& number, Owed owed) {
  return {.keys = {.orders = {order_key(number)}}, .plan = [=](WorkingSet& working) {
            const RowId order = working.add_order(order_row(number));
            const RowId event = working.add_event(event_row(order, 1));
            if (owed == Owed::kYes) working.add_delivery(event, order, 1, kShop, at(1));
          }};
}

// The pull feed: one node has its event written and not committed while the other's, which comes
// later, is done. Whoever follows meanwhile gets both.
TEST_F(PostgresNodes, ACursorSkipsNoEventThatIsCommittedLate) {
  Follower follower(reader(1));
  auto blocker =
      postgres::Connection::open({.url = database_.url(), .password = {}, .name = "lock"});
  ASSERT_TRUE(blocker);
  Answers answers;
  for (std::size_t round = 0; round < 5; ++round) {
    ASSERT_TRUE(blocker->run("BEGIN; LOCK TABLE deliveries IN SHARE MODE"));
    node(0).submit(answers.command(lone_event(fmt::format("A{}", round), Owed::kYes)));
    for (int look = 0; look < 500; ++look) {
      if (database_.text("SELECT (count(*) > 0)::text FROM pg_locks WHERE NOT granted AND "
                         "relation = 'deliveries'::regclass") == "true") {
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    const std::size_t others = answers.count();
    node(1).submit(answers.command(lone_event(fmt::format("B{}", round), Owed::kNo)));
    for (int look = 0; look < 100 && answers.count() == others; ++look) {
      follower.follow();
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
    follower.follow();
    ASSERT_TRUE(blocker->run("COMMIT"));
    ASSERT_TRUE(answers.wait());
    follower.follow();
    EXPECT_EQ(follower.seen(), 2 * round + 2);
  }
  EXPECT_EQ(answers.all(), std::vector(10, Commit::kDone));
}

TEST_F(PostgresNodes, ACursorSkipsNoEventWhileBothWrite) {
  constexpr std::size_t kEach = 150;
  std::atomic<bool> over = false;
  Follower follower(reader(1));
  std::thread following([&] {
    while (!over) follower.follow();
  });
  both([&](std::size_t side) {
    Answers answers;
    for (std::size_t i = 0; i < kEach; ++i) {
      node(side).submit(answers.command(
          lone_event(fmt::format("{}-{}", side, i), i % 3 == 0 ? Owed::kYes : Owed::kNo)));
      if (i % 5 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(answers.wait());
    EXPECT_EQ(answers.all(), std::vector(kEach, Commit::kDone));
  });
  over = true;
  following.join();
  follower.follow();
  EXPECT_EQ(follower.seen(), 2 * kEach);
}

// P16: nobody changes the audit, not even with the database's own language.
TEST_F(PostgresNodes, TheAuditStays) {
  ASSERT_EQ(run(0, {.plan =
                        [](WorkingSet& working) {
                          (void)working.add_audit({.at = at(1),
                                                   .actor = {.name = "owner", .peer = "192.0.2.9"},
                                                   .act = AuditAct::kDeliveryCancelled,
                                                   .outcome = AuditOutcome::kDone});
                        }}),
            Commit::kDone);
  auto other =
      postgres::Connection::open({.url = database_.url(), .password = {}, .name = "other"});
  ASSERT_TRUE(other);
  for (const char* const act :
       {"DELETE FROM audit", "UPDATE audit SET actor = 'x'", "TRUNCATE audit"}) {
    EXPECT_FALSE(other->run(act)) << act;
  }
  EXPECT_EQ(reader()->audit_after(0, 10)->size(), 1U);
}

// While versions are replaced one node after the other, an older one meets rows of the later: what
// needs such a row is refused, and the node goes on.
TEST_F(PostgresNodes, AnOlderOneRefusesWhatALaterVersionWroteAndGoesOn) {
  (void)register_order("LATER");
  (void)register_order("OURS");
  auto other =
      postgres::Connection::open({.url = database_.url(), .password = {}, .name = "other"});
  ASSERT_TRUE(other);
  ASSERT_TRUE(other->run("UPDATE orders SET state = 99 WHERE merchant_order_id = '" +
                         order_key("LATER").id.text() + "'"));
  // The first batch holds its thread back, so that the next holds both.
  Answers answers;
  node(0).submit(answers.command(next_event("OURS")));
  node(0).submit(answers.command(next_event("LATER")));
  node(0).submit(answers.command(next_event("OURS")));
  ASSERT_TRUE(answers.wait());
  EXPECT_EQ(answers.at(0), Commit::kDone);
  EXPECT_EQ(answers.at(1), Commit::kRefused);
  EXPECT_EQ(answers.at(2), Commit::kDone);
  EXPECT_TRUE(node(0).healthy());
}

// Both nodes are the same installation: public ids of one are read by the other.
TEST_F(PostgresNodes, ShareTheTag) {
  EXPECT_EQ(node(0).tag(), node(1).tag());
}

}  // namespace
}  // namespace postern::store
