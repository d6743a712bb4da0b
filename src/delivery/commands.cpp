// The only writers of deliveries once they exist. Each plans on what the store loaded for it, so
// that a claim, an end and the next one's turn are one commit.
#include "delivery/commands.h"

#include <fmt/format.h>

#include <utility>

namespace postern::delivery {
namespace {

using store::Commit;
using store::DeliveryRow;
using store::DeliveryState;
using store::LoadedDelivery;
using store::WorkingSet;

class ClaimCommand final : public store::Command {
 public:
  ClaimCommand(store::ClaimKey key, std::chrono::milliseconds lease,
               std::move_only_function<void(std::optional<Claimed>)> done)
      : key_(std::move(key)), lease_(lease), done_(std::move(done)) {}

  store::KeySet keys() const override {
    store::KeySet keys;
    keys.claims.push_back(key_);
    return keys;
  }

  void plan(WorkingSet& working) override {
    claimed_ = {};
    // A copy: updating changes what the set says is claimable.
    const std::vector<store::RowId> due = working.deliveries().claimable(key_.endpoint);
    for (const store::RowId id : due) {
      DeliveryRow row = working.deliveries().find(id)->row;
      if (row.state != DeliveryState::kReady || row.due_at > key_.due_by) continue;
      ++row.lease;
      row.due_at = key_.due_by + lease_;
      working.update_delivery(row, key_.due_by);
      claimed_.deliveries.push_back(*working.deliveries().find(id));
    }
    claimed_.next_due = working.deliveries().next_due(key_.endpoint);
  }

  void finish(Commit outcome) noexcept override {
    if (outcome == Commit::kDone) {
      done_(std::move(claimed_));
    } else {
      done_(std::nullopt);
    }
  }

 private:
  store::ClaimKey key_;
  std::chrono::milliseconds lease_;
  std::move_only_function<void(std::optional<Claimed>)> done_;
  Claimed claimed_;
};

class EndCommand final : public store::Command {
 public:
  EndCommand(Ending ending, std::move_only_function<void(Commit)> done)
      : ending_(std::move(ending)), done_(std::move(done)) {}

  store::KeySet keys() const override {
    store::KeySet keys;
    keys.deliveries.push_back(ending_.tried.delivery);
    return keys;
  }

  void plan(WorkingSet& working) override {
    const LoadedDelivery* loaded = working.deliveries().find(ending_.tried.delivery);
    if (loaded == nullptr) return;
    DeliveryRow row = loaded->row;
    if (row.state != DeliveryState::kReady || row.lease != ending_.lease) return;
    const store::RowId event = loaded->event.id;
    if (ending_.decision.kind != Decision::Kind::kReleased) ++row.tries;
    row.reason = ending_.decision.reason;
    switch (ending_.decision.kind) {
      case Decision::Kind::kDelivered:
        row.state = DeliveryState::kDelivered;
        break;
      case Decision::Kind::kRetry:
      case Decision::Kind::kReleased:
        row.due_at = ending_.decision.due_at;
        break;
      case Decision::Kind::kDead:
        row.state = DeliveryState::kDead;
        break;
    }
    working.update_delivery(row, ending_.now);
    (void)working.add_try(ending_.tried);
    if (ending_.decision.kind == Decision::Kind::kDead) raise_dead(working, row, event);
  }

  void finish(Commit outcome) noexcept override { done_(outcome); }

 private:
  void raise_dead(WorkingSet& working, const DeliveryRow& row, store::RowId event) const {
    working.raise_incident(
        {.kind = core::IncidentKind::kDeliveryDead,
         .subject = dead_subject(row.endpoint, ending_.tag, event),
         .order = row.order,
         .detail = fmt::format("Every try failed, the last with {}. Mend the endpoint, then retry "
                               "the delivery.",
                               ending_.decision.reason),
         .first_at = ending_.now,
         .last_at = ending_.now});
  }

  Ending ending_;
  std::move_only_function<void(Commit)> done_;
};

class GoneCommand final : public store::Command {
 public:
  GoneCommand(EndpointName endpoint, TimePoint now, std::move_only_function<void(Commit)> done)
      : endpoint_(std::move(endpoint)), now_(now), done_(std::move(done)) {}

  store::KeySet keys() const override { return {}; }
  void plan(WorkingSet& working) override {
    working.raise_incident({.kind = core::IncidentKind::kEndpointGone,
                            .subject = endpoint_.text(),
                            .detail =
                                "The endpoint answered 410: it takes nothing any more, so "
                                "nothing is sent to it. Mend its URL and reload, or mend it and "
                                "restart Postern; what it is owed is kept.",
                            .first_at = now_,
                            .last_at = now_});
  }
  void finish(Commit outcome) noexcept override { done_(outcome); }

 private:
  EndpointName endpoint_;
  TimePoint now_;
  std::move_only_function<void(Commit)> done_;
};

class BackCommand final : public store::Command {
 public:
  BackCommand(EndpointName endpoint, std::move_only_function<void(Commit)> done)
      : endpoint_(std::move(endpoint)), done_(std::move(done)) {}

  store::KeySet keys() const override { return {}; }
  void plan(WorkingSet& working) override {
    working.resolve_incident(core::IncidentKind::kEndpointGone, endpoint_.text());
  }
  void finish(Commit outcome) noexcept override { done_(outcome); }

 private:
  EndpointName endpoint_;
  std::move_only_function<void(Commit)> done_;
};

class WishCommand final : public store::Command {
 public:
  WishCommand(store::RowId delivery, Wish wish, store::Actor by, std::string tag, TimePoint now,
              std::move_only_function<void(Result<Wished>)> done)
      : delivery_(delivery),
        wish_(wish),
        by_(std::move(by)),
        tag_(std::move(tag)),
        now_(now),
        done_(std::move(done)) {}

  store::KeySet keys() const override {
    store::KeySet keys;
    keys.deliveries.push_back(delivery_);
    return keys;
  }

  void plan(WorkingSet& working) override {
    grant(working);
    (void)working.add_audit({.at = now_,
                             .actor = by_,
                             .act = wish_ == Wish::kRetry ? store::AuditAct::kDeliveryRetried
                                                          : store::AuditAct::kDeliveryCancelled,
                             .outcome = wished_ == Wished::kDone ? store::AuditOutcome::kDone
                                                                 : store::AuditOutcome::kRefused,
                             .deliveries = {delivery_},
                             .detail = std::string(why_refused(wished_))});
  }

  void finish(Commit outcome) noexcept override {
    switch (outcome) {
      case Commit::kDone:
        return done_(wished_);
      case Commit::kRefused:
        return done_(retryable("store_refused", "the store is full, failed or shutting down"));
      case Commit::kUnknown:
        return done_(retryable("commit_unknown", "the store could not say whether it is durable"));
    }
  }

 private:
  void grant(WorkingSet& working) {
    const LoadedDelivery* loaded = working.deliveries().find(delivery_);
    if (loaded == nullptr) {
      wished_ = Wished::kNotThere;
      return;
    }
    DeliveryRow row = loaded->row;
    if (wish_ == Wish::kRetry && row.state == DeliveryState::kDead) {
      working.resolve_incident(core::IncidentKind::kDeliveryDead,
                               dead_subject(row.endpoint, tag_, loaded->event.id));
    }
    wished_ = wish_ == Wish::kRetry ? retry(row) : cancel(row);
    if (wished_ == Wished::kDone) working.update_delivery(row, now_);
  }

  [[nodiscard]] Wished retry(DeliveryRow& row) const {
    if (row.state == DeliveryState::kDelivered) return Wished::kDelivered;
    if (row.state == DeliveryState::kDead || row.state == DeliveryState::kCancelled) row.tries = 0;
    // One that waits is the operator's to send at once, before its turn.
    row.state = DeliveryState::kReady;
    row.due_at = now_;
    // A try that is under way under the old lease must not end the new one.
    ++row.lease;
    row.reason.clear();
    return Wished::kDone;
  }

  [[nodiscard]] Wished cancel(DeliveryRow& row) const {
    switch (row.state) {
      case DeliveryState::kDelivered:
        return Wished::kDelivered;
      case DeliveryState::kDead:
      case DeliveryState::kCancelled:
        return Wished::kEnded;
      case DeliveryState::kReady:
      case DeliveryState::kWaiting:
        break;
    }
    row.state = DeliveryState::kCancelled;
    row.reason = fmt::format("cancelled by {}", by_.name);
    return Wished::kDone;
  }

  store::RowId delivery_;
  Wish wish_;
  store::Actor by_;
  std::string tag_;
  TimePoint now_;
  std::move_only_function<void(Result<Wished>)> done_;
  Wished wished_ = Wished::kNotThere;
};

}  // namespace

std::unique_ptr<store::Command> claim_command(
    store::ClaimKey key, std::chrono::milliseconds lease,
    std::move_only_function<void(std::optional<Claimed>)> done) {
  return std::make_unique<ClaimCommand>(std::move(key), lease, std::move(done));
}

std::unique_ptr<store::Command> end_command(Ending ending,
                                            std::move_only_function<void(Commit)> done) {
  return std::make_unique<EndCommand>(std::move(ending), std::move(done));
}

std::unique_ptr<store::Command> gone_command(EndpointName endpoint, TimePoint now,
                                             std::move_only_function<void(Commit)> done) {
  return std::make_unique<GoneCommand>(std::move(endpoint), now, std::move(done));
}

std::unique_ptr<store::Command> back_command(EndpointName endpoint,
                                             std::move_only_function<void(Commit)> done) {
  return std::make_unique<BackCommand>(std::move(endpoint), std::move(done));
}

std::string_view why_refused(Wished wished) {
  switch (wished) {
    case Wished::kDone:
      return "";
    case Wished::kNotThere:
      return "delivery_not_found";
    case Wished::kEnded:
      return "delivery_ended";
    case Wished::kDelivered:
      return "delivery_delivered";
  }
  return "";
}

std::string dead_subject(const EndpointName& endpoint, const std::string& tag, store::RowId event) {
  return fmt::format("{}/{}", endpoint.text(), store::public_id("evt", tag, event));
}

std::unique_ptr<store::Command> wish_command(store::RowId delivery, Wish wish, store::Actor by,
                                             std::string tag, TimePoint now,
                                             std::move_only_function<void(Result<Wished>)> done) {
  return std::make_unique<WishCommand>(delivery, wish, std::move(by), std::move(tag), now,
                                       std::move(done));
}

}  // namespace postern::delivery
