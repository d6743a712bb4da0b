// Goal: a COMMIT that waits for a standby for too long is cancelled, so that it keeps neither its
// locks nor its connection, and its answer is "unknown" (P11).
//
// Method: a real server that waits for a standby which does not exist.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "store/postgres/connection.h"
#include "store/postgres/postgres_store.h"
#include "tests/store/store_under_test.h"
#include "tests/store/test_rows.h"

namespace postern::store {
namespace {

constexpr std::string_view kWaiting =
    "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

class PostgresCommit : public testing::Test {
 protected:
  void SetUp() override {
    if (database_.url().empty()) return;
    // More than the two seconds that a cancelled server is given, or nothing is cancelled.
    postgres::PostgresOptions options;
    options.url = database_.url();
    options.answer_timeout = std::chrono::milliseconds(2500);
    auto store = postgres::open_postgres(std::move(options), clock_, random_, log_, metrics_,
                                         [](const Error& error) { ADD_FAILURE() << error.detail; });
    ASSERT_TRUE(store) << store.error().detail;
    store_ = *std::move(store);
  }
  void TearDown() override {
    if (!database_.url().empty()) await_standby("");
  }

  /// Whom every COMMIT of the server waits for from now on; empty: nobody.
  void await_standby(const std::string& name) {
    auto other =
        postgres::Connection::open({.url = database_.url(), .password = {}, .name = "other"});
    ASSERT_TRUE(other) << other.error().detail;
    ASSERT_TRUE(other->run("ALTER SYSTEM SET synchronous_standby_names = '" + name + "'"));
    ASSERT_TRUE(other->run("SELECT pg_reload_conf()"));
    for (int i = 0; i < 100; ++i) {
      if (database_.text("SHOW synchronous_standby_names") == name) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    FAIL() << "the server did not take the setting";
  }

  Commit add_order(const std::string& number) {
    Answers answers;
    store_->submit(answers.command(
        {.plan = [number](WorkingSet& working) { (void)working.add_order(order_row(number)); }}));
    EXPECT_TRUE(answers.wait());
    return answers.at(0);
  }

  PostgresDatabase database_;
  SystemClock clock_;
  SystemRandom random_;
  NullLog log_;
  NullMetrics metrics_;
  std::unique_ptr<Store> store_;
};

TEST_F(PostgresCommit, IsCancelledWhereItWaitsTooLong) {
  ASSERT_EQ(add_order("BEFORE"), Commit::kDone);
  await_standby("nobody");
  EXPECT_EQ(add_order("MEANWHILE"), Commit::kUnknown);
  // Where it is not cancelled the server goes on waiting, also after its client has gone.
  EXPECT_EQ(database_.text(std::string(kWaiting)), "0");
  await_standby("");
  Commit after = Commit::kRefused;
  for (int i = 0; i < 100 && after != Commit::kDone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    after = add_order("AFTER" + std::to_string(i));
  }
  EXPECT_EQ(after, Commit::kDone);
}

}  // namespace
}  // namespace postern::store
