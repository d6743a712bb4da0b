#include "tests/simulation/simulator.h"

#include <fmt/format.h>

#include <memory>
#include <set>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "core/event.h"
#include "ingest/ingest.h"
#include "tests/simulation/memory_store.h"
#include "tests/simulation/world.h"

namespace postern::simulation {
namespace {

using std::chrono::milliseconds;

/// How hard this run is, drawn from its seed: "one in n", zero for never.
struct Weather {
  std::uint64_t copy, reply_lost, refused, unknown, crash;
  std::size_t batch_max;

  [[nodiscard]] static Weather draw(Dice& dice) {
    const auto one_of = [&](std::initializer_list<std::uint64_t> values) {
      return *(values.begin() + dice.below(values.size()));
    };
    return {.copy = one_of({0, 2, 3, 10}),
            .reply_lost = one_of({0, 3, 10}),
            .refused = one_of({0, 4, 15}),
            .unknown = one_of({0, 4, 15}),
            .crash = one_of({0, 5, 20}),
            .batch_max = one_of({1, 2, 5, 256})};
  }
};

/// One process: what is lost when it dies.
struct Node {
  Node(MemoryDisk& disk, MemoryStoreOptions options, const World& world, const Messages& messages)
      : store(disk, options),
        ledger(store, world, messages.policy()),
        ingest(messages.channels(), ledger, world, log, metrics) {}
  NullLog log;
  NullMetrics metrics;
  MemoryStore store;
  ledger::Ledger ledger;
  ingest::Ingest ingest;
};

[[nodiscard]] MemoryStoreOptions store_options(const Weather& weather) {
  return {.batch_max = weather.batch_max,
          .dedupe = planted_fault("check_then_act") ? MemoryStoreOptions::Dedupe::kCheckThenAct
                                                    : MemoryStoreOptions::Dedupe::kKept};
}

class Run {
 public:
  Run(const Messages& messages, std::uint64_t seed)
      : messages_(messages),
        world_(messages.signed_at()),
        dice_(seed),
        weather_(Weather::draw(dice_)),
        acked_(messages.all().size()) {
    report_.seed = seed;
  }

  Report go() {
    start_node();
    for (std::size_t i = 0; i < messages_.all().size(); ++i) {
      world_.after(dice_.within(kFaultyPhase / 2), [this, i] { send(i); });
    }
    for (std::size_t i = 0; i < messages_.orders().size(); ++i) {
      world_.after(dice_.within(kFaultyPhase), [this, i] { register_order(i); });
    }
    world_.after(milliseconds{1}, [this] { pump(); });
    world_.after(milliseconds{50}, [this] { perhaps_crash(); });
    while (!finished() && report_.findings.empty()) {
      if (world_.steps() > kStepsMax) {
        find("not everything was acked although the faults had stopped");
        break;
      }
      world_.step();
    }
    if (report_.findings.empty()) check_end();
    report_.steps = world_.steps();
    return std::move(report_);
  }

 private:
  // Everything happens within WeChat Pay's freshness window of 300 s.
  static constexpr milliseconds kFaultyPhase{60'000};
  static constexpr std::uint64_t kStepsMax = 200'000;

  [[nodiscard]] bool faulty() const { return world_.now() < messages_.signed_at() + kFaultyPhase; }
  void note(std::string_view what, std::size_t which = 0) {
    report_.trace +=
        fmt::format("{} {} {}\n", world_.now().time_since_epoch().count(), what, which);
  }
  void find(std::string finding) {
    note(finding);
    report_.findings.push_back(std::move(finding));
  }

  void start_node() {
    node_ = std::make_unique<Node>(disk_, store_options(weather_), world_, messages_);
    node_->store.set_faults([this] { return draw_fault(); });
    note("start");
  }

  [[nodiscard]] CommitFault draw_fault() {
    if (!faulty()) return CommitFault::kNone;
    if (dice_.one_in(weather_.refused)) {
      ++report_.commits_refused;
      return CommitFault::kRefused;
    }
    if (dice_.one_in(weather_.unknown)) {
      ++report_.commits_unknown;
      return dice_.one_in(2) ? CommitFault::kUnknownApplied : CommitFault::kUnknownLost;
    }
    if (dice_.one_in(weather_.crash * 4)) {
      return dice_.one_in(2) ? CommitFault::kCrashApplied : CommitFault::kCrashLost;
    }
    return CommitFault::kNone;
  }

  void crash() {
    note("crash");
    ++report_.crashes;
    node_->store.crash();
    node_.reset();
    world_.after(dice_.within(milliseconds{2'000}), [this] { start_node(); });
  }

  void perhaps_crash() {
    if (!faulty()) return;
    if (node_ && dice_.one_in(weather_.crash)) crash();
    world_.after(milliseconds{500} + dice_.within(milliseconds{2'000}),
                 [this] { perhaps_crash(); });
  }

  void pump() {
    if (node_) {
      node_->store.pump();
      // A store in doubt refuses everything, and the process exits to be started again.
      if (!node_->store.healthy()) crash();
    }
    world_.after(milliseconds{1} + dice_.within(milliseconds{40}), [this] { pump(); });
  }

  void send(std::size_t i) {
    if (acked_[i] && !dice_.one_in(3)) return;
    const Message& message = messages_.all()[i];
    ++report_.sends;
    note("send", i);
    if (node_) {
      node_->ingest.handle(message.request, [this, i](HttpResponse response) {
        const bool lost = faulty() && dice_.one_in(weather_.reply_lost);
        if (accepted(i, response)) on_ack(i, lost);
      });
    }
    if (message.genuine || dice_.one_in(2)) {
      world_.after(milliseconds{1'000} + dice_.within(milliseconds{9'000}), [this, i] {
        if (!acked_[i] && messages_.all()[i].genuine) send(i);
      });
    }
    if (faulty() && dice_.one_in(weather_.copy)) {
      world_.after(dice_.within(milliseconds{20'000}), [this, i] { send(i); });
    }
  }

  [[nodiscard]] bool accepted(std::size_t i, const HttpResponse& response) const {
    const HttpResponse& wanted = messages_.accepted(messages_.all()[i].account);
    return response.code == wanted.code && response.body == wanted.body;
  }

  /// P1: an ack means that the facts are durable now, whether or not the platform hears it.
  void on_ack(std::size_t i, bool lost) {
    note(lost ? "ack lost" : "ack", i);
    ++report_.acks;
    const Message& message = messages_.all()[i];
    if (!message.genuine) find(fmt::format("forged message {} was acked", i));
    for (const std::string& key : message.fact_keys) {
      if (!disk_.facts_by_key.contains(key)) {
        find(fmt::format("message {} was acked but its fact {} is not durable", i, key));
      }
    }
    if (!lost) acked_[i] = true;
  }

  void register_order(std::size_t i) {
    const auto again = [this, i] {
      world_.after(milliseconds{500} + dice_.within(milliseconds{2'000}),
                   [this, i] { register_order(i); });
    };
    if (!node_) return again();
    note("register", i);
    auto answered = std::make_shared<bool>(false);
    node_->ledger.register_order(
        messages_.orders()[i].registering, [this, i, answered, again](auto registered) {
          *answered = true;
          if (registered) {
            registered_.insert(i);
          } else if (registered.error().error_class == ErrorClass::kRetryable) {
            again();
          } else {
            find(fmt::format("registering order {} failed: {}", i, registered.error().code));
          }
        });
    // A node that dies answers nothing: ask again, as a merchant would.
    world_.after(milliseconds{5'000}, [answered, again] {
      if (!*answered) again();
    });
  }

  [[nodiscard]] bool finished() const {
    if (faulty() || registered_.size() < messages_.orders().size()) return false;
    for (std::size_t i = 0; i < acked_.size(); ++i) {
      if (messages_.all()[i].genuine && !acked_[i]) return false;
    }
    return true;
  }

  void check_end() {
    MemoryStore store(disk_);
    const std::unique_ptr<store::Reader> reader = store.reader().value();
    for (std::size_t i = 0; i < messages_.orders().size(); ++i) check_order(*reader, i);
    const store::Totals totals = reader->totals().value();
    if (static_cast<std::size_t>(totals.facts) != messages_.distinct_facts()) {
      find(fmt::format("{} facts where {} were told", totals.facts, messages_.distinct_facts()));
    }
    if (totals.deliveries != totals.events) {  // P6: one endpoint takes every event
      find(fmt::format("{} events but {} deliveries", totals.events, totals.deliveries));
    }
  }

  void check_order(store::Reader& reader, std::size_t i) {
    const PlannedOrder& planned = messages_.orders()[i];
    const auto row = reader.order(planned.registering.key).value();
    if (!row) return find(fmt::format("order {} is missing", i));
    if (row->state != planned.expected.state || row->paid != planned.expected.paid ||
        row->refunded != planned.expected.refunded) {
      find(fmt::format("order {} ended as {}, planned was {}", i, core::name(row->state),
                       core::name(planned.expected.state)));
    }
    std::int64_t sequence = 0;
    int paid = 0;
    for (const store::EventRow& event : reader.events(row->id).value()) {
      if (event.sequence != ++sequence) find(fmt::format("order {} has a gap in its events", i));
      paid += event.type == core::EventType::kPaid ? 1 : 0;
    }
    if (paid != (planned.expected.paid ? 1 : 0)) {
      find(fmt::format("order {} was told as paid {} times", i, paid));
    }
  }

  const Messages& messages_;
  World world_;
  Dice dice_;
  Weather weather_;
  MemoryDisk disk_;
  std::unique_ptr<Node> node_;
  std::vector<bool> acked_;
  std::set<std::size_t> registered_;
  Report report_;
};

}  // namespace

Report simulate(const Messages& messages, std::uint64_t seed) {
  return Run(messages, seed).go();
}

}  // namespace postern::simulation
