// Goal: deliveries are looked for where few rows are read, however many were delivered before.
// Method: the real reader on a file with many deliveries of the past; SQLite tells the steps that
// each statement took, of which every row that it looks at costs a few.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <vector>

#include "store/sqlite/migrations.h"
#include "store/sqlite/sqlite_reader.h"
#include "tests/store/store_under_test.h"
#include "tests/store/test_rows.h"

namespace postern::store::sqlite {
namespace {

constexpr RowId kRows = 20000;
/// What a search in a handful of rows may take; a walk through all takes hundreds of thousands.
constexpr std::int64_t kFewSteps = 3000;

std::int64_t steps_taken = 0;

int count_steps(unsigned /*why*/, void* /*context*/, void* statement, void* /*time*/) {
  steps_taken += sqlite3_stmt_status(static_cast<sqlite3_stmt*>(statement),
                                     SQLITE_STMTSTATUS_VM_STEP, /*resetFlg=*/1);
  return 0;
}

int watch(sqlite3* db, const char** /*error*/, const void* /*api*/) {
  return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, count_steps, nullptr);
}

class SqliteReading : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Database::open(folder_.file("store.db"), Access::kReadWrite, "");
    ASSERT_TRUE(opened);
    database_.emplace(*std::move(opened));
    ASSERT_TRUE(migrate(*database_, migrations(), at(0)));
    run(
        fmt::format("WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n "
                    "WHERE i < {}) INSERT INTO events (id, order_id, sequence, type, "
                    "created_at_ms, body) SELECT i, i, 1, 0, i, '{{}}' FROM n",
                    kRows));
    run("INSERT INTO deliveries (id, event_id, order_id, sequence, endpoint, state, due_at_ms) "
        "SELECT id, id, id, 1, 'shop', 2, 30000 - id FROM events");
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(watch));
    auto reader = open_reader({.path = folder_.file("store.db")}, [](const Error&) {});
    sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(watch));
    ASSERT_TRUE(reader);
    reader_ = *std::move(reader);
  }
  void run(const std::string& script) { ASSERT_TRUE(database_->run(script.c_str())); }

  /// The ids found; `steps_taken` is what that took.
  [[nodiscard]] std::vector<RowId> after(const DeliveryFilter& filter) {
    steps_taken = 0;
    return ids(reader_->deliveries_after(filter));
  }
  [[nodiscard]] std::vector<RowId> newest(const DeliveryFilter& filter) {
    steps_taken = 0;
    return ids(reader_->deliveries(filter));
  }
  [[nodiscard]] std::int64_t count(const DeliveryFilter& filter) {
    steps_taken = 0;
    return reader_->count(filter).value().deliveries;
  }

  const EndpointName shop_ = EndpointName::trusted("shop");

 private:
  [[nodiscard]] static std::vector<RowId> ids(const Result<std::vector<DeliveryRow>>& rows) {
    EXPECT_TRUE(rows);
    std::vector<RowId> ids;
    for (const DeliveryRow& row : rows.value()) ids.push_back(row.id);
    return ids;
  }

  TemporaryFolder folder_;
  std::optional<Database> database_;
  std::unique_ptr<Reader> reader_;
};

using Ids = std::vector<RowId>;

TEST_F(SqliteReading, FindsWhatIsNotDeliveredAmongAllThatIs) {
  run("UPDATE deliveries SET endpoint = 'erp' WHERE id % 5000 >= 5; "
      "UPDATE deliveries SET state = id % 5000 WHERE id % 5000 < 5");
  const std::optional<EndpointName> endpoints[] = {std::nullopt, shop_};
  for (const DeliveryState state : {DeliveryState::kReady, DeliveryState::kWaiting,
                                    DeliveryState::kDead, DeliveryState::kCancelled}) {
    const RowId first = static_cast<RowId>(state) == 0 ? 5000 : static_cast<RowId>(state);
    const RowId next = first + 5000;
    for (const auto& endpoint : endpoints) {
      SCOPED_TRACE(fmt::format("{} of {}", name(state), endpoint ? "one" : "all"));
      const DeliveryFilter all{.state = state, .endpoint = endpoint};
      EXPECT_EQ(after(all), (Ids{first, next, first + 10000, first + 15000}));
      EXPECT_LT(steps_taken, kFewSteps);
      EXPECT_EQ(newest(all), (Ids{first + 15000, first + 10000, next, first}));
      EXPECT_LT(steps_taken, kFewSteps);
      EXPECT_EQ(count(all), 4);
      EXPECT_LT(steps_taken, kFewSteps);
      DeliveryFilter page = all;
      page.before = next + 5000;
      EXPECT_EQ(newest(page), (Ids{next, first}));
      EXPECT_LT(steps_taken, kFewSteps);
      DeliveryFilter planned = all;  // the first step of a bulk retry
      planned.until = next;
      planned.from = TimePoint(std::chrono::milliseconds(1));
      EXPECT_EQ(after(planned), (Ids{first, next}));
      EXPECT_LT(steps_taken, kFewSteps);
      if (state == DeliveryState::kReady) continue;
      planned.after = first;
      EXPECT_EQ(after(planned), (Ids{next}));
      EXPECT_LT(steps_taken, kFewSteps);
    }
  }
}

// Of what is ready, the steps of a bulk retry together read each row once: it stays ready.
TEST_F(SqliteReading, GoesThroughWhatIsReadyOnce) {
  constexpr RowId kReady = 10000;
  constexpr RowId kBefore = 5000;
  run(fmt::format("UPDATE deliveries SET state = 0 WHERE id > {} AND id <= {}", kBefore,
                  kBefore + kReady));
  const std::optional<EndpointName> endpoints[] = {std::nullopt, shop_};
  for (const auto& endpoint : endpoints) {
    SCOPED_TRACE(endpoint ? "one" : "all");
    DeliveryFilter step{.state = DeliveryState::kReady,
                        .endpoint = endpoint,
                        .limit = 200,
                        .after = kBefore,
                        .until = kBefore + kReady};
    std::int64_t found = 0;
    std::int64_t steps = 0;
    while (step.after < step.until) {
      const Ids ids = after(step);
      ASSERT_FALSE(ids.empty());
      ASSERT_EQ(ids.front(), step.after + 1);
      found += std::ssize(ids);
      steps += steps_taken;
      step.after = ids.back();
    }
    EXPECT_EQ(found, kReady);
    EXPECT_LT(steps, kReady * 30);
  }
}

}  // namespace
}  // namespace postern::store::sqlite
