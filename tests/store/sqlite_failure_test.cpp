// Goal: P11: after the first storage error nothing is answered kDone any more, a failed COMMIT is
// "unknown", and what was answered kDone before is there after a restart; a full disk before COMMIT
// is no such error. Rows 7 to 13 and 16 of the fault matrix.
//
// Method: the real store with its threads over a disk in memory that fails where the test says, at
// every place in turn; then the disk heals, or loses its power, and the store is opened again. Some
// tests use real files.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "store/sqlite/sqlite_engine.h"
#include "store/sqlite/sqlite_store.h"
#include "tests/store/crash_vfs.h"
#include "tests/store/store_under_test.h"
#include "tests/store/test_rows.h"

namespace postern::store::sqlite {
namespace {

using Operation = CrashDisk::Operation;
using Lasting = CrashDisk::Lasting;

/// A store over a failing disk, and what it said.
class FailingStore {
 public:
  explicit FailingStore(CrashDisk& disk, std::int64_t checkpoint_pages = 1000) {
    SqliteOptions options;
    options.path = "store.db";
    options.vfs = disk.vfs();
    options.checkpoint_pages = checkpoint_pages;
    auto opened = open_sqlite(options, clock_, random_, log_, metrics_, [this](Error error) {
      if (failures_ == 0) first_ = std::move(error);
      ++failures_;
    });
    if (!opened) {
      ADD_FAILURE() << opened.error().detail;
      std::abort();
    }
    store_ = std::move(opened).value();
  }

  /// Writes one callback by a command of its own.
  Commit write(int number) {
    Answers answers;
    store_->submit(answers.command({.plan = [number](WorkingSet& working) {
      (void)working.add_callback(callback_row(std::string(2000, 'b') + std::to_string(number)));
    }}));
    EXPECT_TRUE(answers.wait());
    return answers.at(0);
  }

  [[nodiscard]] std::set<std::string> bodies() {
    std::set<std::string> bodies;
    const auto reader = store_->reader();
    EXPECT_TRUE(reader);
    const auto rows = (*reader)->callbacks({.limit = kRowsMax});
    EXPECT_TRUE(rows) << rows.error().detail;
    for (const CallbackRow& row : rows.value()) {
      bodies.insert((*reader)->callback(row.id).value()->body);
    }
    EXPECT_EQ(bodies.size(), rows->size());
    return bodies;
  }

  /// Waits until `on_failure` has been called; it comes after the answers.
  [[nodiscard]] bool fails() {
    for (int i = 0; i < 1000 && failures_ == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return failures_ > 0;
  }
  [[nodiscard]] int failures() const { return failures_; }
  [[nodiscard]] const Error& first() const { return first_; }
  [[nodiscard]] Store& store() { return *store_; }

 private:
  SystemClock clock_;
  SystemRandom random_;
  NullLog log_;
  NullMetrics metrics_;
  std::atomic<int> failures_ = 0;
  Error first_;
  std::unique_ptr<Store> store_;
};

[[nodiscard]] std::string body_of(int number) {
  return std::string(2000, 'b') + std::to_string(number);
}

struct Fault {
  const char* name;
  Operation operation;
  const char* file;
  int code;
};

class SqliteFailure : public testing::TestWithParam<Fault> {};

/// Writes until the disk fails for the n-th time it is asked, and checks all promises.
/// False: the disk was never asked that often.
[[nodiscard]] bool fail_at(const Fault& fault, std::uint64_t nth, bool then_cut_power) {
  CrashDisk disk;
  std::set<std::string> must;
  std::set<std::string> may;
  bool failed = false;
  {
    FailingStore store(disk, 6);
    EXPECT_EQ(store.write(-1), Commit::kDone);
    must.insert(body_of(-1));
    disk.fail(fault.operation, fault.file, nth, fault.code, Lasting::kOnce);
    bool refused = false;
    for (int i = 0; i < 12; ++i) {
      const Commit answer = store.write(i);
      if (answer == Commit::kDone) {
        EXPECT_FALSE(refused) << "answered kDone after an error";
        must.insert(body_of(i));
      } else {
        refused = true;
        if (answer == Commit::kUnknown) may.insert(body_of(i));
      }
    }
    failed = disk.has_failed();
    if (failed) {
      EXPECT_TRUE(store.fails());
      EXPECT_EQ(store.failures(), 1);
      EXPECT_EQ(store.first().error_class, ErrorClass::kFault);
      EXPECT_FALSE(store.store().healthy());
      EXPECT_LE(may.size(), 1U);
    }
    if (then_cut_power) disk.cut_now();
  }
  if (then_cut_power) {
    std::mt19937_64 random(nth);
    disk.power_on(random);
  }
  disk.heal();
  FailingStore restarted(disk);
  const std::set<std::string> found = restarted.bodies();
  EXPECT_TRUE(std::ranges::includes(found, must)) << "an answered command is gone";
  must.merge(may);
  EXPECT_TRUE(std::ranges::includes(must, found)) << "a refused command is there";
  EXPECT_EQ(restarted.write(99), Commit::kDone);
  return failed;
}

TEST_P(SqliteFailure, EndsTheStoreAtEveryPlaceAndLosesNothing) {
  std::uint64_t places = 0;
  for (const bool then_cut_power : {false, true}) {
    std::uint64_t nth = 1;
    while (fail_at(GetParam(), nth, then_cut_power) && !HasFailure()) ++nth;
    places += nth - 1;
  }
  EXPECT_GT(places, 2U);
}

INSTANTIATE_TEST_SUITE_P(
    Disk, SqliteFailure,
    testing::Values(Fault{"LogWrite", Operation::kWrite, "-wal", SQLITE_IOERR_WRITE},
                    Fault{"LogFlush", Operation::kFlush, "-wal", SQLITE_IOERR_FSYNC},
                    Fault{"FileWrite", Operation::kWrite, "store.db", SQLITE_IOERR_WRITE},
                    Fault{"FileFlush", Operation::kFlush, "store.db", SQLITE_IOERR_FSYNC}),
    [](const auto& test) { return test.param.name; });

// Fault matrix row 8: the second flush says "done" although the pages are lost, so there must be no
// second one.
TEST(SqliteFailureOnce, NeverFlushesAgainAfterAFlushFailed) {
  CrashDisk disk;
  std::uint64_t changes = 0;
  {
    FailingStore store(disk);
    ASSERT_EQ(store.write(1), Commit::kDone);
    disk.fail(Operation::kFlush, "-wal", 1, SQLITE_IOERR_FSYNC, Lasting::kOnce);
    EXPECT_EQ(store.write(2), Commit::kUnknown);
    changes = disk.changes();
    EXPECT_EQ(store.write(3), Commit::kRefused);
    EXPECT_TRUE(store.fails());
    EXPECT_EQ(store.first().code, "store_commit_failed");
  }
  EXPECT_EQ(disk.changes(), changes) << "something was written after the failure, or at closing";
}

// A batch with a row that cannot be written is tried command by command; a failure among them ends
// the rest.
TEST(SqliteFailureOnce, RefusesTheRestOfABatchThatIsTriedOneByOne) {
  CrashDisk disk;
  SystemClock clock;
  SystemRandom random;
  NullLog log;
  NullMetrics metrics;
  SqliteOptions options;
  options.path = "store.db";
  options.vfs = disk.vfs();
  const auto engine = SqliteEngine::open(options, clock, random, log, metrics);
  ASSERT_TRUE(engine);
  Answers answers;
  std::vector<std::unique_ptr<Command>> batch;
  const Script good{.keys = {}, .plan = [](WorkingSet& working) {
                      (void)working.add_callback(callback_row("b"));
                    }};
  const Script bad{.keys = {},
                   .plan = [](WorkingSet& working) { (void)working.add_event(event_row(1, 0)); }};
  for (const Script& script : {good, good, bad, good}) batch.push_back(answers.command(script));
  disk.fail(Operation::kFlush, "-wal", 2, SQLITE_IOERR_FSYNC, Lasting::kOnce);
  run_batch(**engine, **engine, batch);
  EXPECT_EQ(answers.all(),
            (std::vector{Commit::kDone, Commit::kUnknown, Commit::kRefused, Commit::kRefused}));
}

TEST(SqliteFailureOnce, RefusesWhatIsQueuedBehindTheFailure) {
  CrashDisk disk;
  FailingStore store(disk);
  disk.fail(Operation::kFlush, "-wal", 1, SQLITE_IOERR_FSYNC, Lasting::kUntilHealed);
  Answers answers;
  for (int i = 0; i < 2000; ++i) {
    store.store().submit(answers.command(
        {.plan = [](WorkingSet& working) { (void)working.add_callback(callback_row("b")); }}));
  }
  ASSERT_TRUE(answers.wait());
  const auto all = answers.all();
  EXPECT_EQ(std::ranges::count(all, Commit::kDone), 0);
  EXPECT_GE(std::ranges::count(all, Commit::kUnknown), 1);
  EXPECT_LE(std::ranges::count(all, Commit::kUnknown), 256);
  EXPECT_EQ(store.failures(), 1);
}

// Fault matrix row 10: refused, alive, and working again by itself when there is room.
TEST(SqliteFailureOnce, GoesOnAfterAFullDisk) {
  CrashDisk disk;
  FailingStore store(disk);
  ASSERT_EQ(store.write(1), Commit::kDone);
  disk.fail(Operation::kWrite, "-wal", 1, SQLITE_FULL, Lasting::kUntilHealed);
  EXPECT_EQ(store.write(2), Commit::kRefused);
  EXPECT_EQ(store.write(3), Commit::kRefused);
  EXPECT_TRUE(store.store().healthy());
  disk.heal();
  EXPECT_EQ(store.write(4), Commit::kDone);
  EXPECT_EQ(store.bodies(), (std::set{body_of(1), body_of(4)}));
  EXPECT_EQ(store.failures(), 0);
}

TEST(SqliteFailureOnce, GoesOnWhenTheLogCannotBeCopiedForLackOfRoom) {
  CrashDisk disk;
  FailingStore store(disk, 6);
  disk.fail(Operation::kWrite, "store.db", 1, SQLITE_FULL, Lasting::kUntilHealed);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(store.write(i), Commit::kDone);
  EXPECT_TRUE(disk.has_failed());
  disk.heal();
  for (int i = 10; i < 20; ++i) EXPECT_EQ(store.write(i), Commit::kDone);
  EXPECT_TRUE(store.store().healthy());
  EXPECT_EQ(store.bodies().size(), 20U);
}

// Wherever the disk fills up, the answer is true: not written, or unknown and the store ends.
TEST(SqliteFailureOnce, AnswersTrulyWhereverTheDiskFillsUp) {
  int unknown = 0;
  int refused = 0;
  for (std::uint64_t nth = 1; nth < 40; ++nth) {
    CrashDisk disk;
    std::set<std::string> must;
    std::set<std::string> may;
    {
      FailingStore store(disk, 6);
      disk.fail(Operation::kWrite, "-wal", nth, SQLITE_FULL, Lasting::kOnce);
      for (int i = 0; i < 6; ++i) {
        switch (store.write(i)) {
          case Commit::kDone:
            must.insert(body_of(i));
            break;
          case Commit::kRefused:
            ++refused;
            break;
          case Commit::kUnknown:
            may.insert(body_of(i));
            ++unknown;
            EXPECT_TRUE(store.fails());
            break;
        }
      }
    }
    disk.heal();
    FailingStore restarted(disk);
    const std::set<std::string> found = restarted.bodies();
    EXPECT_TRUE(std::ranges::includes(found, must));
    must.merge(may);
    EXPECT_TRUE(std::ranges::includes(must, found));
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(unknown, 0);
}

TEST(SqliteFailureOnce, CountsAReadersErrorAsADoubt) {
  CrashDisk disk;
  FailingStore store(disk);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(store.write(i), Commit::kDone);
  const auto reader = store.store().reader();
  ASSERT_TRUE(reader);

  // The writer is busy with one command while others wait behind it.
  std::promise<void> planned;
  std::promise<void> may_go_on;
  Answers answers;
  store.store().submit(answers.command({.keys = {}, .plan = [&](WorkingSet&) {
                                          planned.set_value();
                                          may_go_on.get_future().wait();
                                        }}));
  planned.get_future().wait();
  for (int i = 0; i < 3; ++i) store.store().submit(answers.command({}));

  disk.fail(Operation::kRead, "-wal", 1, SQLITE_IOERR_READ, Lasting::kUntilHealed);
  for (int i = 0; i < 2; ++i) {
    const auto rows = (*reader)->callbacks({});
    ASSERT_FALSE(rows);
    EXPECT_EQ(rows.error().code, "store_unreadable");
  }
  EXPECT_TRUE(store.fails());
  EXPECT_EQ(store.write(99), Commit::kRefused);
  may_go_on.set_value();
  ASSERT_TRUE(answers.wait());
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(answers.at(i), Commit::kRefused);
  EXPECT_EQ(store.failures(), 1);
}

// Fault matrix row 16.
TEST(SqliteFailureOnce, EndsWhenItsFileIsReplaced) {
  for (const bool deleted : {false, true}) {
    TemporaryFolder folder;
    SystemClock clock;
    SystemRandom random;
    NullLog log;
    NullMetrics metrics;
    std::promise<Error> failed;
    SqliteOptions options;
    options.path = folder.file("store.db");
    const auto store = open_sqlite(options, clock, random, log, metrics,
                                   [&](Error error) { failed.set_value(std::move(error)); });
    ASSERT_TRUE(store);
    if (deleted) {
      std::filesystem::remove(options.path);
    } else {
      std::filesystem::rename(options.path, folder.file("moved.db"));
    }
    Answers answers;
    (*store)->submit(answers.command({}));
    ASSERT_TRUE(answers.wait());
    EXPECT_EQ(answers.at(0), Commit::kRefused);
    EXPECT_EQ(failed.get_future().get().code, "store_file_replaced");
  }
}

TEST(SqliteFailureOnce, RefusesTheRestWhenClosingTakesTooLong) {
  TemporaryFolder folder;
  SystemClock clock;
  SystemRandom random;
  NullLog log;
  NullMetrics metrics;
  SqliteOptions options;
  options.path = folder.file("store.db");
  options.stop_timeout = std::chrono::milliseconds(0);
  auto store = open_sqlite(options, clock, random, log, metrics, [](const Error&) {});
  ASSERT_TRUE(store);
  Answers answers;
  std::promise<void> planned;
  std::promise<void> may_go_on;
  (*store)->submit(answers.command({.plan = [&](WorkingSet&) {
    planned.set_value();
    may_go_on.get_future().wait();
  }}));
  planned.get_future().wait();
  for (int i = 0; i < 3; ++i) (*store)->submit(answers.command({}));
  std::thread closing([&] { store->reset(); });
  // The queued ones can only be refused once closing has begun, which nothing outside can see.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  may_go_on.set_value();
  closing.join();
  EXPECT_EQ(answers.all(),
            (std::vector{Commit::kDone, Commit::kRefused, Commit::kRefused, Commit::kRefused}));
}

}  // namespace
}  // namespace postern::store::sqlite
