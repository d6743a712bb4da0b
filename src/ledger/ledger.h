#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/current.h"
#include "base/result.h"
#include "ledger/policy.h"
#include "store/store.h"

namespace postern::ledger {

/// A verified callback, ready to be recorded.
struct Recording {
  /// Never null. `id`, `copies` and `copy_of` are the ledger's to fill in. Where `facts` is empty,
  /// `outcome` is kNothingToDo or kToBeConfirmed and `message_key` is not empty; else both are
  /// ignored.
  std::shared_ptr<const store::CallbackRow> evidence;
  std::vector<core::Fact> facts;
  /// Parts of a combined callback that yielded no fact, each with its reason ("SUB-2:
  /// sub_merchant_mismatch"): an incident each.
  std::vector<std::string> left_out;
  /// What it is recorded by: the policy of the configuration that verified it. Null: the ledger's.
  std::shared_ptr<const Policy> policy = nullptr;
};

/// What is durable when `record` answers with a value.
struct Recorded {
  store::CallbackOutcome outcome;
  store::RowId callback = 0;  ///< the row that holds the evidence: for a copy, the first one's
};

/// An order as the merchant announces it.
struct Registering {
  core::OrderKey key;
  core::Money expected;
  std::vector<core::AttemptKey> attempts;  ///< at least one, of the merchant's own accounts
};

enum class RegisterOutcome : unsigned char { kCreated, kUnchanged, kChanged };

struct Registered {
  RegisterOutcome outcome;
  store::RowId order = 0;
};

/// A reason to look that comes from outside the fold.
struct Report {
  core::IncidentKind kind;
  std::string subject;
  std::string detail;
};

/// The only writer of facts. Each call is one command to the store: all of its rows become durable
/// together, or none does.
///
/// Lifetime: store and clock outlive the ledger, and so does what `on_written` refers to the store.
///  @thread any; answers come on the store's thread
/// and must not block
class Ledger {
 public:
  /// @param on_written  called on the store's thread when something durable may have brought
  ///                    deliveries; must not block
  Ledger(
      store::Store& store, const Clock& clock, std::shared_ptr<const Policy> policy,
      std::function<void()> on_written = [] {})
      : store_(store),
        clock_(clock),
        policy_(std::move(policy)),
        on_written_(std::make_shared<const std::function<void()>>(std::move(on_written))) {}

  /// Records a callback's evidence with its facts and all that follows from them.
  /// @errors kRetryable store_refused (nothing was written), commit_unknown (perhaps it was)
  void record(Recording recording, std::move_only_function<void(Result<Recorded>)> done);

  /// Registers an order; doing it again with the same sum adds attempts and changes nothing else.
  /// Facts that waited for it are applied in the same commit.
  /// @errors kRejected order_exists (another sum), attempt_taken (it belongs to another order);
  ///         kRetryable as `record`, configuration_changed (an attempt's account has just gone)
  void register_order(Registering order, std::move_only_function<void(Result<Registered>)> done);

  /// Raises an incident, or counts it up. @errors kRetryable as `record`
  void report(Report report, std::move_only_function<void(Result<void>)> done);
  /// Resolves an incident, if there is one. @errors kRetryable as `record`
  void resolve(core::IncidentKind kind, std::string subject,
               std::move_only_function<void(Result<void>)> done);

  /// Writes to the audit what somebody did that changes no row. @errors kRetryable as `record`
  void audit(store::AuditRow act, std::move_only_function<void(Result<void>)> done);

  /// What everything is recorded by that comes from now on. @thread any
  void set_policy(std::shared_ptr<const Policy> policy) { policy_.set(std::move(policy)); }
  [[nodiscard]] std::shared_ptr<const Policy> policy() const { return policy_.get(); }

  /// Whether callbacks and orders are taken. While put off, `record` and `register_order` fail at
  /// once with kRetryable disk_low, and nothing is written. @thread any
  enum class Intake : unsigned char { kOpen, kPutOff };
  void set_intake(Intake intake) { intake_ = intake; }

 private:
  store::Store& store_;
  const Clock& clock_;
  Current<Policy> policy_;
  std::shared_ptr<const std::function<void()>> on_written_;
  std::atomic<Intake> intake_ = Intake::kOpen;
};

/// The merchant's number of an order that is opened by its first fact.
[[nodiscard]] core::OrderKey open_order_key(const AccountPolicy& account,
                                            const core::AttemptKey& attempt);

}  // namespace postern::ledger
