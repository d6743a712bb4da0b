#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "store/store.h"

namespace postern::store {

/// Code of an error after which the same batch may go through at once: the database broke a
/// deadlock, or could not put two transactions in an order.
inline constexpr std::string_view kConflict = "store_conflict";

/// What an engine offers to write batches: one database transaction at a time. @thread one
class Engine {
 public:
  virtual ~Engine() = default;
  /// @errors any: nothing was begun
  [[nodiscard]] virtual Result<void> begin() = 0;
  /// Loads what `keys` names: attempts and orders by key, each order with all its attempts, their
  /// facts, and the endpoints it owes something; facts by key with the callback they came from;
  /// messages with their callback; deliveries with their chain; events with what consumers said.
  /// Called once per batch, with the keys of all its commands; the
  /// same key may stand there several times.
  /// @errors kRejected: one of the keys cannot be looked up, the others might; any other
  [[nodiscard]] virtual Result<void> load(const KeySet& keys, WorkingSet& working) = 0;
  /// @errors kRejected: one of the rows cannot be written (a broken constraint), the others might;
  ///         anything else: the storage is in doubt or full
  [[nodiscard]] virtual Result<void> write(const Writes& writes) = 0;
  [[nodiscard]] virtual Commit commit() = 0;
  virtual void rollback() = 0;
  /// Housekeeping between batches, when their commands have their answers.
  virtual void tidy() = 0;
  /// How long the engine may go without it when no batch comes; zero: for ever. @thread as above
  [[nodiscard]] virtual std::chrono::milliseconds tidy_every() const { return {}; }
  /// The first doubt about the storage. From then on nothing is begun any more.
  [[nodiscard]] virtual const std::optional<Error>& failure() const = 0;
};

/// Writes `commands` as one batch and finishes each exactly once.
///
/// Where the rows of a batch of several cannot be written, it is rolled back and every command is
/// tried alone, so that only the one at fault is refused. After a conflict with another node the
/// batch is planned again, a few times at most.
void run_batch(Engine& engine, RowIds& ids, std::span<const std::unique_ptr<Command>> commands);

}  // namespace postern::store
