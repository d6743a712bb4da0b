#include "tests/store/store_under_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "store/sqlite/sqlite_store.h"

namespace postern::store {

class Answers::ScriptCommand final : public Command {
 public:
  ScriptCommand(Answers& answers, std::size_t index, Script script)
      : answers_(answers), index_(index), script_(std::move(script)) {}
  KeySet keys() const override { return script_.keys; }
  void plan(WorkingSet& working) override {
    if (script_.plan) script_.plan(working);
  }
  void finish(Commit outcome) noexcept override { answers_.note(index_, outcome); }

 private:
  Answers& answers_;
  const std::size_t index_;
  Script script_;
};

std::unique_ptr<Command> Answers::command(Script script) {
  const std::lock_guard lock(mutex_);
  answers_.emplace_back();
  return std::make_unique<ScriptCommand>(*this, answers_.size() - 1, std::move(script));
}

void Answers::note(std::size_t index, Commit outcome) {
  const std::lock_guard lock(mutex_);
  answers_[index].push_back(outcome);
  came_.notify_all();
}

bool Answers::wait() {
  std::unique_lock lock(mutex_);
  return came_.wait_for(lock, std::chrono::minutes(1), [this] {
    return std::ranges::none_of(answers_, [](const auto& answer) { return answer.empty(); });
  });
}

Commit Answers::at(std::size_t index) {
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(answers_.at(index).size(), 1U) << "a command must be finished exactly once";
  return answers_.at(index).empty() ? Commit::kUnknown : answers_.at(index).front();
}

std::vector<Commit> Answers::all() {
  std::size_t size = 0;
  {
    const std::lock_guard lock(mutex_);
    size = answers_.size();
  }
  std::vector<Commit> all;
  for (std::size_t i = 0; i < size; ++i) all.push_back(at(i));
  return all;
}

std::size_t Answers::count() {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(answers_, [](const auto& answer) { return !answer.empty(); }));
}

std::vector<Commit> StoreUnderTest::run(std::vector<Script> scripts) {
  Answers answers;
  hold();
  for (Script& script : scripts) store().submit(answers.command(std::move(script)));
  release();
  EXPECT_TRUE(answers.wait());
  return answers.all();
}

void StoreUnderTest::must(Script script) {
  std::vector<Script> scripts;
  scripts.push_back(std::move(script));
  EXPECT_EQ(run(std::move(scripts)), std::vector{Commit::kDone});
}

std::unique_ptr<Reader> StoreUnderTest::reader() {
  Result<std::unique_ptr<Reader>> reader = store().reader();
  EXPECT_TRUE(reader) << reader.error().detail;
  return std::move(reader).value();
}

MemoryUnderTest::MemoryUnderTest(StoreLimits limits) : limits_(limits) {
  reopen();
}

void MemoryUnderTest::reopen() {
  store_.reset();
  store_ = std::make_unique<simulation::MemoryStore>(
      disk_, simulation::MemoryStoreOptions{.batch_max = limits_.batch_max,
                                            .queue_max = limits_.queue_max});
}

void MemoryUnderTest::release() {
  while (store_->pump()) {
  }
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "postern_store_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

SqliteUnderTest::SqliteUnderTest(StoreLimits limits) : limits_(limits) {
  reopen();
}

SqliteUnderTest::~SqliteUnderTest() {
  store_.reset();
}

void SqliteUnderTest::reopen() {
  store_.reset();
  sqlite::SqliteOptions options;
  options.path = folder_.file("store.db");
  options.batch_max = limits_.batch_max;
  options.queue_max = limits_.queue_max;
  options.unfiled_keys_max = 3;  // so that keys are filed all the time
  Result<std::unique_ptr<Store>> store =
      sqlite::open_sqlite(std::move(options), clock_, random_, log_, metrics_,
                          [](const Error& error) { ADD_FAILURE() << error.detail; });
  if (!store) {
    ADD_FAILURE() << store.error().detail;
    std::abort();
  }
  store_ = std::move(store).value();
}

void WriterGate::close(Store& store) {
  struct Gate final : Command {
    Gate(std::promise<void>& reached, std::future<void> opened)
        : reached_(reached), opened_(std::move(opened)) {}
    KeySet keys() const override { return {}; }
    void plan(WorkingSet& /*working*/) override {
      reached_.set_value();
      opened_.wait();
    }
    void finish(Commit /*outcome*/) noexcept override {}
    std::promise<void>& reached_;
    std::future<void> opened_;
  };
  std::promise<void> reached;
  std::future<void> is_reached = reached.get_future();
  opened_ = {};
  store.submit(std::make_unique<Gate>(reached, opened_.get_future()));
  is_reached.wait();
}

PostgresUnderTest::PostgresUnderTest(StoreLimits limits) : limits_(limits) {
  if (!database_.url().empty()) reopen();
}

void PostgresUnderTest::reopen() {
  store_.reset();
  store_ = open_node(database_, limits_);
  if (store_ == nullptr) std::abort();
}

}  // namespace postern::store
