// Goal: what the writer's thread takes at once. One command alone is written at once, a crowd is
// gathered while more come, and stopping waits for nobody.
//
// Method: an engine that writes nothing, counts each batch, and holds the writer in a commit for as
// long as the test says. Lulls last an hour, so that a test that waits for one hangs for all to
// see.
#include "store/batch_writer.h"

#include <gtest/gtest.h>

#include "base/system.h"
#include "tests/store/store_under_test.h"

namespace postern::store {
namespace {

class CountingEngine final : public Engine, public RowIds {
 public:
  Result<void> begin() override { return {}; }
  Result<void> load(const KeySet&, WorkingSet&) override { return {}; }
  Result<void> write(const Writes&) override { return {}; }
  Commit commit() override {
    std::unique_lock lock(mutex_);
    ++begun_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return begun_ <= allowed_; });
    return Commit::kDone;
  }
  void rollback() override {}
  void tidy() override {}
  const std::optional<Error>& failure() const override { return failure_; }
  RowId next(Table) override { return 1; }

  /// Lets one more commit pass.
  void allow() {
    const std::lock_guard lock(mutex_);
    ++allowed_;
    changed_.notify_all();
  }
  /// Waits until the writer stands in its commit number `n`.
  void wait_for_commit(int n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_ >= n; });
  }
  [[nodiscard]] int commits() {
    const std::lock_guard lock(mutex_);
    return begun_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int begun_ = 0;
  int allowed_ = 0;
  std::optional<Error> failure_;
};

class BatchWriterTest : public testing::Test {
 protected:
  void make(std::chrono::milliseconds lull) {
    writer_ = std::make_unique<BatchWriter>(
        engine_, engine_, BatchLimits{.crowd = 8, .gather = 20, .lull = lull, .lulls = 1'000'000},
        clock_, log_, metrics_, [](const Error&) {});
  }
  void submit(int count) {
    for (int i = 0; i < count; ++i) writer_->submit(answers_.command({.plan = [](WorkingSet&) {}}));
  }
  /// Has a batch of `size` written, behind which `waiting` more stand in the queue.
  void write_batch_of(int size, int waiting) {
    submit(1);
    engine_.wait_for_commit(1);
    submit(size);
    engine_.allow();
    engine_.wait_for_commit(2);
    submit(waiting);
    engine_.allow();
  }
  /// Lets the third commit pass and expects that it was the last.
  void expect_one_more_batch() {
    engine_.wait_for_commit(3);
    engine_.allow();
    EXPECT_TRUE(answers_.wait());
    EXPECT_EQ(engine_.commits(), 3);
  }

  SystemClock clock_;
  NullLog log_;
  NullMetrics metrics_;
  Answers answers_;
  CountingEngine engine_;
  std::unique_ptr<BatchWriter> writer_;
};

TEST_F(BatchWriterTest, WritesAtOnceWhenFewerThanACrowdCame) {
  make(std::chrono::hours(1));
  write_batch_of(7, 1);
  expect_one_more_batch();
}

TEST_F(BatchWriterTest, GathersAfterACrowd) {
  make(std::chrono::hours(1));
  write_batch_of(8, 1);
  submit(18);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(engine_.commits(), 2);
  submit(1);
  expect_one_more_batch();  // All twenty in one.
}

TEST_F(BatchWriterTest, ACrowdEndsWithAnEmptyQueue) {
  make(std::chrono::hours(1));
  write_batch_of(8, 0);
  ASSERT_TRUE(answers_.wait());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  submit(1);
  expect_one_more_batch();
}

TEST_F(BatchWriterTest, WritesWhatItGatheredWhenItStops) {
  make(std::chrono::hours(1));
  write_batch_of(8, 3);
  engine_.allow();
  writer_.reset();
  EXPECT_EQ(answers_.all(), std::vector<Commit>(12, Commit::kDone));
}

// Clients that wait for their answers before they send again must not wait for others.
TEST_F(BatchWriterTest, GathersOnlyWhileMoreCome) {
  make(std::chrono::milliseconds(5));
  write_batch_of(8, 9);
  expect_one_more_batch();
}

}  // namespace
}  // namespace postern::store
