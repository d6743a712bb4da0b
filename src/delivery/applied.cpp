#include "delivery/applied.h"

#include <algorithm>
#include <utility>

namespace postern::delivery {
namespace {

class AppliedCommand final : public store::Command {
 public:
  AppliedCommand(store::AppliedRow applied,
                 std::move_only_function<void(Result<store::AppliedRow>)> done)
      : applied_(std::move(applied)), done_(std::move(done)) {}

  store::KeySet keys() const override {
    store::KeySet keys;
    keys.events.push_back(applied_.event);
    return keys;
  }

  void plan(store::WorkingSet& working) override { answer_ = decide(working); }

  void finish(store::Commit outcome) noexcept override {
    switch (outcome) {
      case store::Commit::kDone:
        return done_(std::move(answer_));
      case store::Commit::kRefused:
        return done_(retryable("store_refused", "the store is full, failed or shutting down"));
      case store::Commit::kUnknown:
        return done_(retryable("commit_unknown", "the store could not say whether it is durable"));
    }
  }

 private:
  [[nodiscard]] Result<store::AppliedRow> decide(store::WorkingSet& working) const {
    const store::KnownEvent* event = working.find_event(applied_.event);
    if (event == nullptr) return rejected("event_not_found", "no event of that id in this store");
    const auto known =
        std::ranges::find(event->applied, applied_.consumer, &store::AppliedRow::consumer);
    if (known != event->applied.end()) return *known;
    if (event->applied.size() >= kConsumersMax) {
      return rejected("consumers_too_many",
                      "sixteen consumers have applied the event: use the same names each time");
    }
    working.add_applied(applied_);
    return applied_;
  }

  const store::AppliedRow applied_;
  std::move_only_function<void(Result<store::AppliedRow>)> done_;
  Result<store::AppliedRow> answer_;
};

}  // namespace

std::unique_ptr<store::Command> applied_command(
    store::AppliedRow applied, std::move_only_function<void(Result<store::AppliedRow>)> done) {
  return std::make_unique<AppliedCommand>(std::move(applied), std::move(done));
}

}  // namespace postern::delivery
