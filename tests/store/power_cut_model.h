#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/sqlite/sqlite.h"
#include "store/store.h"

namespace postern::store {

/// All rows of a store, in words: two stores that hold the same are equal.
struct Model {
  std::map<RowId, std::string> orders, attempts, facts, callbacks, events;
  std::map<std::pair<RowId, std::string>, std::string> deliveries;  ///< by event and endpoint
  std::map<RowId, std::int64_t> copies;
  std::map<std::string, std::pair<std::int64_t, IncidentState>> incidents;  ///< count, by subject
  friend bool operator==(const Model&, const Model&) = default;
};

[[nodiscard]] Result<Model> read_model(sqlite::Database& database);

/// In which tables two models differ, for people.
[[nodiscard]] std::string difference(const Model& expected, const Model& found);

/// A command that knows what it changes.
class WorkCommand final : public Command {
 public:
  using Effects = std::vector<std::function<void(Model&)>>;

  WorkCommand(KeySet keys, std::function<void(WorkingSet&, Effects&)> plan)
      : keys_(std::move(keys)), plan_(std::move(plan)) {}
  KeySet keys() const override { return keys_; }
  void plan(WorkingSet& working) override;
  void finish(Commit outcome) noexcept override { outcome_ = outcome; }

  [[nodiscard]] Commit outcome() const { return outcome_; }
  void apply(Model& model) const;

 private:
  KeySet keys_;
  std::function<void(WorkingSet&, Effects&)> plan_;
  Effects effects_;
  Commit outcome_ = Commit::kRefused;
};

/// The order that the attempt called `number` belongs to, once it is registered: three share one.
[[nodiscard]] core::OrderKey order_of(const std::string& number);

/// Makes batches of commands at random: orders registered, paid, paid again, paid before they are
/// known, incidents raised and resolved, and now and then a command whose rows cannot be written.
class Workload {
 public:
  explicit Workload(std::mt19937_64& random) : random_(random) {}
  [[nodiscard]] std::vector<std::unique_ptr<Command>> batch(const Model& model);

 private:
  [[nodiscard]] std::unique_ptr<Command> command(const Model& model);
  [[nodiscard]] std::unique_ptr<Command> register_order(const std::string& number);
  [[nodiscard]] std::unique_ptr<Command> pay(const std::string& number);
  [[nodiscard]] std::unique_ptr<Command> incident();
  [[nodiscard]] std::unique_ptr<Command> impossible();
  [[nodiscard]] std::string body();

  std::mt19937_64& random_;
};

}  // namespace postern::store
