// Goal: the embedded store and the memory store of the simulator are the same store: what the
// simulator proves over the one holds for the other. Method: the same random commands in the same
// batches on both; then the same random questions, asked for many keys at once, must be answered
// alike, down to ids and the order of rows.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/system.h"
#include "store/sqlite/sqlite_engine.h"
#include "tests/simulation/memory_store.h"
#include "tests/store/crash_vfs.h"
#include "tests/store/power_cut_model.h"
#include "tests/store/store_under_test.h"
#include "tests/store/test_rows.h"

namespace postern::store {
namespace {

[[nodiscard]] std::string describe_loaded(const WorkingSet& working, const LoadedOrder* order) {
  if (order == nullptr) return "  no order\n";
  std::string text = "  " + describe(order->row) + "\n";
  for (const RowId id : order->attempts) {
    text += "    " + describe(working.attempt(id)) + "\n";
    for (const FactRow& fact : working.facts_of(id)) text += "      " + describe(fact) + "\n";
  }
  for (const EndpointName& endpoint : order->endpoints_busy) text += "    busy " + endpoint.text();
  return text + "\n";
}

/// All that a planner can see of `keys`.
[[nodiscard]] std::string see(const WorkingSet& working, const KeySet& keys) {
  std::string text;
  for (const core::AttemptKey& key : keys.attempts) {
    const AttemptRow* attempt = working.find_attempt(key);
    text += key.number + ": " + (attempt == nullptr ? "unknown" : describe(*attempt)) + "\n";
    if (attempt == nullptr) continue;
    for (const FactRow& fact : working.facts_of(attempt->id)) text += describe(fact) + "\n";
    if (attempt->order != 0) text += describe_loaded(working, &working.order(attempt->order));
  }
  for (const core::OrderKey& key : keys.orders) {
    text += key.id.text() + ": " + describe_loaded(working, working.find_order(key));
  }
  for (const std::string& key : keys.fact_keys) {
    const FactRow* fact = working.find_fact(key);
    text += key + ": " + (fact == nullptr ? "unknown" : describe(*fact)) + "\n";
    if (fact == nullptr) continue;
    const KnownCallback* known = working.find_callback(fact->callback);
    text += known == nullptr ? "no callback\n"
                             : fmt::format("{} {} {}\n", known->id, known->digest, known->variants);
  }
  return text;
}

[[nodiscard]] KeySet random_keys(std::mt19937_64& random, std::size_t numbers) {
  KeySet keys;
  const auto count = [&random] { return random() % 40; };
  const auto number = [&] { return fmt::format("N{}", random() % numbers); };
  for (std::uint64_t i = count(); i > 0; --i) keys.attempts.push_back(attempt_key(number()));
  for (std::uint64_t i = count() / 4; i > 0; --i) keys.orders.push_back(order_of(number()));
  for (std::uint64_t i = count(); i > 0; --i) {
    const std::string n = number();
    keys.fact_keys.push_back(core::fact_key(payment(n, fmt::format("{}.{}", n, random() % 2))));
  }
  return keys;
}

/// Both stores, driven alike.
class Pair {
 public:
  Pair() : memory_(memory_disk_) {
    sqlite::SqliteOptions options;
    options.path = "store.db";
    options.vfs = disk_.vfs();
    options.unfiled_keys_max = 3;  // so that keys are filed all the time
    auto engine = sqlite::SqliteEngine::open(options, clock_, random_, log_, metrics_);
    if (!engine) std::abort();
    engine_ = *std::move(engine);
  }

  void run_on_memory(std::vector<std::unique_ptr<Command>> batch) {
    for (auto& command : batch) memory_.submit(std::move(command));
    (void)memory_.pump();
  }
  void run_on_sqlite(const std::vector<std::unique_ptr<Command>>& batch) {
    run_batch(*engine_, *engine_, batch);
    engine_->tidy();
  }
  [[nodiscard]] sqlite::SqliteEngine& engine() { return *engine_; }

 private:
  SystemClock clock_;
  SystemRandom random_;
  NullLog log_;
  NullMetrics metrics_;
  CrashDisk disk_;
  std::unique_ptr<sqlite::SqliteEngine> engine_;
  simulation::MemoryDisk memory_disk_;
  simulation::MemoryStore memory_;
};

/// Passes on to a command that outlives the store's ownership, so that its outcome can be read.
class Borrowed final : public Command {
 public:
  explicit Borrowed(Command& command) : command_(command) {}
  KeySet keys() const override { return command_.keys(); }
  void plan(WorkingSet& working) override { command_.plan(working); }
  void finish(Commit outcome) noexcept override { command_.finish(outcome); }

 private:
  Command& command_;
};

[[nodiscard]] std::vector<std::unique_ptr<Command>> borrow(
    const std::vector<std::unique_ptr<Command>>& batch) {
  std::vector<std::unique_ptr<Command>> borrowed;
  for (const auto& command : batch) borrowed.push_back(std::make_unique<Borrowed>(*command));
  return borrowed;
}

void write_alike(Pair& stores, Workload& left, Workload& right, Model& model) {
  std::vector<std::unique_ptr<Command>> on_memory;
  std::vector<std::unique_ptr<Command>> on_sqlite;
  for (int i = 0; i < 12; ++i) {  // Larger batches than a disk that is about to die needs.
    for (auto& command : left.batch(model)) on_memory.push_back(std::move(command));
    for (auto& command : right.batch(model)) on_sqlite.push_back(std::move(command));
  }
  stores.run_on_memory(borrow(on_memory));
  stores.run_on_sqlite(on_sqlite);
  Model other = model;
  for (std::size_t i = 0; i < on_memory.size(); ++i) {
    const auto& memory = static_cast<const WorkCommand&>(*on_memory[i]);
    const auto& sqlite = static_cast<const WorkCommand&>(*on_sqlite[i]);
    ASSERT_EQ(memory.outcome(), sqlite.outcome());
    if (memory.outcome() != Commit::kDone) continue;
    memory.apply(model);
    sqlite.apply(other);
  }
  ASSERT_TRUE(model == other) << difference(model, other);
}

void ask_alike(Pair& stores, std::mt19937_64& random, std::size_t numbers) {
  std::string seen_in_memory;
  std::string seen_in_sqlite;
  std::vector<Script> memory_scripts;
  std::vector<Script> sqlite_scripts;
  for (std::uint64_t i = 1 + random() % 4; i > 0; --i) {
    const KeySet keys = random_keys(random, numbers);
    memory_scripts.push_back(
        {keys, [&, keys](WorkingSet& working) { seen_in_memory += see(working, keys); }});
    sqlite_scripts.push_back(
        {keys, [&, keys](WorkingSet& working) { seen_in_sqlite += see(working, keys); }});
  }
  Answers answers;
  const auto commands_of = [&answers](std::vector<Script>& scripts) {
    std::vector<std::unique_ptr<Command>> commands;
    for (Script& script : scripts) commands.push_back(answers.command(std::move(script)));
    return commands;
  };
  stores.run_on_memory(commands_of(memory_scripts));
  stores.run_on_sqlite(commands_of(sqlite_scripts));
  ASSERT_TRUE(answers.wait());
  ASSERT_EQ(seen_in_memory, seen_in_sqlite);
}

TEST(Engines, AnswerAlike) {
  const std::uint64_t first = SystemRandom().next() % 1'000'000;
  for (std::uint64_t seed = first; seed < first + 25; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Pair stores;
    Model model;
    std::mt19937_64 left_random(seed);
    std::mt19937_64 right_random(seed);
    Workload left(left_random);
    Workload right(right_random);
    std::mt19937_64 questions(seed);
    for (int i = 0; i < 12; ++i) {
      write_alike(stores, left, right, model);
      if (HasFatalFailure()) return;
      ask_alike(stores, questions, 10 + model.attempts.size() * 2);
      if (HasFatalFailure()) return;
    }
    const Result<Model> found = read_model(stores.engine().database());
    ASSERT_TRUE(found) << found.error().detail;
    ASSERT_TRUE(*found == model) << difference(model, *found);
  }
}

}  // namespace
}  // namespace postern::store
