// Goal: what is owed is sent: in sequence per order, again after failures, until it is delivered or
// dead, and one endpoint or order never holds up another. Method: the real dispatcher and the real
// batch code over the simulator's store, with a clock and timers that stand still until told, and
// sinks whose answers each test decides.
#include "delivery/dispatcher.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>

#include "base/system.h"
#include "delivery/breaker.h"
#include "tests/simulation/memory_store.h"

namespace postern::delivery {
namespace {

using namespace std::chrono_literals;
using store::DeliveryState;

class ManualWorld final : public Clock, public Timers {
 public:
  TimePoint now() const override { return TimePoint(1'800'000'000'000ms + elapsed); }
  MonotonicTime monotonic() const override { return elapsed; }
  void after(std::chrono::milliseconds delay, std::move_only_function<void()> run) override {
    waiting.emplace(elapsed + delay, std::move(run));
  }

  std::chrono::milliseconds elapsed{0};
  std::multimap<std::chrono::milliseconds, std::move_only_function<void()>> waiting;
};

class ZeroRandom final : public Random {
 public:
  void fill(std::span<std::byte> out) override { std::ranges::fill(out, std::byte{0}); }
};

struct Sent {
  Message message;
  std::move_only_function<void(Answer)> done;
};
using Outbox = std::deque<Sent>;

class ScriptedSink final : public Sink {
 public:
  explicit ScriptedSink(std::shared_ptr<Outbox> outbox) : outbox_(std::move(outbox)) {}
  ~ScriptedSink() override {
    while (!outbox_->empty()) {
      Sent sent = std::move(outbox_->front());
      outbox_->pop_front();
      sent.done({.verdict = Answer::Verdict::kUnknown, .code = "shutting_down"});
    }
  }
  void send(Message message, std::move_only_function<void(Answer)> done) override {
    outbox_->push_back({std::move(message), std::move(done)});
  }

 private:
  std::shared_ptr<Outbox> outbox_;
};

const Answer kTaken{.verdict = Answer::Verdict::kDelivered, .code = "200"};
const Answer kBusy{.verdict = Answer::Verdict::kNotDelivered, .code = "503"};
const Answer kLost{.verdict = Answer::Verdict::kUnknown, .code = "timed_out"};
const Answer kBadRequest{.verdict = Answer::Verdict::kNotDelivered, .code = "400"};
const Answer kGone{.verdict = Answer::Verdict::kNotDelivered, .code = "410", .is_gone = true};

class DispatcherTest : public testing::Test {
 protected:
  void start(const std::vector<std::string>& endpoints = {"shop"}, std::size_t concurrency = 8,
             const RetrySchedule& schedule = {.delays = {1s, 10s}}) {
    begin(endpoints, concurrency, schedule);
    settle();
  }

  /// As `start`, but its first claims are not written yet.
  void begin(const std::vector<std::string>& endpoints = {"shop"}, std::size_t concurrency = 8,
             const RetrySchedule& schedule = {.delays = {1s, 10s}}) {
    std::vector<EndpointOptions> options;
    for (const std::string& name : endpoints) {
      outboxes[name] = std::make_shared<Outbox>();
      options.push_back({.name = EndpointName::trusted(name),
                         .sink = std::make_unique<ScriptedSink>(outboxes[name]),
                         .concurrency = concurrency,
                         .schedule = schedule});
    }
    dispatcher =
        std::make_unique<Dispatcher>(std::move(options), DispatcherOptions{},
                                     Dispatcher::World{*store, world, world, random, log, metrics});
    dispatcher->wake();
  }

  /// Puts another endpoint of that name in place of the one there may be.
  void put(const std::string& name) {
    outboxes[name] = std::make_shared<Outbox>();
    dispatcher->put({.name = EndpointName::trusted(name),
                     .sink = std::make_unique<ScriptedSink>(outboxes[name]),
                     .schedule = {.delays = {1s, 10s}}});
    settle();
  }

  void restart() {
    dispatcher->stop();
    dispatcher.reset();
    settle();
    store = std::make_unique<simulation::MemoryStore>(disk);
    outboxes.clear();
  }

  /// Writes what is queued, with all that follows from it.
  void settle() {
    while (store->pump()) {
    }
  }

  void pass(std::chrono::milliseconds time) {
    const auto until = world.elapsed + time;
    while (!world.waiting.empty() && world.waiting.begin()->first <= until) {
      auto timer = world.waiting.extract(world.waiting.begin());
      world.elapsed = std::max(world.elapsed, timer.key());
      timer.mapped()();
      settle();
    }
    world.elapsed = until;
  }

  /// Adds events to an order, made where there is none, owed to `endpoints`.
  void events(const std::string& number, std::int64_t count,
              const std::vector<std::string>& endpoints = {"shop"}) {
    const core::OrderKey key{MerchantName::trusted("m"), MerchantOrderId::trusted(number)};
    class Adding final : public store::Command {
     public:
      Adding(core::OrderKey order, std::int64_t count, std::vector<std::string> to, TimePoint now)
          : key_(std::move(order)), count_(count), endpoints_(std::move(to)), now_(now) {}
      store::KeySet keys() const override {
        store::KeySet keys;
        keys.orders.push_back(key_);
        return keys;
      }
      void plan(store::WorkingSet& working) override {
        const store::LoadedOrder* known = working.find_order(key_);
        const store::RowId id =
            known != nullptr ? known->row.id : working.add_order({.key = key_, .created_at = now_});
        store::OrderRow row = working.order(id).row;
        for (std::int64_t i = 0; i < count_; ++i) {
          const store::RowId event = working.add_event(
              {.order = id, .sequence = ++row.sequence, .created_at = now_, .body = "{}"});
          for (const std::string& endpoint : endpoints_) {
            working.add_delivery(event, id, row.sequence, EndpointName::trusted(endpoint), now_);
          }
        }
        working.update_order(row);
      }
      void finish(store::Commit outcome) noexcept override {
        EXPECT_EQ(outcome, store::Commit::kDone);
      }

     private:
      core::OrderKey key_;
      std::int64_t count_;
      std::vector<std::string> endpoints_;
      TimePoint now_;
    };
    store->submit(std::make_unique<Adding>(key, count, endpoints, world.now()));
    settle();
    if (dispatcher) dispatcher->wake();
    settle();
  }

  /// What an endpoint has been sent and not answered: "A1 B1".
  [[nodiscard]] std::string open(const std::string& endpoint = "shop") {
    std::string text;
    for (const Sent& sent : *outboxes.at(endpoint)) {
      text += fmt::format("{}{}{}", text.empty() ? "" : " ", sent.message.merchant_order_id,
                          sent.message.sequence);
    }
    return text;
  }

  void answer(const Answer& what, const std::string& endpoint = "shop") {
    Outbox& outbox = *outboxes.at(endpoint);
    ASSERT_FALSE(outbox.empty());
    Sent sent = std::move(outbox.front());
    outbox.pop_front();
    sent.done(what);
    settle();
  }

  [[nodiscard]] std::string states() {
    std::string text;
    for (const auto& [id, row] : disk.deliveries) {
      text += fmt::format("{}{}", text.empty() ? "" : " ", store::name(row.state));
    }
    return text;
  }

  Result<Wished> wish(store::RowId delivery, Wish what) {
    std::optional<Result<Wished>> wished;
    store->submit(wish_command(delivery, what, {.name = "owner", .peer = {}}, store->tag(),
                               world.now(),
                               [&](Result<Wished> answer) { wished = std::move(answer); }));
    settle();
    dispatcher->wake();
    settle();
    return wished.value();
  }

  ManualWorld world;
  ZeroRandom random;
  NullLog log;
  NullMetrics metrics;
  simulation::MemoryDisk disk;
  std::unique_ptr<simulation::MemoryStore> store = std::make_unique<simulation::MemoryStore>(disk);
  std::map<std::string, std::shared_ptr<Outbox>> outboxes;
  std::unique_ptr<Dispatcher> dispatcher;
};

// P6, P7
TEST_F(DispatcherTest, SendsAnOrdersEventsOneAfterTheOther) {
  events("A", 3);
  events("B", 1);
  start();
  EXPECT_EQ(open(), "A1 B1");
  answer(kTaken);
  EXPECT_EQ(open(), "B1 A2");
  answer(kTaken);
  answer(kTaken);
  EXPECT_EQ(open(), "A3");
  answer(kTaken);
  EXPECT_EQ(states(), "delivered delivered delivered delivered");
  pass(1h);
  EXPECT_EQ(open(), "");
}

// P7: the same id each time, so that a consumer can tell a repeat.
TEST_F(DispatcherTest, TriesAgainWithTheSameIdUntilItIsDelivered) {
  events("A", 1);
  start();
  const std::string id = outboxes.at("shop")->front().message.id;
  answer(kBusy);
  EXPECT_EQ(open(), "");
  pass(999ms);
  EXPECT_EQ(open(), "");
  pass(2ms);
  EXPECT_EQ(open(), "A1");
  answer(kLost);
  pass(9s);
  EXPECT_EQ(open(), "");
  pass(2s);
  ASSERT_EQ(open(), "A1");
  EXPECT_EQ(outboxes.at("shop")->front().message.id, id);
  answer(kTaken);
  EXPECT_EQ(states(), "delivered");
  ASSERT_EQ(disk.tries.size(), 3U);
  EXPECT_EQ(disk.tries.at(1).code, "503");
  EXPECT_EQ(disk.tries.at(2).outcome, store::TryOutcome::kUnknown);
  EXPECT_EQ(disk.tries.at(3).outcome, store::TryOutcome::kDelivered);
}

// P6: dead only after the whole schedule, with a reason and an incident; the next in line follows.
TEST_F(DispatcherTest, GivesUpAfterTheScheduleAndGoesOnWithTheNext) {
  events("A", 2);
  start();
  answer(kBadRequest);
  pass(2s);
  answer(kBadRequest);
  pass(11s);
  EXPECT_EQ(states(), "ready waiting");
  answer(kBadRequest);
  EXPECT_EQ(states(), "dead ready");
  EXPECT_EQ(disk.deliveries.at(1).reason, "400");
  EXPECT_EQ(disk.deliveries.at(1).tries, 3);
  ASSERT_EQ(disk.incidents.size(), 1U);
  EXPECT_EQ(disk.incidents.begin()->second.kind, core::IncidentKind::kDeliveryDead);
  EXPECT_EQ(open(), "A2");
}

// P7: a stuck order waits alone, and so does a stuck endpoint.
TEST_F(DispatcherTest, LetsAStuckOrderAndAStuckEndpointHoldUpNobodyElse) {
  events("A", 2, {"shop", "erp"});
  start({"shop", "erp"});
  events("B", 2, {"shop", "erp"});
  ASSERT_EQ(open("shop"), "A1 B1");
  ASSERT_EQ(open("erp"), "A1 B1");
  answer(kBadRequest, "shop");  // A1
  answer(kTaken, "shop");       // B1
  answer(kTaken, "shop");       // B2
  EXPECT_EQ(open("shop"), "");
  EXPECT_EQ(open("erp"), "A1 B1");
}

TEST_F(DispatcherTest, TriesNoMoreAtOnceThanTheEndpointAllows) {
  start({"shop"}, 2);
  for (int i = 0; i < 5; ++i) events(fmt::format("{}", static_cast<char>('A' + i)), 1);
  EXPECT_EQ(open(), "A1 B1");
  answer(kTaken);
  EXPECT_EQ(open(), "B1 C1");
}

// While there is a backlog, one flush to disk serves the end of a try and the next claim.
TEST_F(DispatcherTest, ClaimsTheNextInTheBatchThatEndsATry) {
  for (const char* number : {"A", "B", "C"}) events(number, 1);
  start({"shop"}, 1);
  for (const char* next : {"B1", "C1"}) {
    ASSERT_EQ(outboxes.at("shop")->size(), 1U);
    Sent sent = std::move(outboxes.at("shop")->front());
    outboxes.at("shop")->pop_front();
    sent.done(kTaken);
    EXPECT_EQ(open(), "");
    EXPECT_TRUE(store->pump());
    EXPECT_EQ(open(), next);
  }
  answer(kTaken);
  EXPECT_EQ(states(), "delivered delivered delivered");
}

TEST_F(DispatcherTest, LeavesAFailingEndpointAloneAndProbesItWithOne) {
  start({"shop"}, 8, {.delays = std::vector<std::chrono::milliseconds>(20, 1s)});
  for (int i = 0; i < 8; ++i) events(fmt::format("{}", static_cast<char>('A' + i)), 1);
  for (int i = 0; i < 8; ++i) answer(kBusy);
  EXPECT_TRUE(dispatcher->standings().at("shop").breaker_open);
  pass(Breaker::kPauseMin - 100ms);
  EXPECT_EQ(open(), "");
  pass(200ms);
  EXPECT_EQ(outboxes.at("shop")->size(), 1U);
  answer(kBusy);
  pass(Breaker::kPauseMin + 100ms);
  EXPECT_EQ(open(), "");  // the pause has doubled
  pass(Breaker::kPauseMin);
  ASSERT_EQ(outboxes.at("shop")->size(), 1U);
  answer(kTaken);
  EXPECT_EQ(outboxes.at("shop")->size(), 7U);
}

TEST_F(DispatcherTest, HonoursRetryAfterWithinLimits) {
  events("A", 1);
  start({"shop"}, 8, {.delays = {1s, 1s, 1s}, .retry_after_max = 60s});
  Answer answer_later = kBusy;
  answer_later.retry_after = 30s;
  answer(answer_later);
  pass(29s);
  EXPECT_EQ(open(), "");
  pass(2s);
  EXPECT_EQ(open(), "A1");
  answer_later.retry_after = 100h;
  answer(answer_later);
  pass(59s);
  EXPECT_EQ(open(), "");
  pass(2s);
  EXPECT_EQ(open(), "A1");
}

// An endpoint that says "at once" again and again gets no storm.
TEST_F(DispatcherTest, RetryAfterNeverShortensThePause) {
  events("A", 1);
  start();
  Answer at_once = kBusy;
  at_once.retry_after = 0s;
  answer(at_once);
  pass(999ms);
  EXPECT_EQ(open(), "");
  pass(2ms);
  EXPECT_EQ(open(), "A1");
}

TEST_F(DispatcherTest, StopsSendingToAnEndpointThatIsGone) {
  events("A", 1);
  start();
  answer(kGone);
  pass(24h);
  EXPECT_EQ(open(), "");
  EXPECT_EQ(states(), "ready");
  ASSERT_EQ(disk.incidents.size(), 1U);
  EXPECT_EQ(disk.incidents.begin()->second.kind, core::IncidentKind::kEndpointGone);
  restart();
  start();
  EXPECT_EQ(open(), "A1");
  EXPECT_EQ(disk.deliveries.at(1).tries, 0);
  answer(kTaken);
  EXPECT_EQ(disk.incidents.begin()->second.state, store::IncidentState::kResolved);
}

TEST_F(DispatcherTest, SendsNothingToAnEndpointThatWasGoneBeforeTheClaimCame) {
  events("A", 2);
  events("B", 1);
  start();
  ASSERT_EQ(open(), "A1 B1");
  Sent first = std::move(outboxes.at("shop")->front());
  outboxes.at("shop")->pop_front();
  first.done(kTaken);
  ASSERT_TRUE(store->pump());  // A1 has ended, and A2 is being claimed
  answer(kGone);
  EXPECT_EQ(open(), "");
  restart();
  start();
  answer(kTaken);
  pass(DispatcherOptions{}.lease + 1s);
  EXPECT_EQ(open(), "A2");
}

// The incident is all that says why nothing is sent.
TEST_F(DispatcherTest, TellsThatAnEndpointIsGoneUntilThatIsWritten) {
  events("A", 1);
  start();
  // The store asks until it goes, which is after the test's own variables.
  const auto batches = std::make_shared<int>(0);
  store->set_faults([batches] {
    return ++*batches <= 3 ? simulation::CommitFault::kRefused : simulation::CommitFault::kNone;
  });
  answer(kGone);
  EXPECT_TRUE(disk.incidents.empty());
  pass(DispatcherOptions{}.look_again + 1ms);
  EXPECT_TRUE(disk.incidents.empty());
  pass(DispatcherOptions{}.look_again);
  EXPECT_EQ(disk.incidents.size(), 1U);
  pass(1h);
  EXPECT_EQ(*batches, 4);
}

TEST_F(DispatcherTest, TakesALateSuccessForNoProofThatAGoneEndpointIsBack) {
  events("A", 1);
  events("B", 1);
  start();
  answer(kGone);
  answer(kTaken);
  EXPECT_EQ(states(), "ready delivered");
  ASSERT_EQ(disk.incidents.size(), 1U);
  EXPECT_EQ(disk.incidents.begin()->second.state, store::IncidentState::kOpen);
}

TEST_F(DispatcherTest, TellsThatAnEndpointIsBackUntilThatIsWritten) {
  events("A", 3);
  start();
  answer(kGone);
  restart();
  start();
  store->set_faults([is_refused = false]() mutable {
    return std::exchange(is_refused, true) ? simulation::CommitFault::kNone
                                           : simulation::CommitFault::kRefused;
  });
  answer(kTaken);
  EXPECT_EQ(disk.incidents.begin()->second.state, store::IncidentState::kOpen);
  pass(DispatcherOptions{}.lease + 1s);
  answer(kTaken);
  EXPECT_EQ(disk.incidents.begin()->second.state, store::IncidentState::kResolved);
}

// A message that is refused says little about the endpoint, and our own refusal says nothing.
TEST_F(DispatcherTest, JudgesTheEndpointByWhatSpeaksOfIt) {
  EXPECT_EQ(sign_of(kTaken), Sign::kWorks);
  EXPECT_EQ(sign_of(kBadRequest), Sign::kAnswers);
  EXPECT_EQ(sign_of(kBusy), Sign::kFails);
  EXPECT_EQ(sign_of(kLost), Sign::kFails);
  EXPECT_EQ(sign_of({.verdict = Answer::Verdict::kNotDelivered, .code = "429"}), Sign::kFails);
  EXPECT_EQ(sign_of({.verdict = Answer::Verdict::kNotDelivered, .code = "redirect_refused"}),
            Sign::kFails);
  EXPECT_EQ(sign_of({.verdict = Answer::Verdict::kNotDelivered, .code = "message_too_large"}),
            Sign::kNone);
  Breaker breaker;
  for (int i = 0; i < 4; ++i) breaker.failed(0s);
  breaker.answered();
  breaker.failed(0s);
  EXPECT_TRUE(breaker.is_open());
  breaker.answered();
  EXPECT_FALSE(breaker.is_open());
}

// P10: what was being tried when the process died is tried again once its lease is over.
TEST_F(DispatcherTest, TakesUpAfterACrashWhatWasBeingTried) {
  events("A", 1);
  start();
  ASSERT_EQ(open(), "A1");
  const simulation::MemoryDisk left = disk;
  store->crash();
  restart();
  disk = left;
  start();
  EXPECT_EQ(open(), "");
  pass(DispatcherOptions{}.lease - 1s);
  EXPECT_EQ(open(), "");
  pass(2s);
  EXPECT_EQ(open(), "A1");
}

// P7: a claim that comes after a pause has too little of its lease left: another node may be
// sending what it names.
TEST_F(DispatcherTest, LeavesAClaimThatCameLate) {
  events("A", 1);
  begin();
  world.elapsed += DispatcherOptions{}.lease / 2;  // asleep between asking and getting
  settle();
  EXPECT_EQ(open(), "");
  EXPECT_EQ(states(), "ready");
  pass(DispatcherOptions{}.lease);
  EXPECT_EQ(open(), "A1");
}

// P7: the answer of one whose lease ran out, or that was taken over, changes no row.
TEST_F(DispatcherTest, IgnoresAnAnswerGivenUnderAnOldLease) {
  events("A", 2);
  start();
  pass(DispatcherOptions{}.lease + 2s);
  ASSERT_EQ(open(), "A1 A1");
  answer(kTaken);  // the first try, far too late
  EXPECT_EQ(states(), "ready waiting");
  EXPECT_TRUE(disk.tries.empty());
  answer(kTaken);
  EXPECT_EQ(states(), "delivered ready");
}

// P6: a person may revive a dead one, hurry one that waits for its next try, or cancel.
TEST_F(DispatcherTest, DoesWhatAPersonWishes) {
  events("A", 3);
  start({"shop"}, 8, {.delays = {1h}});
  answer(kBadRequest);
  EXPECT_EQ(wish(1, Wish::kRetry).value(), Wished::kDone);
  EXPECT_EQ(open(), "A1");
  answer(kBadRequest);
  EXPECT_EQ(states(), "dead ready waiting");
  EXPECT_EQ(open(), "A2");
  EXPECT_EQ(wish(3, Wish::kCancel).value(), Wished::kDone);
  EXPECT_EQ(disk.deliveries.at(3).reason, "cancelled by owner");
  EXPECT_EQ(wish(3, Wish::kCancel).value(), Wished::kEnded);
  EXPECT_EQ(disk.incidents.begin()->second.state, store::IncidentState::kOpen);
  EXPECT_EQ(wish(1, Wish::kRetry).value(), Wished::kDone);
  EXPECT_EQ(disk.incidents.begin()->second.state, store::IncidentState::kResolved);
  EXPECT_EQ(open(), "A2 A1");
  answer(kTaken);
  answer(kTaken);
  EXPECT_EQ(states(), "delivered delivered cancelled");
  EXPECT_EQ(wish(1, Wish::kRetry).value(), Wished::kDelivered);
  EXPECT_EQ(wish(99, Wish::kRetry).value(), Wished::kNotThere);
}

// P6: once a cancel is committed no try begins, even if its claim stood before it in the batch.
TEST_F(DispatcherTest, TriesNothingThatIsCancelledInTheBatchOfItsClaim) {
  events("A", 1);
  begin();
  EXPECT_EQ(wish(1, Wish::kCancel).value(), Wished::kDone);
  EXPECT_EQ(states(), "cancelled");
  EXPECT_EQ(open(), "");
}

TEST_F(DispatcherTest, TriesOnceWhatIsHurriedInTheBatchOfItsClaim) {
  events("A", 1);
  begin();
  EXPECT_EQ(wish(1, Wish::kRetry).value(), Wished::kDone);
  EXPECT_EQ(open(), "A1");
}

TEST_F(DispatcherTest, AnswersAndWritesWhatWasBeingTriedWhenItStops) {
  events("A", 1);
  start();
  dispatcher->stop();
  settle();
  ASSERT_EQ(disk.tries.size(), 1U);
  EXPECT_EQ(disk.tries.begin()->second.code, "shutting_down");
  EXPECT_EQ(states(), "ready");
  // Our own stopping is nobody's failure: it counts as no try, and the next start goes on at once.
  EXPECT_EQ(disk.deliveries.at(1).tries, 0);
  EXPECT_EQ(disk.deliveries.at(1).due_at, world.now());
  restart();
  start();
  EXPECT_EQ(open(), "A1");
}

// P14
TEST_F(DispatcherTest, GivesWhatAnEndpointWasTryingToTheOneInItsPlace) {
  events("A", 2, {"shop", "other"});
  start({"shop", "other"});
  const std::shared_ptr<Outbox> old = outboxes["shop"];
  put("shop");
  EXPECT_TRUE(old->empty());
  pass(1s);  // the first claim may be in the batch that gives it back
  EXPECT_EQ(open(), "A1");
  EXPECT_EQ(open("other"), "A1");  // untouched
  EXPECT_EQ(disk.tries.size(), 1U);
  EXPECT_EQ(disk.deliveries.at(1).tries, 0);
  answer(kTaken);
  EXPECT_EQ(open(), "A2");
}

TEST_F(DispatcherTest, GivesBackAClaimThatComesAfterItsEndpointWent) {
  events("A", 1);
  begin();
  dispatcher->remove(EndpointName::trusted("shop"));
  settle();
  // At once, and not when the lease is over.
  EXPECT_EQ(disk.deliveries.at(1).due_at, world.now());
  EXPECT_TRUE(dispatcher->standings().empty());
  put("shop");
  EXPECT_EQ(open(), "A1");
}

}  // namespace
}  // namespace postern::delivery
