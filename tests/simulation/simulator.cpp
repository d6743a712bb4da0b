#include "tests/simulation/simulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>

#include "core/event.h"
#include "delivery/commands.h"
#include "tests/simulation/journal.h"
#include "tests/simulation/memory_store.h"
#include "tests/simulation/node.h"
#include "tests/simulation/receiver.h"
#include "tests/simulation/weather.h"
#include "tests/simulation/witness.h"
#include "tests/simulation/world.h"

namespace postern::simulation {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

/// By then everything is over once the faults have stopped: the longest pause of the schedule and
/// the longest Retry-After are shorter than a day and a half.
constexpr milliseconds kCalmMax = hours(72);
constexpr std::uint64_t kStepsMax = 200'000;

/// What one run is about: a story or a few, so that runs are short and unlike each other.
struct Plot {
  std::vector<std::size_t> orders, messages;
};

[[nodiscard]] Plot draw_plot(const Messages& messages, Dice& dice) {
  Plot plot;
  const std::size_t all = messages.stories().size();
  const std::size_t first = dice.below(all);
  const std::size_t count = dice.one_in(50) ? all : 1 + dice.below(2);
  for (std::size_t i = 0; i < count; ++i) {
    const Story& story = messages.stories()[(first + i) % all];
    plot.orders.insert(plot.orders.end(), story.orders.begin(), story.orders.end());
    plot.messages.insert(plot.messages.end(), story.messages.begin(), story.messages.end());
  }
  plot.messages.push_back(messages.forgeries()[dice.below(messages.forgeries().size())]);
  return plot;
}

class Run {
 public:
  Run(const Messages& messages, std::uint64_t seed, Tracing tracing)
      : messages_(messages),
        world_(messages.signed_at()),
        dice_(seed),
        weather_(Weather::draw(dice_)),
        plot_(draw_plot(messages, dice_)),
        acked_(messages.all().size()),
        journal_(world_, report_, tracing),
        witness_(disk_, world_, weather_, journal_) {
    report_.seed = seed;
    for (std::size_t i = 0; i < kEndpoints; ++i) {
      receivers_[i] = std::make_unique<Receiver>(i, weather_.endpoints[i], world_, dice_, witness_);
    }
  }

  Report go() {
    start_node();
    plan();
    while (!finished() && report_.findings.empty()) {
      if (world_.steps() > kStepsMax || world_.elapsed() > weather_.faulty_for + kCalmMax) {
        journal_.find("not everything was acked and delivered although the faults had stopped");
        break;
      }
      world_.step();
      arrange_pump();
    }
    if (report_.findings.empty()) check_end();
    report_.steps = world_.steps();
    report_.tries = witness_.tries();
    return std::move(report_);
  }

 private:
  /// Asks for everything that happens by itself.
  void plan() {
    for (const std::size_t i : plot_.messages) {
      world_.after(dice_.within(weather_.sending_for), [this, i] { send(i); });
    }
    for (const std::size_t i : plot_.orders) {
      world_.after(dice_.within(weather_.sending_for * 2), [this, i] { register_order(i); });
    }
    for (std::size_t i = 0; i < weather_.wishes; ++i) {
      world_.after(dice_.within(weather_.faulty_for), [this] { wish(); });
    }
    for (std::size_t i = 0; i < weather_.clock_steps; ++i) {
      world_.after(dice_.within(weather_.faulty_for), [this] { step_clock(); });
    }
    if (weather_.crash > 0) world_.after(milliseconds{50}, [this] { perhaps_crash(); });
    world_.after(weather_.faulty_for, [this] { calm(); });
    world_.after(weather_.faulty_for + weather_.look_again + minutes(1), [this] { mend(); });
  }

  [[nodiscard]] bool faulty() const { return world_.elapsed() < weather_.faulty_for; }
  void start_node() {
    journal_.note("start");
    witness_.process_started();
    node_ = std::make_unique<Node>(disk_, weather_, world_, dice_, messages_, receivers_,
                                   [this] { return draw_fault(); });
  }

  [[nodiscard]] CommitFault draw_fault() {
    const CommitFault fault = faulty() ? draw_any_fault() : CommitFault::kNone;
    if (fault != CommitFault::kNone) {
      journal_.note("commit fault", static_cast<std::size_t>(fault));
      witness_.disturbed();
    }
    return fault;
  }

  [[nodiscard]] CommitFault draw_any_fault() {
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
    journal_.note("crash");
    ++report_.crashes;
    node_->crash();
    end_node();
  }

  /// An orderly stop, as by an upgrade.
  void restart() {
    journal_.note("stop");
    ++report_.restarts;
    node_->stop();
    end_node();
  }

  void end_node() {
    node_.reset();
    witness_.process_ended();
    world_.after(dice_.within(weather_.restart_max), [this] { start_node(); });
  }

  void perhaps_crash() {
    if (!faulty()) return;
    if (node_ && dice_.one_in(weather_.crash)) {
      dice_.one_in(3) ? restart() : crash();
    }
    world_.after(weather_.crash_pause / 4 + dice_.within(weather_.crash_pause),
                 [this] { perhaps_crash(); });
  }

  /// Has the store write soon, where there is something to write.
  void arrange_pump() {
    if (!node_ || is_pump_asked_ || node_->store().queued() == 0) return;
    is_pump_asked_ = true;
    world_.after(milliseconds{1} + dice_.within(milliseconds{40}), [this] { pump(); });
  }

  void pump() {
    is_pump_asked_ = false;
    if (!node_) return;
    journal_.note("batch of", node_->store().queued());
    node_->store().pump();
    // A store in doubt refuses everything, and the process exits to be started again.
    if (!node_->store().healthy()) crash();
  }

  /// The platform sends until it hears that the message was taken.
  void send(std::size_t i) {
    deliver(i);
    if (faulty() && dice_.one_in(weather_.copy)) copy_later(i);
    if (!messages_.all()[i].genuine) return;
    world_.after(weather_.resend_pause / 10 + dice_.within(weather_.resend_pause), [this, i] {
      if (!acked_[i]) send(i);
    });
  }

  void copy_later(std::size_t i) {
    world_.after(dice_.within(weather_.resend_pause * 2), [this, i] {
      deliver(i);
      if (faulty() && dice_.one_in(weather_.copy)) copy_later(i);
    });
  }

  void deliver(std::size_t i) {
    ++report_.sends;
    journal_.note("send", i);
    if (!node_) return;
    node_->ingest().handle(messages_.all()[i].request, [this, i](HttpResponse response) {
      const bool lost = faulty() && dice_.one_in(weather_.reply_lost);
      if (accepted(i, response)) on_ack(i, lost);
    });
  }

  [[nodiscard]] bool accepted(std::size_t i, const HttpResponse& response) const {
    const HttpResponse& wanted = messages_.accepted(messages_.all()[i].account);
    return response.code == wanted.code && response.body == wanted.body;
  }

  /// P1: an ack means that the facts are durable now, whether or not the platform hears it.
  void on_ack(std::size_t i, bool lost) {
    journal_.note(lost ? "ack lost" : "ack", i);
    ++report_.acks;
    const Message& message = messages_.all()[i];
    if (!message.genuine) journal_.find(fmt::format("forged message {} was acked", i));
    for (const std::string& key : message.fact_keys) {
      if (!disk_.facts_by_key.contains(key)) {
        journal_.find(fmt::format("message {} was acked but its fact {} is not durable", i, key));
      }
    }
    if (!lost) acked_[i] = true;
  }

  void register_order(std::size_t i) {
    const auto again = [this, i] {
      world_.after(weather_.resend_pause / 10 + dice_.within(weather_.resend_pause / 5),
                   [this, i] { register_order(i); });
    };
    if (!node_) return again();
    journal_.note("register", i);
    auto answered = std::make_shared<bool>(false);
    node_->ledger().register_order(messages_.orders()[i].registering, [this, i, answered,
                                                                       again](auto registered) {
      *answered = true;
      if (registered) {
        registered_.insert(i);
      } else if (registered.error().error_class == ErrorClass::kRetryable) {
        again();
      } else {
        journal_.find(fmt::format("registering order {} failed: {}", i, registered.error().code));
      }
    });
    // A process that dies answers nothing: ask again, as a merchant would.
    world_.after(milliseconds{5'000}, [answered, again] {
      if (!*answered) again();
    });
  }

  /// The operator retries or cancels some delivery, as the admin API does it.
  void wish() {
    if (!node_ || disk_.deliveries.empty()) return;
    const auto at = std::next(disk_.deliveries.begin(),
                              static_cast<std::ptrdiff_t>(dice_.below(disk_.deliveries.size())));
    const auto what = dice_.one_in(3) ? delivery::Wish::kCancel : delivery::Wish::kRetry;
    ++report_.wishes;
    journal_.note(what == delivery::Wish::kCancel ? "cancel" : "retry",
                  static_cast<std::size_t>(at->first));
    witness_.on_wish(at->first, what);
    node_->store().submit(delivery::wish_command(at->first, what, {.name = "owner", .peer = {}},
                                                 disk_.tag, world_.now(),
                                                 [this](Result<delivery::Wished> wished) {
                                                   if (wished == delivery::Wished::kDone)
                                                     node_->dispatcher().wake();
                                                 }));
  }

  void step_clock() {
    const milliseconds by = dice_.within(weather_.clock_step_max * 2) - weather_.clock_step_max;
    journal_.note(by < milliseconds(0) ? "clock back" : "clock ahead",
                  static_cast<std::size_t>(std::abs(by.count())));
    witness_.disturbed();
    world_.step_clock(by);
  }

  void calm() {
    journal_.note("calm");
    witness_.faults_stopped();
    for (const auto& receiver : receivers_) receiver->calm();
  }

  /// What answered 410 is mended, and the process started anew.
  void mend() {
    is_mended_ = true;
    if (!node_) return;
    bool is_gone = false;
    const auto standings = node_->dispatcher().standings();
    for (std::size_t i = 0; i < kEndpoints; ++i) {
      if (!standings.at(kEndpointNames[i]).gone) continue;
      is_gone = true;
      witness_.check_gone(i);
    }
    if (is_gone) restart();
  }

  [[nodiscard]] bool finished() const {
    if (!is_mended_ || !node_ || registered_.size() < plot_.orders.size()) return false;
    for (const std::size_t i : plot_.messages) {
      if (messages_.all()[i].genuine && !acked_[i]) return false;
    }
    return node_->store().queued() == 0 &&
           std::ranges::none_of(disk_.deliveries, [](const auto& entry) {
             return entry.second.state == store::DeliveryState::kReady ||
                    entry.second.state == store::DeliveryState::kWaiting;
           });
  }

  void check_end() {
    MemoryStore store(disk_);
    const std::unique_ptr<store::Reader> reader = store.reader().value();
    for (const std::size_t i : plot_.orders) check_order(*reader, i);
    std::set<std::string> told;
    for (const std::size_t i : plot_.messages) {
      const Message& message = messages_.all()[i];
      if (message.genuine) told.insert(message.fact_keys.begin(), message.fact_keys.end());
    }
    if (disk_.facts.size() != told.size()) {
      journal_.find(fmt::format("{} facts where {} were told", disk_.facts.size(), told.size()));
    }
    witness_.check_end();
    for (const auto& [id, row] : disk_.deliveries) {
      report_.delivered += row.state == store::DeliveryState::kDelivered ? 1 : 0;
      report_.dead += row.state == store::DeliveryState::kDead ? 1 : 0;
      report_.cancelled += row.state == store::DeliveryState::kCancelled ? 1 : 0;
    }
  }

  void check_order(store::Reader& reader, std::size_t i) {
    const PlannedOrder& planned = messages_.orders()[i];
    const auto row = reader.order(planned.registering.key).value();
    if (!row) return journal_.find(fmt::format("order {} is missing", i));
    if (row->state != planned.expected.state || row->paid != planned.expected.paid ||
        row->refunded != planned.expected.refunded) {
      journal_.find(fmt::format("order {} ended as {}, planned was {}", i, core::name(row->state),
                                core::name(planned.expected.state)));
    }
    std::int64_t sequence = 0;
    int paid = 0;
    for (const store::EventRow& event : reader.events(row->id).value()) {
      if (event.sequence != ++sequence)
        journal_.find(fmt::format("order {} has a gap in its events", i));
      paid += event.type == core::EventType::kPaid ? 1 : 0;
    }
    if (paid != (planned.expected.paid ? 1 : 0)) {
      journal_.find(fmt::format("order {} was told as paid {} times", i, paid));
    }
  }

  const Messages& messages_;
  World world_;
  Dice dice_;
  const Weather weather_;
  const Plot plot_;
  MemoryDisk disk_;
  std::vector<bool> acked_;
  std::set<std::size_t> registered_;
  Report report_;
  Journal journal_;
  Witness witness_;
  Receivers receivers_;
  std::unique_ptr<Node> node_;
  bool is_pump_asked_ = false;
  bool is_mended_ = false;
};

}  // namespace

void Report::add(const Report& other) {
  steps += other.steps;
  sends += other.sends;
  acks += other.acks;
  crashes += other.crashes;
  restarts += other.restarts;
  commits_unknown += other.commits_unknown;
  commits_refused += other.commits_refused;
  tries += other.tries;
  delivered += other.delivered;
  dead += other.dead;
  cancelled += other.cancelled;
  wishes += other.wishes;
}

Report simulate(const Messages& messages, std::uint64_t seed, Tracing tracing) {
  return Run(messages, seed, tracing).go();
}

}  // namespace postern::simulation
