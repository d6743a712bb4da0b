// An endpoint is pumped: it claims as many deliveries as it has room for, hands each to its sink,
// writes each answer, and is pumped again. While there is a backlog that is with the answer, since
// a try that is over makes room before it is written: its end and the next claim share a batch. In
// any case it is when the end is written, since only then the order's next delivery is ready.
// Whatever comes back (a claim, an answer, a commit, a timer) may come on another thread and after
// the dispatcher has stopped, so each holds the endpoint alive and takes its lock; nothing is
// called with the lock held but the ports' own methods that never call back.
#include "delivery/dispatcher.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "base/failpoint.h"
#include "delivery/breaker.h"

namespace postern::delivery {
namespace {

using store::LoadedDelivery;

[[nodiscard]] store::TryOutcome outcome_of(Answer::Verdict verdict) {
  switch (verdict) {
    case Answer::Verdict::kDelivered:
      return store::TryOutcome::kDelivered;
    case Answer::Verdict::kNotDelivered:
      return store::TryOutcome::kNotDelivered;
    case Answer::Verdict::kUnknown:
      return store::TryOutcome::kUnknown;
  }
  return store::TryOutcome::kUnknown;
}

}  // namespace

class Dispatcher::Endpoint : public std::enable_shared_from_this<Endpoint> {
 public:
  Endpoint(EndpointOptions options, DispatcherOptions limits, World world)
      : name_(std::move(options.name)),
        concurrency_(options.concurrency),
        schedule_(std::move(options.schedule)),
        limits_(limits),
        world_(world),
        in_flight_gauge_(world_.metrics.gauge("postern_deliveries_in_flight",
                                              "Deliveries being tried.",
                                              {{"endpoint", name_.text()}})),
        breaker_gauge_(world_.metrics.gauge("postern_endpoint_breaker_open",
                                            "1 while a failing endpoint is left alone.",
                                            {{"endpoint", name_.text()}})),
        seconds_(world_.metrics.histogram("postern_delivery_seconds", "How long a try took.",
                                          {{"endpoint", name_.text()}})),
        delivered_(counter("delivered")),
        failed_(counter("failed")),
        dead_(counter("dead")),
        sink_(std::move(options.sink)) {}

  void pump();
  void stop();
  [[nodiscard]] Standing standing() const;
  [[nodiscard]] const EndpointName& name() const { return name_; }

 private:
  [[nodiscard]] Counter& counter(std::string_view result) {
    return world_.metrics.counter("postern_delivery_tries_total", "Tries, by what came of them.",
                                  {{"endpoint", name_.text()}, {"result", result}});
  }

  void on_claimed(std::optional<Claimed> claimed, std::size_t room, MonotonicTime asked);
  void send(LoadedDelivery delivery);
  void on_answer(const LoadedDelivery& delivery, TimePoint began_at, MonotonicTime began,
                 const Answer& answer);
  /// What a try tells the breaker. Holds the lock.
  void heed(Sign sign, MonotonicTime now);
  void tell_gone();
  void tell_back();
  /// Pumps again at `when`, or earlier. Holds the lock.
  void arm(MonotonicTime when);

  const EndpointName name_;
  const std::size_t concurrency_;
  const RetrySchedule schedule_;
  const DispatcherOptions limits_;
  const World world_;
  Gauge& in_flight_gauge_;
  Gauge& breaker_gauge_;
  Histogram& seconds_;
  Counter& delivered_;
  Counter& failed_;
  Counter& dead_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::size_t in_flight_ = 0;
  bool is_claiming_ = false;
  bool is_woken_ = false;  ///< while claiming: claim again
  bool has_more_ = false;  ///< the last claim got all it asked for: there may be more
  bool is_stopped_ = false;
  bool is_gone_ = false;
  bool is_gone_to_tell_ = false;  ///< its incident is not durable yet
  bool is_proven_ = false;        ///< something was delivered since the start
  Breaker breaker_;
  std::optional<MonotonicTime> timer_;

  std::shared_ptr<Sink> sink_;  ///< null once stopped
  std::size_t sending_ = 0;     ///< calls of its `send` under way
  std::condition_variable nothing_sent_;
};

void Dispatcher::Endpoint::pump() {
  std::size_t room = 0;
  const MonotonicTime now = world_.clock.monotonic();
  {
    std::unique_lock lock(mutex_);
    if (is_stopped_) return;
    if (is_gone_) {
      const bool is_to_tell = std::exchange(is_gone_to_tell_, false);
      lock.unlock();
      return is_to_tell ? tell_gone() : void();
    }
    if (is_claiming_) {
      is_woken_ = true;
      return;
    }
    const std::size_t allowed = breaker_.allowed(now, concurrency_);
    if (allowed == 0) return arm(breaker_.open_until());
    if (in_flight_ >= allowed) return;  // whoever ends next pumps
    room = allowed - in_flight_;
    is_claiming_ = true;
    is_woken_ = false;
  }
  world_.store.submit(
      claim_command({.endpoint = name_, .due_by = world_.clock.now(), .limit = room}, limits_.lease,
                    [self = shared_from_this(), room, now](std::optional<Claimed> claimed) {
                      self->on_claimed(std::move(claimed), room, now);
                    }));
}

void Dispatcher::Endpoint::on_claimed(std::optional<Claimed> claimed, std::size_t room,
                                      MonotonicTime asked) {
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    is_claiming_ = false;
    const MonotonicTime now = world_.clock.monotonic();
    if (is_gone_) return;  // since the claim was asked for; what it got comes back after its lease
    if (!claimed) return arm(now + limits_.look_again);
    if (now - asked > limits_.lease / 3 && !claimed->deliveries.empty()) {
      // The store hung, or this process slept. What is left of the lease may be too short for a
      // try, and another node may send them by now: they come back when it is over.
      world_.log.warning("claim_came_late",
                         {{"endpoint", name_.text()}, {"deliveries", claimed->deliveries.size()}});
      claimed->deliveries.clear();
    }
    in_flight_ += claimed->deliveries.size();
    in_flight_gauge_.set(static_cast<double>(in_flight_));
    again = is_woken_;
    has_more_ = claimed->deliveries.size() == room;
    MonotonicTime look = now + limits_.look_again;
    if (claimed->next_due) {
      const auto wait = std::max(*claimed->next_due - world_.clock.now(), TimePoint::duration(1));
      look = std::min(look, now + std::chrono::duration_cast<MonotonicTime>(wait));
    }
    arm(look);
  }
  for (LoadedDelivery& delivery : claimed->deliveries) send(std::move(delivery));
  if (again) pump();
}

void Dispatcher::Endpoint::send(LoadedDelivery delivery) {
  Message message{.id = store::public_id("evt", world_.store.tag(), delivery.event.id),
                  .type = std::string(core::name(delivery.event.type)),
                  .created_at = delivery.event.created_at,
                  .merchant = delivery.order.merchant.text(),
                  .merchant_order_id = delivery.order.id.text(),
                  .sequence = delivery.event.sequence,
                  .body = std::move(delivery.event.body)};
  const TimePoint began_at = world_.clock.now();
  const MonotonicTime began = world_.clock.monotonic();
  std::shared_ptr<Sink> sink = [this] {
    const std::lock_guard lock(mutex_);
    if (sink_) ++sending_;
    return sink_;
  }();
  if (!sink) {
    // Stopped since the claim was asked for: given back, so that whoever follows need not wait for
    // the end of the lease.
    Answer answer;
    answer.verdict = Answer::Verdict::kNotDelivered;
    answer.code = "shutting_down";
    return on_answer(delivery, began_at, began, answer);
  }
  if (planted_fault("delivered_before_sent")) {
    world_.store.submit(end_command({.tried = {.delivery = delivery.row.id, .began_at = began_at},
                                     .lease = delivery.row.lease,
                                     .decision = {.kind = Decision::Kind::kDelivered},
                                     .now = began_at},
                                    [](store::Commit) {}));
  }
  sink->send(std::move(message),
             [self = shared_from_this(), delivery = std::move(delivery), began_at,
              began](const Answer& answer) { self->on_answer(delivery, began_at, began, answer); });
  sink.reset();
  const std::lock_guard lock(mutex_);
  if (--sending_ == 0) nothing_sent_.notify_all();
}

void Dispatcher::Endpoint::on_answer(const LoadedDelivery& delivery, TimePoint began_at,
                                     MonotonicTime began, const Answer& answer) {
  const MonotonicTime ended = world_.clock.monotonic();
  const TimePoint now = world_.clock.now();
  const std::chrono::duration<double> took = ended - began;
  seconds_.observe(took.count());
  Decision decision = decide(answer, delivery.row.tries + 1, schedule_, now, world_.random);
  bool is_newly_gone = false;
  bool is_newly_proven = false;
  bool has_more = false;
  {
    const std::lock_guard lock(mutex_);
    --in_flight_;
    in_flight_gauge_.set(static_cast<double>(in_flight_));
    has_more = has_more_;
    heed(sign_of(answer), ended);
    breaker_gauge_.set(breaker_.is_open() ? 1 : 0);
    // What was under way when another try met a 410 proves nothing.
    if (answer.verdict == Answer::Verdict::kDelivered && !is_gone_) {
      is_newly_proven = !std::exchange(is_proven_, true);
    }
    is_newly_gone = answer.is_gone && !std::exchange(is_gone_, true);
  }
  const std::string event_id = store::public_id("evt", world_.store.tag(), delivery.event.id);
  switch (decision.kind) {
    case Decision::Kind::kDelivered:
      delivered_.add();
      break;
    case Decision::Kind::kRetry:
    case Decision::Kind::kReleased:
      failed_.add();
      break;
    case Decision::Kind::kDead:
      dead_.add();
      world_.log.error("delivery_dead",
                       {{"endpoint", name_.text()}, {"event", event_id}, {"code", answer.code}});
      break;
  }
  world_.log.info("delivery_tried", {{"endpoint", name_.text()},
                                     {"event", event_id},
                                     {"outcome", store::name(outcome_of(answer.verdict))},
                                     {"code", answer.code},
                                     {"try", delivery.row.tries + 1}});
  if (is_newly_gone) {
    world_.log.error("endpoint_gone", {{"endpoint", name_.text()}});
    tell_gone();
  }
  if (is_newly_proven) tell_back();
  Ending ending{
      .tried = {.delivery = delivery.row.id,
                .began_at = began_at,
                .took = std::chrono::duration_cast<std::chrono::milliseconds>(ended - began),
                .outcome = outcome_of(answer.verdict),
                .code = answer.code,
                .excerpt = answer.excerpt},
      .lease = delivery.row.lease,
      .decision = std::move(decision),
      .now = now,
      .tag = world_.store.tag()};
  // Whatever the commit's answer: if it is not there, the lease runs out and the delivery is tried
  // again, with the same id.
  world_.store.submit(
      end_command(std::move(ending), [self = shared_from_this()](store::Commit) { self->pump(); }));
  if (has_more) pump();
}

void Dispatcher::Endpoint::heed(Sign sign, MonotonicTime now) {
  switch (sign) {
    case Sign::kWorks:
      return breaker_.succeeded();
    case Sign::kAnswers:
      return breaker_.answered();
    case Sign::kFails:
      return breaker_.failed(now);
    case Sign::kNone:
      return;
  }
}

/// Until it is durable, since nobody else will say why nothing is sent.
void Dispatcher::Endpoint::tell_gone() {
  world_.store.submit(
      gone_command(name_, world_.clock.now(), [self = shared_from_this()](store::Commit outcome) {
        if (outcome == store::Commit::kDone) return;
        const std::lock_guard lock(self->mutex_);
        self->is_gone_to_tell_ = true;
        self->arm(self->world_.clock.monotonic() + self->limits_.look_again);
      }));
}

/// Where it cannot be written, the next one delivered proves the same.
void Dispatcher::Endpoint::tell_back() {
  world_.store.submit(back_command(name_, [self = shared_from_this()](store::Commit outcome) {
    if (outcome == store::Commit::kDone) return;
    const std::lock_guard lock(self->mutex_);
    self->is_proven_ = false;
  }));
}

void Dispatcher::Endpoint::arm(MonotonicTime when) {
  if (is_stopped_ || (timer_ && *timer_ <= when)) return;
  timer_ = when;
  const MonotonicTime wait = std::max(when - world_.clock.monotonic(), MonotonicTime::zero());
  // Rounded up, or the timer would find that it is not yet time.
  const auto delay = std::chrono::ceil<std::chrono::milliseconds>(wait);
  world_.timers.after(delay, [weak = weak_from_this(), when] {
    const std::shared_ptr<Endpoint> self = weak.lock();
    if (!self) return;
    {
      const std::lock_guard lock(self->mutex_);
      if (self->timer_ == when) self->timer_.reset();
    }
    self->pump();
  });
}

void Dispatcher::Endpoint::stop() {
  std::shared_ptr<Sink> sink;
  {
    std::unique_lock lock(mutex_);
    is_stopped_ = true;
    sink = std::move(sink_);
    // A sink may take seconds to go, so its last user must not be the store's writer, in `send`.
    nothing_sent_.wait(lock, [this] { return sending_ == 0; });
  }
  // Here, without the lock, the sink goes and answers what it was still trying.
}

Dispatcher::Standing Dispatcher::Endpoint::standing() const {
  const std::lock_guard lock(mutex_);
  return {.in_flight = in_flight_, .breaker_open = breaker_.is_open(), .gone = is_gone_};
}

Dispatcher::Dispatcher(std::vector<EndpointOptions> endpoints, DispatcherOptions options,
                       World world)
    : options_(options), world_(world), endpoints_(Endpoints{}) {
  Endpoints made;
  made.reserve(endpoints.size());
  for (EndpointOptions& endpoint : endpoints) {
    made.push_back(std::make_shared<Endpoint>(std::move(endpoint), options_, world_));
  }
  endpoints_.set(std::move(made));
}

Dispatcher::~Dispatcher() {
  stop();
}

void Dispatcher::put(EndpointOptions endpoint) {
  remove(endpoint.name);
  const auto made = std::make_shared<Endpoint>(std::move(endpoint), options_, world_);
  Endpoints endpoints = *endpoints_.get();
  endpoints.push_back(made);
  endpoints_.set(std::move(endpoints));
  made->pump();
}

void Dispatcher::remove(const EndpointName& name) {
  const std::shared_ptr<const Endpoints> before = endpoints_.get();
  Endpoints left;
  for (const auto& endpoint : *before) {
    if (endpoint->name() != name) left.push_back(endpoint);
  }
  endpoints_.set(std::move(left));
  for (const auto& endpoint : *before) {
    if (endpoint->name() == name) endpoint->stop();
  }
}

void Dispatcher::wake() {
  for (const auto& endpoint : *endpoints_.get()) endpoint->pump();
}

void Dispatcher::stop() {
  for (const auto& endpoint : *endpoints_.get()) endpoint->stop();
}

std::map<std::string, Dispatcher::Standing> Dispatcher::standings() const {
  std::map<std::string, Standing> all;
  for (const auto& endpoint : *endpoints_.get()) {
    all.emplace(endpoint->name().text(), endpoint->standing());
  }
  return all;
}

}  // namespace postern::delivery
