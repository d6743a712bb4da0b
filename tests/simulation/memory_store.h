#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/batch.h"
#include "store/store.h"

namespace postern::simulation {

/// What survives the process: the tables and what makes their rows findable. A copy of it is a
/// snapshot. Loading it into a new `MemoryStore` is a restart.
struct MemoryDisk {
  using RowId = store::RowId;
  using Pairs = std::set<std::pair<RowId, RowId>>;  ///< an index: owner, row

  std::string tag = "memory";
  std::map<RowId, store::OrderRow> orders;
  std::map<RowId, store::AttemptRow> attempts;
  std::map<RowId, store::FactRow> facts;
  std::map<RowId, store::CallbackRow> callbacks;  ///< their `copies` stand in the row
  std::map<RowId, store::EventRow> events;
  std::map<RowId, store::DeliveryRow> deliveries;
  std::map<RowId, store::IncidentRow> incidents;
  std::map<RowId, store::TryRow> tries;
  std::map<RowId, store::AuditRow> audit;
  std::map<std::pair<RowId, std::string>, store::AppliedRow> applied;  ///< by event, consumer

  std::map<core::OrderKey, RowId> orders_by_key;
  std::map<core::AttemptKey, RowId> attempts_by_key;
  std::map<std::string, RowId> facts_by_key;
  std::map<store::MessageKey, RowId> callbacks_by_message;
  std::map<std::pair<std::string, core::IncidentKind>, RowId> incidents_by_subject;
  std::map<std::pair<RowId, std::int64_t>, RowId> events_by_sequence;
  Pairs attempts_by_order;
  Pairs facts_by_attempt;
  Pairs callbacks_by_first;
  Pairs deliveries_by_order;
  Pairs tries_by_delivery;
};

/// How one transaction ends.
enum class CommitFault : unsigned char {
  kNone,
  kRefused,         ///< not written, as on a full disk; the store goes on
  kUnknownLost,     ///< the commit's answer is an error, and it is not there
  kUnknownApplied,  ///< the commit's answer is an error, and it is there
  kCrashLost,       ///< the process dies in the commit: nobody gets an answer, it is not there
  kCrashApplied,    ///< the process dies in the commit: nobody gets an answer, it is there
};

struct MemoryStoreOptions {
  std::size_t batch_max = 256;
  std::size_t queue_max = 16384;
  /// Plants a guard against doubles that sees nothing of earlier batches, and no unique key behind
  /// it: what a rig has to report.
  enum class Dedupe : unsigned char { kKept, kCheckThenAct } dedupe = Dedupe::kKept;
  /// Plants deliveries that are written by the transaction after that of their cause: the same.
  enum class Outbox : unsigned char {
    kSameTransaction,
    kNextTransaction
  } outbox = Outbox::kSameTransaction;
};

/// A store for one thread: batches are written when `pump` says so, and fail as the simulator says.
/// The real `run_batch` plans and writes them.
class MemoryStore final : public store::Store {
 public:
  /// Lifetime: `disk` outlives the store. What is queued when the store goes is written first.
  explicit MemoryStore(
      MemoryDisk& disk, MemoryStoreOptions options = {},
      std::move_only_function<void(Error)> on_failure = [](const Error&) {});
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;
  ~MemoryStore() override;

  void submit(std::unique_ptr<store::Command> command) override;
  [[nodiscard]] bool healthy() const override { return !failed_ && !*crashed_; }
  [[nodiscard]] Result<std::unique_ptr<store::Reader>> reader() override;
  [[nodiscard]] const std::string& tag() const override { return disk_.tag; }

  // For the simulator.
  /// Writes one batch. Whether there was one to write.
  bool pump();
  [[nodiscard]] std::size_t queued() const { return queue_.size(); }
  /// Asked once per transaction, before it is committed.
  void set_faults(std::function<CommitFault()> faults);
  /// The process dies: what is queued is forgotten, and nobody gets an answer any more.
  void crash();
  [[nodiscard]] bool crashed() const { return *crashed_; }

 private:
  class EngineImpl;

  void fail(const Error& error);

  MemoryDisk& disk_;
  const MemoryStoreOptions options_;
  std::move_only_function<void(Error)> on_failure_;
  std::shared_ptr<bool> crashed_ = std::make_shared<bool>(false);
  std::unique_ptr<EngineImpl> engine_;
  std::deque<std::unique_ptr<store::Command>> queue_;
  bool failed_ = false;
};

}  // namespace postern::simulation
