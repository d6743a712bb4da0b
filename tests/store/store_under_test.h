#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "base/system.h"
#include "store/store.h"
#include "tests/simulation/memory_store.h"

namespace postern::store {

/// A command of a test: what it asks for and what it does.
struct Script {
  KeySet keys;
  std::function<void(WorkingSet&)> plan;
};

/// Collects the answers to commands, which may come from another thread.
class Answers {
 public:
  /// Makes a command whose answer will stand at the next index.
  [[nodiscard]] std::unique_ptr<Command> command(Script script);
  /// Waits until every command made here has its answer. False: one did not come for a minute.
  [[nodiscard]] bool wait();
  /// The answer at `index`, which must have come exactly once.
  [[nodiscard]] Commit at(std::size_t index);
  [[nodiscard]] std::vector<Commit> all();
  /// How many answers have come so far.
  [[nodiscard]] std::size_t count();

 private:
  class ScriptCommand;
  void note(std::size_t index, Commit outcome);

  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<std::vector<Commit>> answers_;  // guarded by mutex_
};

struct StoreLimits {
  std::size_t batch_max = 256;
  std::size_t queue_max = 16384;
};

/// A store as the contract suite needs it. A further engine joins the suite by implementing this.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  [[nodiscard]] virtual Store& store() = 0;
  /// Closes the store and opens it again on what it has made durable.
  virtual void reopen() = 0;
  /// From now on nothing is written until `release`.
  virtual void hold() = 0;
  virtual void release() = 0;

  /// Has `scripts` written in one batch, and gives their answers.
  [[nodiscard]] std::vector<Commit> run(std::vector<Script> scripts);
  /// Has one command written, and expects that it is.
  void must(Script script);
  /// A fresh reader.
  [[nodiscard]] std::unique_ptr<Reader> reader();
};

class MemoryUnderTest final : public StoreUnderTest {
 public:
  explicit MemoryUnderTest(StoreLimits limits = {});
  Store& store() override { return *store_; }
  void reopen() override;
  void hold() override {}
  void release() override;

 private:
  const StoreLimits limits_;
  simulation::MemoryDisk disk_;
  std::unique_ptr<simulation::MemoryStore> store_;
};

/// A folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Keeps a store's writer busy with a command that waits while it is planned, so that what is
/// submitted meanwhile forms the next batch.
class WriterGate {
 public:
  void close(Store& store);
  void open() { opened_.set_value(); }

 private:
  std::promise<void> opened_;
};

class SqliteUnderTest final : public StoreUnderTest {
 public:
  explicit SqliteUnderTest(StoreLimits limits = {});
  ~SqliteUnderTest() override;
  Store& store() override { return *store_; }
  void reopen() override;
  void hold() override { gate_.close(*store_); }
  void release() override { gate_.open(); }

 private:
  const StoreLimits limits_;
  TemporaryFolder folder_;
  SystemClock clock_;
  SystemRandom random_;
  NullLog log_;
  NullMetrics metrics_;
  WriterGate gate_;
  std::unique_ptr<Store> store_;
};

/// A place for a store on the server that POSTERN_TEST_POSTGRES names, a schema of its own (a
/// database takes the disk a second); it goes with the object. Without a server the test is
/// skipped.
class PostgresDatabase {
 public:
  PostgresDatabase();
  PostgresDatabase(const PostgresDatabase&) = delete;
  PostgresDatabase& operator=(const PostgresDatabase&) = delete;
  ~PostgresDatabase();
  /// Of this place; empty without a server.
  [[nodiscard]] const std::string& url() const { return url_; }
  /// The first column of the first row.
  [[nodiscard]] std::string text(const std::string& query) const;

 private:
  std::string name_;
  std::string url_;
};

/// Opens one node's store there. Nullptr, and the test fails, where that does not work.
[[nodiscard]] std::unique_ptr<Store> open_node(const PostgresDatabase& database,
                                               StoreLimits limits = {});

class PostgresUnderTest final : public StoreUnderTest {
 public:
  explicit PostgresUnderTest(StoreLimits limits = {});
  Store& store() override { return *store_; }
  void reopen() override;
  void hold() override { gate_.close(*store_); }
  void release() override { gate_.open(); }

 private:
  const StoreLimits limits_;
  PostgresDatabase database_;
  WriterGate gate_;
  std::unique_ptr<Store> store_;
};

/// The engines of the contract suites. Those on PostgreSQL run apart, with a server.
using Engines = testing::Types<MemoryUnderTest, SqliteUnderTest, PostgresUnderTest>;

struct EngineNames {
  template <class Engine>
  [[nodiscard]] static std::string GetName(int /*index*/) {
    if (std::is_same_v<Engine, MemoryUnderTest>) return "Memory";
    return std::is_same_v<Engine, SqliteUnderTest> ? "Sqlite" : "Postgres";
  }
};

}  // namespace postern::store
