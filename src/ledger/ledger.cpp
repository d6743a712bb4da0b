#include "ledger/ledger.h"

#include <algorithm>
#include <optional>

#include "ledger/planner.h"

namespace postern::ledger {
namespace {

[[nodiscard]] std::unexpected<Error> not_done(store::Commit outcome) {
  if (outcome == store::Commit::kUnknown) {
    return retryable("commit_unknown", "the store could not say whether the commit is durable");
  }
  return retryable("store_refused", "the store is full, failed or shutting down");
}

/// A planned answer that becomes true when the batch is durable.
template <class Answer>
class Promised {
 public:
  explicit Promised(std::move_only_function<void(Result<Answer>)> done) : done_(std::move(done)) {}
  void set(Result<Answer> answer) { answer_ = std::move(answer); }
  void settle(store::Commit outcome) noexcept {
    if (outcome == store::Commit::kDone && answer_) {
      done_(std::move(*answer_));
    } else {
      done_(not_done(outcome));
    }
  }

 private:
  std::move_only_function<void(Result<Answer>)> done_;
  std::optional<Result<Answer>> answer_;
};

class RecordCommand final : public store::Command {
 public:
  RecordCommand(std::shared_ptr<const Policy> policy, Recording recording, TimePoint now,
                std::shared_ptr<const std::function<void()>> on_written,
                std::move_only_function<void(Result<Recorded>)> done)
      : policy_(std::move(policy)),
        on_written_(std::move(on_written)),
        recording_(std::move(recording)),
        now_(now),
        promised_(std::move(done)) {}

  store::KeySet keys() const override { return keys_of(*policy_, recording_); }
  void plan(store::WorkingSet& working) override {
    promised_.set(plan_record(working, *policy_, recording_, now_));
  }
  void finish(store::Commit outcome) noexcept override {
    promised_.settle(outcome);
    if (outcome == store::Commit::kDone) (*on_written_)();
  }

 private:
  std::shared_ptr<const Policy> policy_;
  std::shared_ptr<const std::function<void()>> on_written_;
  Recording recording_;
  TimePoint now_;
  Promised<Recorded> promised_;
};

class RegisterCommand final : public store::Command {
 public:
  RegisterCommand(std::shared_ptr<const Policy> policy, Registering order, TimePoint now,
                  std::shared_ptr<const std::function<void()>> on_written,
                  std::move_only_function<void(Result<Registered>)> done)
      : policy_(std::move(policy)),
        on_written_(std::move(on_written)),
        order_(std::move(order)),
        now_(now),
        promised_(std::move(done)) {}

  store::KeySet keys() const override { return keys_of(order_); }
  void plan(store::WorkingSet& working) override {
    promised_.set(plan_register(working, *policy_, order_, now_));
  }
  void finish(store::Commit outcome) noexcept override {
    promised_.settle(outcome);
    if (outcome == store::Commit::kDone) (*on_written_)();
  }

 private:
  std::shared_ptr<const Policy> policy_;
  std::shared_ptr<const std::function<void()>> on_written_;
  Registering order_;
  TimePoint now_;
  Promised<Registered> promised_;
};

class ReportCommand final : public store::Command {
 public:
  ReportCommand(Report report, TimePoint now, std::move_only_function<void(Result<void>)> done)
      : report_(std::move(report)), now_(now), promised_(std::move(done)) {}

  store::KeySet keys() const override { return {}; }
  void plan(store::WorkingSet& working) override {
    working.raise_incident({.kind = report_.kind,
                            .subject = report_.subject,
                            .detail = report_.detail,
                            .first_at = now_,
                            .last_at = now_});
    promised_.set({});
  }
  void finish(store::Commit outcome) noexcept override { promised_.settle(outcome); }

 private:
  Report report_;
  TimePoint now_;
  Promised<void> promised_;
};

class ResolveCommand final : public store::Command {
 public:
  ResolveCommand(core::IncidentKind kind, std::string subject,
                 std::move_only_function<void(Result<void>)> done)
      : kind_(kind), subject_(std::move(subject)), promised_(std::move(done)) {}

  store::KeySet keys() const override { return {}; }
  void plan(store::WorkingSet& working) override {
    working.resolve_incident(kind_, subject_);
    promised_.set({});
  }
  void finish(store::Commit outcome) noexcept override { promised_.settle(outcome); }

 private:
  core::IncidentKind kind_;
  std::string subject_;
  Promised<void> promised_;
};

class AuditCommand final : public store::Command {
 public:
  AuditCommand(store::AuditRow act, std::move_only_function<void(Result<void>)> done)
      : act_(std::move(act)), promised_(std::move(done)) {}

  store::KeySet keys() const override { return {}; }
  void plan(store::WorkingSet& working) override {
    (void)working.add_audit(act_);
    promised_.set({});
  }
  void finish(store::Commit outcome) noexcept override { promised_.settle(outcome); }

 private:
  store::AuditRow act_;
  Promised<void> promised_;
};

[[nodiscard]] std::unexpected<Error> put_off() {
  return retryable("disk_low", "the disk is almost full: nothing is taken until there is room");
}

}  // namespace

void Ledger::record(Recording recording, std::move_only_function<void(Result<Recorded>)> done) {
  if (intake_ == Intake::kPutOff) return done(put_off());
  std::shared_ptr<const Policy> policy =
      recording.policy != nullptr ? std::move(recording.policy) : policy_.get();
  store_.submit(std::make_unique<RecordCommand>(std::move(policy), std::move(recording),
                                                clock_.now(), on_written_, std::move(done)));
}

void Ledger::register_order(Registering order,
                            std::move_only_function<void(Result<Registered>)> done) {
  if (intake_ == Intake::kPutOff) return done(put_off());
  std::shared_ptr<const Policy> policy = policy_.get();
  // The caller has looked at the accounts, but perhaps before the configuration was replaced.
  const bool has_all = std::ranges::all_of(order.attempts, [&](const core::AttemptKey& attempt) {
    return policy->accounts.contains(attempt.account.text());
  });
  if (!has_all) {
    return done(
        retryable("configuration_changed", "an account of the order has just been removed"));
  }
  store_.submit(std::make_unique<RegisterCommand>(std::move(policy), std::move(order), clock_.now(),
                                                  on_written_, std::move(done)));
}

void Ledger::report(Report report, std::move_only_function<void(Result<void>)> done) {
  store_.submit(std::make_unique<ReportCommand>(std::move(report), clock_.now(), std::move(done)));
}

void Ledger::resolve(core::IncidentKind kind, std::string subject,
                     std::move_only_function<void(Result<void>)> done) {
  store_.submit(std::make_unique<ResolveCommand>(kind, std::move(subject), std::move(done)));
}

void Ledger::audit(store::AuditRow act, std::move_only_function<void(Result<void>)> done) {
  store_.submit(std::make_unique<AuditCommand>(std::move(act), std::move(done)));
}

}  // namespace postern::ledger
