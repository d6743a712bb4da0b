// Goal: raw evidence is kept by month: its partitions are made ahead, what came too early is moved
// into its month, and what is older than it may be kept is dropped, while callbacks and the guards
// against doubles stay (ADR 11).
//
// Method: the real functions on a real server, at dates of the test's choosing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "store/postgres/connection.h"
#include "store/postgres/evidence_partitions.h"
#include "tests/store/store_under_test.h"

namespace postern::store {
namespace {

using postgres::Connection;
using std::chrono::days;
using std::chrono::sys_days;

const TimePoint kToday = sys_days(std::chrono::year(2031) / 5 / 17);

class PostgresEvidence : public testing::Test {
 protected:
  void SetUp() override {
    if (database_.url().empty()) return;
    ASSERT_NE(node_ = open_node(database_), nullptr);
    auto opened = Connection::open({.url = database_.url(), .name = "test"});
    ASSERT_TRUE(opened) << opened.error().detail;
    connection_ = std::make_unique<Connection>(*std::move(opened));
  }

  void add(RowId callback, TimePoint at) {
    const Result<void> added =
        connection_->run(fmt::format("INSERT INTO evidence VALUES ({}, {}, 't', 'h', 'b')",
                                     callback, at.time_since_epoch().count()));
    ASSERT_TRUE(added) << added.error().detail;
  }

  [[nodiscard]] std::string rows_in(const std::string& table) {
    const Result<std::string> rows = connection_->text(fmt::format(
        "SELECT coalesce(string_agg(callback_id::text, ' ' ORDER BY callback_id), '') FROM {}",
        table));
    EXPECT_TRUE(rows) << rows.error().detail;
    return rows.value_or("");
  }

  [[nodiscard]] Result<void> keep(TimePoint now, int keep_days = 0) {
    return postgres::keep_evidence_partitions(*connection_, now, keep_days, log_);
  }

  PostgresDatabase database_;
  NullLog log_;
  std::unique_ptr<Store> node_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(PostgresEvidence, MovesWhatCameBeforeItsMonthWasMade) {
  add(1, kToday);
  EXPECT_EQ(rows_in("evidence_rest"), "1");
  const Result<void> kept = keep(kToday);
  ASSERT_TRUE(kept) << kept.error().detail;
  EXPECT_EQ(rows_in("evidence_rest"), "");
  EXPECT_EQ(rows_in("evidence_203105"), "1");
  add(2, kToday + days(60));
  EXPECT_EQ(rows_in("evidence_203107"), "2");
  EXPECT_TRUE(keep(kToday));  // nothing to do
}

TEST_F(PostgresEvidence, DropsWhatIsOlderThanItMayBeKept) {
  ASSERT_TRUE(keep(kToday - days(92)));  // February to April
  ASSERT_TRUE(keep(kToday));
  add(1, kToday - days(80));
  add(2, kToday - days(40));
  add(3, kToday);
  const Result<void> kept = keep(kToday, 45);  // since the 2nd of April
  ASSERT_TRUE(kept) << kept.error().detail;
  EXPECT_EQ(rows_in("evidence"), "2 3");
}

}  // namespace
}  // namespace postern::store
