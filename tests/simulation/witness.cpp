#include "tests/simulation/witness.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "delivery/breaker.h"
#include "delivery/retry.h"

namespace postern::simulation {
namespace {

using delivery::Answer;
using delivery::Breaker;
using delivery::Message;
using store::DeliveryRow;
using store::DeliveryState;
using store::EventRow;
using store::RowId;

constexpr MonotonicTime kNever = MonotonicTime::max();
/// The sinks' deadline, and a batch.
constexpr std::chrono::seconds kTryMax{26};
/// How long a claim is under way at most.
constexpr std::chrono::seconds kClaimMax{2};

[[nodiscard]] bool is_wanted(std::size_t endpoint, core::EventType type) {
  switch (static_cast<EndpointIndex>(endpoint)) {
    case EndpointIndex::kAll:
      return true;
    case EndpointIndex::kPaid:
      return type == core::EventType::kPaid;
  }
  return false;
}

[[nodiscard]] std::size_t endpoint_index(const EndpointName& name) {
  const auto found = std::ranges::find(kEndpointNames, name.text());
  return static_cast<std::size_t>(found - kEndpointNames.begin());
}

}  // namespace

Witness::Witness(const MemoryDisk& disk, const World& world, const Weather& weather,
                 Journal& journal)
    : disk_(disk), world_(world), weather_(weather), journal_(journal) {}

Witness::Seen& Witness::seen(std::size_t endpoint, RowId event) {
  return seen_[{endpoint, event}];
}

const DeliveryRow* Witness::row_of(std::size_t endpoint, const EventRow& event) const {
  for (auto at = disk_.deliveries_by_order.lower_bound({event.order, 0});
       at != disk_.deliveries_by_order.end() && at->first == event.order; ++at) {
    const DeliveryRow& row = disk_.deliveries.at(at->second);
    if (row.event == event.id && row.endpoint.text() == kEndpointNames[endpoint]) return &row;
  }
  return nullptr;
}

void Witness::process_started() {
  disturbed();
  check_outbox();
  lines_.fill({.is_calm_start = is_calm_});
}

void Witness::process_ended() {
  disturbed();
  lines_.fill({});
  for (auto& [key, known] : seen_) {
    known.in_flight = 0;
    known.may_overlap = false;
  }
}

void Witness::on_try(std::size_t endpoint, const Message& message) {
  ++tries_;
  journal_.note("try", kEndpointNames[endpoint], message.id, message.merchant_order_id,
                message.sequence);
  const auto id = store::parse_public_id(message.id, "evt", disk_.tag);
  const auto found = id ? disk_.events.find(*id) : disk_.events.end();
  // P6: nothing is sent whose commit did not happen.
  if (found == disk_.events.end()) {
    return journal_.find(fmt::format("{} was sent and is not committed", message.id));
  }
  const EventRow& event = found->second;
  Seen& known = seen(endpoint, event.id);
  if (known.tries++ == 0) {
    known.body = message.body;
    known.order = message.merchant_order_id;
    known.sequence = message.sequence;
  }
  // P7: every repeat is the same to the byte, and what was committed.
  if (message.body != event.body || message.body != known.body ||
      message.sequence != event.sequence || message.sequence != known.sequence ||
      message.merchant_order_id != known.order ||
      message.merchant_order_id != disk_.orders.at(event.order).key.id.text()) {
    journal_.find(fmt::format("{} was sent with other content than committed", message.id));
  }
  const DeliveryRow* row = row_of(endpoint, event);
  if (row == nullptr) return journal_.find(fmt::format("{} was sent and is not owed", message.id));
  // P6: once an end is committed, also a person's cancel, nothing is tried any more.
  if (row->state != DeliveryState::kReady) {
    journal_.find(fmt::format("{} was sent to {} when it was {}", message.id,
                              kEndpointNames[endpoint], store::name(row->state)));
  }
  if (lines_[endpoint].is_gone) {
    journal_.find(fmt::format("{} was sent to {} after it answered 410", message.id,
                              kEndpointNames[endpoint]));
  }
  check_spacing(endpoint, *row, known);
  check_rate(endpoint);
}

/// P7, P12: a delivery is tried again when the schedule or Retry-After says so and not before, and
/// not after it was confirmed; what was lost in a disturbance costs one try each.
void Witness::check_spacing(std::size_t endpoint, const DeliveryRow& row, Seen& known) {
  if (known.not_before && known.wishes == 0 && known.disturbances == disturbances_ &&
      world_.monotonic() < *known.not_before) {
    journal_.find(fmt::format("delivery {} was tried too early", row.id));
  }
  known.not_before.reset();
  // A clock that was set between a claim and its commit leaves less of the lease than a try takes.
  known.may_overlap = known.in_flight++ > 0 || row.due_at < world_.now() + kTryMax;
  known.tries_counted = row.tries;
  known.disturbances = disturbances_;
  const std::uint64_t lives = 1 + known.wishes;
  if (known.tries > lives * (weather_.schedule.delays.size() + 1) + disturbances_) {
    journal_.find(fmt::format("delivery {} of {} was tried {} times", row.id,
                              kEndpointNames[endpoint], known.tries));
  }
}

/// P12, P13: no more at once than allowed. An endpoint that fails again and again is left alone for
/// a growing pause, then tried once: also a day's backlog comes back by one try first.
void Witness::check_rate(std::size_t endpoint) {
  Line& line = lines_[endpoint];
  const std::size_t allowed = weather_.endpoints[endpoint].concurrency;
  if (++line.in_flight > allowed) {
    journal_.find(fmt::format("{} tries at once, {} are allowed", line.in_flight, allowed));
  }
  if (line.failures < Breaker::kFailuresMax) return;
  // What was being claimed when the last failure came is still sent.
  const MonotonicTime now = world_.monotonic();
  if (now < line.failing_since + kClaimMax) return;
  if (line.in_flight > 1 || now < line.left_alone_until) {
    journal_.find(fmt::format("{} fails and was not left alone", kEndpointNames[endpoint]));
  }
}

void Witness::count_failure(Line& line) {
  const MonotonicTime now = world_.monotonic();
  ++line.failures;
  if (line.failures < Breaker::kFailuresMax) return;
  if (line.failures == Breaker::kFailuresMax) {
    line.failing_since = now;
    line.pause = Breaker::kPauseMin;
  } else if (now < line.left_alone_until) {
    return;  // under way when the pause began
  } else {
    line.pause = std::min(line.pause * 2, Breaker::kPauseMax);
  }
  line.left_alone_until = now + line.pause;
}

void Witness::on_arrival(std::size_t endpoint, const Message& message) {
  journal_.note("arrival", kEndpointNames[endpoint], message.id);
  const RowId id = store::parse_public_id(message.id, "evt", disk_.tag).value_or(0);
  Seen& known = seen(endpoint, id);
  if (known.arrivals++ > 0 || known.wishes > 0) return;
  const auto event = disk_.events.find(id);
  if (event == disk_.events.end()) return;  // reported when it was sent
  // P7: of one order the first deliveries come in sequence. What a person retries goes before its
  // turn, and what ended otherwise keeps nobody waiting.
  for (auto at = disk_.deliveries_by_order.lower_bound({event->second.order, 0});
       at != disk_.deliveries_by_order.end() && at->first == event->second.order; ++at) {
    const DeliveryRow& row = disk_.deliveries.at(at->second);
    if (row.sequence >= message.sequence || row.endpoint.text() != kEndpointNames[endpoint]) {
      continue;
    }
    const Seen& earlier = seen(endpoint, row.event);
    if (earlier.arrivals == 0 && earlier.wishes == 0 && row.state != DeliveryState::kDead) {
      journal_.find(fmt::format("{} got event {} of order {} before event {}",
                                kEndpointNames[endpoint], message.sequence,
                                message.merchant_order_id, row.sequence));
    }
  }
}

void Witness::on_answer(std::size_t endpoint, const std::string& id, const Answer& answer) {
  journal_.note("answer", kEndpointNames[endpoint], id, answer.code);
  Line& line = lines_[endpoint];
  if (line.in_flight > 0) --line.in_flight;
  if (answer.is_gone) line.is_gone = true;
  switch (delivery::sign_of(answer)) {
    case delivery::Sign::kWorks:
      line.failures = 0;
      break;
    case delivery::Sign::kAnswers:
      if (line.failures >= Breaker::kFailuresMax) line.failures = 0;
      break;
    case delivery::Sign::kFails:
      count_failure(line);
      break;
    case delivery::Sign::kNone:
      break;
  }
  Seen& known = seen(endpoint, store::parse_public_id(id, "evt", disk_.tag).value_or(0));
  known.in_flight -= known.in_flight > 0 ? 1 : 0;
  if (answer.verdict == Answer::Verdict::kDelivered) {
    line.is_proven = true;
    known.is_confirmed = true;
  }
  // Of two that overlap only the later one's answer counts.
  known.not_before.reset();
  if (known.may_overlap || answer.is_gone || answer.code == "shutting_down") return;
  if (answer.verdict == Answer::Verdict::kDelivered) {
    known.not_before = kNever;
    return;
  }
  const auto failures = static_cast<std::size_t>(known.tries_counted);
  if (failures >= weather_.schedule.delays.size()) {
    known.not_before = kNever;
    return;
  }
  std::chrono::milliseconds delay = weather_.schedule.delays[failures];
  if (answer.retry_after) {
    delay = std::max(delay, std::min(*answer.retry_after, weather_.schedule.retry_after_max));
  }
  known.not_before = world_.monotonic() + delay;
}

void Witness::on_wish(RowId delivery, delivery::Wish wish) {
  const DeliveryRow& row = disk_.deliveries.at(delivery);
  Seen& known = seen(endpoint_index(row.endpoint), row.event);
  ++known.wishes;
  if (wish == delivery::Wish::kCancel) known.is_cancel_wished = true;
}

void Witness::check_outbox() {
  std::unordered_map<RowId, std::array<int, kEndpoints>> owed;
  for (const auto& [id, row] : disk_.deliveries) ++owed[row.event][endpoint_index(row.endpoint)];
  for (const auto& [id, event] : disk_.events) {
    for (std::size_t endpoint = 0; endpoint < kEndpoints; ++endpoint) {
      const int wanted = is_wanted(endpoint, event.type) ? 1 : 0;
      const auto found = owed.find(id);
      const int written = found == owed.end() ? 0 : found->second[endpoint];
      if (written != wanted) {
        journal_.find(fmt::format("event {} has {} deliveries to {}, wanted {}", id, written,
                                  kEndpointNames[endpoint], wanted));
      }
    }
    owed.erase(id);
  }
  if (!owed.empty()) journal_.find("a delivery owes an event that is not there");
}

bool Witness::is_open(core::IncidentKind kind, const std::string& subject) const {
  const auto found = disk_.incidents_by_subject.find({subject, kind});
  return found != disk_.incidents_by_subject.end() &&
         disk_.incidents.at(found->second).state == store::IncidentState::kOpen;
}

void Witness::check_gone(std::size_t endpoint) {
  if (!is_open(core::IncidentKind::kEndpointGone, kEndpointNames[endpoint])) {
    journal_.find(fmt::format("{} is stopped and no incident says so", kEndpointNames[endpoint]));
  }
}

void Witness::check_end() {
  check_outbox();
  for (const auto& [id, row] : disk_.deliveries) check_ended(row);
  for (std::size_t endpoint = 0; endpoint < kEndpoints; ++endpoint) {
    const Line& line = lines_[endpoint];
    if (line.is_proven && line.is_calm_start &&
        is_open(core::IncidentKind::kEndpointGone, kEndpointNames[endpoint])) {
      journal_.find(fmt::format("{} works and its incident is open", kEndpointNames[endpoint]));
    }
  }
}

/// P6, P7: at the end each is delivered, and has arrived; or dead with a reason and an incident; or
/// cancelled by somebody who has a name.
void Witness::check_ended(const DeliveryRow& row) {
  const Seen& known = seen(endpoint_index(row.endpoint), row.event);
  const std::string subject = delivery::dead_subject(row.endpoint, disk_.tag, row.event);
  switch (row.state) {
    case DeliveryState::kReady:
    case DeliveryState::kWaiting:
      return journal_.find(fmt::format("delivery {} is still {}", row.id, store::name(row.state)));
    case DeliveryState::kDelivered:
      if (known.arrivals == 0) {
        journal_.find(fmt::format("delivery {} is delivered and never arrived", row.id));
      }
      if (!known.is_confirmed) {
        journal_.find(fmt::format("delivery {} is delivered and nobody confirmed it", row.id));
      }
      if (is_open(core::IncidentKind::kDeliveryDead, subject)) {
        journal_.find(fmt::format("delivery {} is delivered and its incident is open", row.id));
      }
      return;
    case DeliveryState::kDead:
      return check_dead(row);
    case DeliveryState::kCancelled:
      if (!known.is_cancel_wished || row.reason != "cancelled by owner") {
        journal_.find(fmt::format("delivery {} is {} and nobody asked for it", row.id, row.reason));
      }
      return;
  }
}

void Witness::check_dead(const DeliveryRow& row) {
  const std::string subject = delivery::dead_subject(row.endpoint, disk_.tag, row.event);
  if (row.reason.empty())
    journal_.find(fmt::format("delivery {} is dead without a reason", row.id));
  if (!is_open(core::IncidentKind::kDeliveryDead, subject)) {
    journal_.find(fmt::format("delivery {} is dead without an incident", row.id));
  }
  if (row.tries != static_cast<std::int64_t>(weather_.schedule.delays.size()) + 1) {
    journal_.find(fmt::format("delivery {} is dead after {} tries", row.id, row.tries));
  }
}

}  // namespace postern::simulation
