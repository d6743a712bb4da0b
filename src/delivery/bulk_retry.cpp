#include "delivery/bulk_retry.h"

#include <utility>

#include "delivery/commands.h"

namespace postern::delivery {
namespace {

using store::Commit;
using store::DeliveryRow;
using store::DeliveryState;

/// Whether the endpoint still owes or tries an earlier one of the order.
[[nodiscard]] bool has_earlier(const store::DeliverySet& deliveries, const DeliveryRow& row) {
  const store::Chain* chain = deliveries.chain({row.order, row.endpoint});
  if (chain == nullptr) return false;
  const auto begins_before = [&row](const std::set<store::RowId>& ids) {
    return !ids.empty() && *ids.begin() < row.id;
  };
  return begins_before(chain->ready) || begins_before(chain->waiting);
}

class BulkRetryCommand final : public store::Command {
 public:
  BulkRetryCommand(BulkRetry retry, std::move_only_function<void(Result<BulkRetried>)> done)
      : retry_(std::move(retry)), done_(std::move(done)) {}

  store::KeySet keys() const override {
    store::KeySet keys;
    keys.deliveries = retry_.deliveries;
    return keys;
  }

  void plan(store::WorkingSet& working) override {
    retried_ = {.due_next = std::max(retry_.now, retry_.due_from)};
    std::vector<store::RowId> revived;
    for (const store::RowId id : retry_.deliveries) {
      const store::LoadedDelivery* loaded = working.deliveries().find(id);
      if (loaded == nullptr || loaded->row.state != retry_.state) continue;
      revive(working, loaded->row, loaded->event.id);
      retried_.due_next += retry_.due_spacing;
      ++retried_.retried;
      revived.push_back(id);
    }
    (void)working.add_audit({.at = retry_.now,
                             .actor = retry_.by,
                             .act = store::AuditAct::kDeliveriesRetried,
                             .outcome = store::AuditOutcome::kDone,
                             .deliveries = std::move(revived),
                             .detail = retry_.asked});
  }

  void finish(Commit outcome) noexcept override {
    switch (outcome) {
      case Commit::kDone:
        return done_(retried_);
      case Commit::kRefused:
        return done_(retryable("store_refused", "the store is full, failed or shutting down"));
      case Commit::kUnknown:
        return done_(retryable("commit_unknown", "the store could not say whether it is durable"));
    }
  }

 private:
  void revive(store::WorkingSet& working, DeliveryRow row, store::RowId event) const {
    switch (row.state) {
      case DeliveryState::kDead:
        working.resolve_incident(core::IncidentKind::kDeliveryDead,
                                 dead_subject(row.endpoint, retry_.tag, event));
        [[fallthrough]];
      case DeliveryState::kCancelled:
        row.tries = 0;
        row.state = has_earlier(working.deliveries(), row) ? DeliveryState::kWaiting
                                                           : DeliveryState::kReady;
        break;
      case DeliveryState::kReady:
      case DeliveryState::kWaiting:
        row.state = DeliveryState::kReady;
        break;
      case DeliveryState::kDelivered:
        return;
    }
    row.due_at = retried_.due_next;
    // A try that is under way under the old lease must not end the new one.
    ++row.lease;
    row.reason.clear();
    working.update_delivery(row, retry_.now);
  }

  const BulkRetry retry_;
  std::move_only_function<void(Result<BulkRetried>)> done_;
  BulkRetried retried_;
};

}  // namespace

std::unique_ptr<store::Command> bulk_retry_command(
    BulkRetry retry, std::move_only_function<void(Result<BulkRetried>)> done) {
  return std::make_unique<BulkRetryCommand>(std::move(retry), std::move(done));
}

}  // namespace postern::delivery
