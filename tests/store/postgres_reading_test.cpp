// Goal: a reader on PostgreSQL answers through what happens to a server and its rows: a connection
// that is cut, evidence that retention has dropped, texts that the server cannot hold, and events
// that become visible in another order than their ids; and it reads few rows for few.
// Method: the real reader on a real server; a second client does to both what is to happen.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "store/postgres/postgres_reader.h"
#include "tests/store/store_under_test.h"
#include "tests/store/test_rows.h"

namespace postern::store::postgres {
namespace {

class PostgresReading : public testing::Test {
 protected:
  void SetUp() override {
    if (database_.url().empty()) return;
    ASSERT_NE(node_ = open_node(database_), nullptr);
    auto reader = open_reader({.url = database_.url(), .password = {}, .name = "read"},
                              [this](const Error& error) { doubts_.push_back(error.code); });
    ASSERT_TRUE(reader) << reader.error().detail;
    reader_ = *std::move(reader);
  }

  void write(std::function<void(WorkingSet&)> plan) {
    Answers answers;
    node_->submit(answers.command({.plan = std::move(plan)}));
    ASSERT_TRUE(answers.wait());
    ASSERT_EQ(answers.at(0), Commit::kDone);
  }
  /// As a server that goes away does, or a network.
  void cut() {
    const std::string count = database_.text(
        "SELECT count(pg_terminate_backend(pid, 5000))::text FROM pg_stat_activity "
        "WHERE application_name = 'read'");
    ASSERT_EQ(count, "1");
  }
  [[nodiscard]] Connection client() {
    return Connection::open({.url = database_.url(), .password = {}, .name = "other"}).value();
  }
  void run(const std::string& script) {
    const Result<void> done = client().run(script);
    ASSERT_TRUE(done) << done.error().detail;
  }
  [[nodiscard]] std::vector<RowId> feed() {
    std::vector<RowId> ids;
    for (const EventRow& event : reader_->events_after(0, 100).value()) ids.push_back(event.id);
    return ids;
  }

  /// Rows and entries of indexes that were read since this was asked last. A connection says so
  /// when it ends.
  [[nodiscard]] std::int64_t rows_read() {
    cut();
    const std::int64_t all =
        std::stoll(database_.text("SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables "
                                  "WHERE schemaname = current_schema()) + "
                                  "(SELECT sum(idx_tup_read) FROM pg_stat_user_indexes "
                                  "WHERE schemaname = current_schema()) || ''"));
    EXPECT_TRUE(reader_->event(0));
    return all - std::exchange(rows_read_, all);
  }

  PostgresDatabase database_;
  std::unique_ptr<Store> node_;
  std::unique_ptr<Reader> reader_;
  std::vector<std::string_view> doubts_;
  std::int64_t rows_read_ = 0;
};

using Ids = std::vector<RowId>;

/// Takes what a writer takes; gives the first of its ids.
[[nodiscard]] RowId begin_as_writer(Connection& writer) {
  EXPECT_TRUE(writer.run("BEGIN"));
  EXPECT_TRUE(writer.run(
      "SELECT pg_advisory_xact_lock_shared(4611686018427387904 + last_value) FROM row_ids"));
  return std::stoll(writer.text("SELECT (nextval('row_ids') - 63)::text").value());
}

void write_event(Connection& writer, RowId id) {
  const std::string row =
      "INSERT INTO events (id, order_id, sequence, type, created_at_ms, body) "
      "VALUES ({0}, {0}, 1, 0, 0, '{{}}')";
  EXPECT_TRUE(writer.run(fmt::format(fmt::runtime(row), id)));
}

TEST_F(PostgresReading, AsksAgainWhereTheConnectionWasCut) {
  RowId order = 0;
  write([&](WorkingSet& working) {
    order = working.add_order(order_row("N1"));
    (void)working.add_event(event_row(order, 1));
  });
  EXPECT_TRUE(reader_->order(order).value());
  ASSERT_NO_FATAL_FAILURE(cut());
  EXPECT_TRUE(reader_->order(order).value());
  ASSERT_NO_FATAL_FAILURE(cut());
  EXPECT_EQ(feed().size(), 1U);
  EXPECT_TRUE(doubts_.empty());
}

TEST_F(PostgresReading, SaysThatItCannotReadUntilTheServerIsBack) {
  const std::string role = fmt::format("reader_{}", ::getpid());
  const std::string schema = database_.text("SELECT current_schema()");
  run(
      fmt::format("CREATE ROLE {0} LOGIN; GRANT USAGE ON SCHEMA {1} TO {0}; "
                  "GRANT SELECT ON ALL TABLES IN SCHEMA {1} TO {0}; "
                  "GRANT SELECT ON ALL SEQUENCES IN SCHEMA {1} TO {0}",
                  role, schema));
  std::string url = database_.url();
  url.replace(url.find("postgres@"), std::string("postgres").size(), role);
  auto opened = open_reader({.url = url, .password = {}, .name = "other reader"},
                            [this](const Error& error) { doubts_.push_back(error.code); });
  ASSERT_TRUE(opened) << opened.error().detail;
  Reader& reader = **opened;
  ASSERT_TRUE(reader.totals());
  ASSERT_TRUE(reader.events_after(0, 10));
  run(fmt::format("ALTER ROLE {} NOLOGIN", role));
  run("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
      "WHERE application_name = 'other reader'");
  for (int i = 0; i < 2; ++i) {
    const Result<Totals> totals = reader.totals();
    ASSERT_FALSE(totals);
    EXPECT_EQ(totals.error().error_class, ErrorClass::kRetryable);
    EXPECT_EQ(totals.error().code, "store_unreadable");
    EXPECT_FALSE(reader.events_after(0, 10));
  }
  run(fmt::format("ALTER ROLE {} LOGIN", role));
  EXPECT_TRUE(reader.totals());
  EXPECT_TRUE(doubts_.empty());
  run(fmt::format("DROP OWNED BY {0}; DROP ROLE {0}", role));
}

TEST_F(PostgresReading, ShowsNoEventWhileASmallerOneMayCome) {
  Connection early = client();
  Connection late = client();
  write([](WorkingSet& working) { (void)working.add_event(event_row(1, 1)); });
  const Ids before = feed();
  ASSERT_EQ(before.size(), 1U);
  const RowId first = begin_as_writer(early);
  const RowId second = begin_as_writer(late);
  ASSERT_LT(first, second);
  write_event(early, first);
  write_event(late, second);
  ASSERT_TRUE(late.run("COMMIT"));
  EXPECT_EQ(feed(), before);
  ASSERT_TRUE(early.run("COMMIT"));
  EXPECT_EQ(feed(), (Ids{before.front(), first, second}));

  const RowId never = begin_as_writer(early);
  const RowId last = begin_as_writer(late);
  write_event(early, never);
  write_event(late, last);
  ASSERT_TRUE(late.run("COMMIT"));
  EXPECT_EQ(feed().size(), 3U);
  ASSERT_TRUE(early.run("ROLLBACK"));
  EXPECT_EQ(feed(), (Ids{before.front(), first, second, last}));
}

// Locks of the keys that batches work on are no writers' marks, and hold nothing back.
TEST_F(PostgresReading, MindsWritersMarksOnly) {
  write([](WorkingSet& working) { (void)working.add_event(event_row(1, 1)); });
  Connection other = client();
  ASSERT_TRUE(
      other.run("BEGIN; SELECT pg_advisory_xact_lock(-5), pg_advisory_xact_lock(7), "
                "pg_advisory_xact_lock(2147483647, 1)"));
  EXPECT_EQ(feed().size(), 1U);
}

TEST_F(PostgresReading, ReadsDroppedEvidenceAsEmpty) {
  RowId callback = 0;
  write([&](WorkingSet& working) { callback = working.add_callback(callback_row("body")); });
  const CallbackRow whole = reader_->callback(callback).value().value();
  EXPECT_EQ(whole.body, "body");
  EXPECT_FALSE(whole.target.empty());
  run("DELETE FROM evidence");
  const CallbackRow row = reader_->callback(callback).value().value();
  EXPECT_EQ(row.digest, whole.digest);
  EXPECT_EQ(row.target + row.headers + row.body, "");
  EXPECT_EQ(reader_->callbacks({}).value().size(), 1U);
}

TEST_F(PostgresReading, FindsNothingByATextThatNoRowCanHold) {
  write([](WorkingSet& working) { (void)working.add_order(order_row("N1")); });
  EXPECT_EQ(reader_->orders({.search = "N1"}).value().size(), 1U);
  for (const std::string& text : {std::string("N1\0", 3), std::string("\xc4\xe3")}) {
    EXPECT_TRUE(reader_->orders({.search = text}).value().empty());
    EXPECT_FALSE(reader_->order(order_key(text)).value());
    EXPECT_EQ(reader_->count({.account = AccountName::trusted(text)}).value().deliveries, 0);
    EXPECT_EQ(reader_->load_of(EndpointName::trusted(text)).value().ready, 0);
  }
  EXPECT_TRUE(doubts_.empty());
}

constexpr RowId kRows = 20000;

// As SqliteReading: what is not delivered is found among all that is, and what is ready is gone
// through once by the steps of a bulk retry.
TEST_F(PostgresReading, ReadsFewRowsWhereFewAreAskedFor) {
  constexpr std::int64_t kFew = 100;
  run(fmt::format("INSERT INTO events SELECT i, i, 1, 0, i, '{{}}' FROM generate_series(1, {}) i",
                  kRows));
  run("INSERT INTO deliveries (id, event_id, order_id, sequence, endpoint, state, due_at_ms) "
      "SELECT id, id, id, 1, CASE WHEN id % 5000 < 5 THEN 'shop' ELSE 'erp' END, "
      "CASE WHEN id % 5000 < 5 THEN id % 5000 ELSE 2 END, 30000 - id FROM events");
  run("VACUUM ANALYZE");
  const std::optional<EndpointName> endpoints[] = {std::nullopt, EndpointName::trusted("shop")};
  (void)rows_read();
  for (const DeliveryState state : {DeliveryState::kReady, DeliveryState::kWaiting,
                                    DeliveryState::kDead, DeliveryState::kCancelled}) {
    for (const auto& endpoint : endpoints) {
      SCOPED_TRACE(fmt::format("{} of {}", name(state), endpoint ? "one" : "all"));
      DeliveryFilter filter{.state = state, .endpoint = endpoint};
      EXPECT_EQ(reader_->deliveries(filter).value().size(), 4U);
      EXPECT_EQ(reader_->count(filter).value().deliveries, 4);
      filter.until = kRows;
      filter.from = TimePoint(std::chrono::milliseconds(1));
      EXPECT_EQ(reader_->deliveries_after(filter).value().size(), 4U);
      if (state != DeliveryState::kReady) {
        filter.after = 1;
        EXPECT_GE(reader_->deliveries_after(filter).value().size(), 3U);
      }
      EXPECT_LT(rows_read(), kFew);
    }
  }

  constexpr RowId kReady = 10000;
  constexpr RowId kBefore = 5000;
  run(fmt::format("UPDATE deliveries SET state = 0 WHERE id > {} AND id <= {}", kBefore,
                  kBefore + kReady));
  run("VACUUM ANALYZE");
  (void)rows_read();
  DeliveryFilter step{
      .state = DeliveryState::kReady, .limit = 200, .after = kBefore, .until = kBefore + kReady};
  std::int64_t found = 0;
  while (step.after < step.until) {
    const std::vector<DeliveryRow> rows = reader_->deliveries_after(step).value();
    ASSERT_FALSE(rows.empty());
    found += std::ssize(rows);
    step.after = rows.back().id;
  }
  EXPECT_EQ(found, kReady);
  EXPECT_LT(rows_read(), kReady * 2);
}

// A code that is never written means damage, which is told.
TEST_F(PostgresReading, TellsOfDamage) {
  write([](WorkingSet& working) { (void)working.add_order(order_row("N1")); });
  run("UPDATE orders SET state = -1");
  const auto orders = reader_->orders({});
  ASSERT_FALSE(orders);
  EXPECT_EQ(orders.error().code, "store_unreadable");
  EXPECT_EQ(doubts_, std::vector<std::string_view>{"store_corrupt"});
}

// While versions are replaced one node after the other, an older one meets rows of the later.
TEST_F(PostgresReading, DoesNotDoubtTheStoreForARowOfALaterVersion) {
  write([](WorkingSet& working) { (void)working.add_order(order_row("N1")); });
  run("UPDATE orders SET state = 99");
  const auto orders = reader_->orders({});
  ASSERT_FALSE(orders);
  EXPECT_EQ(orders.error().code, "store_unreadable");
  EXPECT_TRUE(doubts_.empty());
}

}  // namespace
}  // namespace postern::store::postgres
