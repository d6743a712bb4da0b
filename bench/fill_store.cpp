// Fills a store with paid orders as if it had run for 100 days, by the product's own ledger and
// delivery commands, without HTTP and signatures: each order is registered, its callback recorded
// with one payment, its event written.
//
// One order in ten is owed to an endpoint, and that delivery is claimed and ended as delivered; the
// others belong to no endpoint, which leaves out two rows of each and three quarters of the time.
// All keys of those rows grow with time, so that more of them change nothing for who comes next.
//
// Numbers are shaped as real ones: the merchant's begin with date and time, the platform's with the
// date, the rest of it random. The last day is that of the benchmark's callbacks, whose payment ids
// therefore fall between the filled ones. The same count gives the same orders, none of which is
// one of the benchmark's.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <semaphore>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/system.h"
#include "bench/bench_order.h"
#include "crypto/digest.h"
#include "delivery/commands.h"
#include "ledger/ledger.h"
#include "store/postgres/evidence_partitions.h"
#include "store/postgres/postgres_store.h"
#include "store/sqlite/sqlite_store.h"

namespace {

using postern::TimePoint;
using postern::bench::kAccount;

/// Commands under way at once; well below the store's queue, so that none is refused.
constexpr std::ptrdiff_t kInFlightMax = 8192;
/// Orders between two looks at the deliveries.
constexpr std::size_t kRound = 50'000;
constexpr std::size_t kOrdersPerDelivery = 10;
constexpr std::size_t kClaimMax = 2000;
constexpr std::chrono::days kSpan{100};
constexpr std::chrono::hours kChinaOffset{8};
constexpr std::size_t kBodySize = 1500;
constexpr std::string_view kEndpoint = "shop";

constexpr std::string_view kHeaders =
    "Host: pay.example.com\r\n"
    "User-Agent: Mozilla/4.0\r\n"
    "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
    "Content-Length: 1500\r\n"
    "Accept: */*\r\n"
    "X-Forwarded-For: 203.0.113.77\r\n"
    "X-Forwarded-Proto: https\r\n"
    "X-Request-Id: 7f1b2c3d4e5f60718293a4b5c6d7e8f9\r\n"
    "Connection: keep-alive\r\n";

struct Options {
  std::string store;
  std::string merchant;
  std::size_t count = 0;
  std::size_t batch_max = 2048;
};

/// Says the time of the order at hand.
class FillClock final : public postern::Clock {
 public:
  [[nodiscard]] TimePoint now() const override {
    return TimePoint(std::chrono::milliseconds(now_ms_.load(std::memory_order_relaxed)));
  }
  [[nodiscard]] postern::MonotonicTime monotonic() const override { return system_.monotonic(); }
  void set(TimePoint now) { now_ms_.store(now.time_since_epoch().count()); }

 private:
  postern::SystemClock system_;
  std::atomic<std::int64_t> now_ms_{0};
};

/// Waits for the last of many commands.
class InFlight {
 public:
  void enter() { free_places_.acquire(); }
  void leave(bool done) {
    if (!done) ++failed_;
    free_places_.release();
  }
  void wait() {
    for (std::ptrdiff_t i = 0; i < kInFlightMax; ++i) free_places_.acquire();
    free_places_.release(kInFlightMax);
  }
  [[nodiscard]] std::size_t failed() const { return failed_; }

 private:
  std::counting_semaphore<kInFlightMax> free_places_{kInFlightMax};
  std::atomic<std::size_t> failed_ = 0;
};

[[nodiscard]] TimePoint paid_at(std::size_t index, std::size_t count) {
  const std::chrono::milliseconds span = kSpan;
  const auto passed = static_cast<double>(span.count()) * static_cast<double>(index + 1) /
                      static_cast<double>(count);
  return postern::bench::paid_at(0) - span +
         std::chrono::milliseconds(static_cast<std::int64_t>(passed));
}

[[nodiscard]] std::string random_text(postern::Random& random, std::size_t size,
                                      std::string_view letters) {
  std::string text(size, '\0');
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < size; ++i) {
    word = i % 8 == 0 ? random.next() : word >> 8;
    text[i] = letters[(word & 0xff) % letters.size()];
  }
  return text;
}

/// One filled order.
struct Paid {
  std::string number;
  std::string payment_id;
  TimePoint at;
  std::string body;
};

[[nodiscard]] Paid make_paid(std::size_t index, std::size_t count) {
  postern::simulate::SeededRandom random(~index);
  Paid paid{.number = {}, .payment_id = {}, .at = paid_at(index, count), .body = {}};
  const std::string time = fmt::format(
      "{:%Y%m%d%H%M%S}", std::chrono::floor<std::chrono::seconds>(paid.at + kChinaOffset));
  paid.number = fmt::format("{}{:06}", time, index % 1'000'000);
  paid.payment_id = time.substr(0, 8) + "2200" + random_text(random, 16, "0123456789");
  paid.body = fmt::format(
      "app_id=2021000000000001&auth_app_id=2021000000000001&buyer_pay_amount=88.88&charset=utf-8&"
      "gmt_create={1}&gmt_payment={1}&invoice_amount=88.88&notify_id={2}&notify_time={1}&"
      "notify_type=trade_status_sync&out_trade_no={0}&point_amount=0.00&receipt_amount=88.88&"
      "seller_id=2088000000000001&sign_type=RSA2&total_amount=88.88&trade_no={3}&"
      "trade_status=TRADE_SUCCESS&version=1.0&sign={4}&subject=",
      paid.number, time, random_text(random, 32, "0123456789abcdef"), paid.payment_id,
      random_text(random, 344, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"));
  paid.body.resize(kBodySize, 'x');
  return paid;
}

class Fill {
 public:
  Fill(postern::store::Store& store, FillClock& clock, const Options& options)
      : store_(store),
        clock_(clock),
        options_(options),
        merchant_(postern::MerchantName::trusted(options.merchant)),
        account_(postern::AccountName::trusted(std::string(kAccount))),
        endpoint_(postern::EndpointName::trusted(std::string(kEndpoint))),
        untold_(store, clock, policy({})),
        told_(store, clock, policy({{.name = endpoint_, .events = {"*"}, .accounts = {}}})) {}

  /// @return how many commands were refused
  [[nodiscard]] std::size_t run() {
    const postern::MonotonicTime began = clock_.monotonic();
    for (std::size_t first = 0; first < options_.count && in_flight_.failed() == 0;) {
      const std::size_t end = std::min(first + kRound, options_.count);
      for (std::size_t i = first; i < end; ++i) add(i);
      in_flight_.wait();
      deliver();
      first = end;
      show(first, std::chrono::duration<double>(clock_.monotonic() - began).count());
    }
    fmt::print(stderr, "\n");
    return in_flight_.failed();
  }

 private:
  [[nodiscard]] std::shared_ptr<const postern::ledger::Policy> policy(
      std::vector<postern::ledger::EndpointPolicy> endpoints) const {
    auto policy = std::make_shared<postern::ledger::Policy>();
    policy->accounts.emplace(
        kAccount,
        postern::ledger::AccountPolicy{.merchant = merchant_, .channel = std::string(kAccount)});
    policy->endpoints = std::move(endpoints);
    return policy;
  }

  void add(std::size_t index) {
    Paid paid = make_paid(index, options_.count);
    clock_.set(paid.at);
    const postern::core::AttemptKey attempt{account_, "", paid.number};
    postern::ledger::Ledger& ledger = index % kOrdersPerDelivery == 0 ? told_ : untold_;
    in_flight_.enter();
    ledger.register_order({.key = {merchant_, postern::MerchantOrderId::trusted(paid.number)},
                           .expected = postern::bench::order_sum(),
                           .attempts = {attempt}},
                          [this](const postern::Result<postern::ledger::Registered>& registered) {
                            in_flight_.leave(registered.has_value());
                          });
    auto evidence = std::make_shared<postern::store::CallbackRow>(postern::store::CallbackRow{
        .account = account_,
        .received_at = paid.at,
        .target = "/payment/alipay/callback",
        .headers = std::string(kHeaders),
        .digest = postern::crypto::digest(postern::crypto::DigestAlgorithm::kSha256, paid.body),
        .peer = "203.0.113.77",
        .key_id = "2c26b46b68ffc68f",
        .scheme = "RSA2",
        .event_type = "trade_status_sync TRADE_SUCCESS",
        .message_key = {}});
    evidence->body = std::move(paid.body);
    in_flight_.enter();
    ledger.record({.evidence = std::move(evidence),
                   .facts = {postern::core::Fact::payment(attempt, std::move(paid.payment_id),
                                                          postern::bench::order_sum(), paid.at)},
                   .left_out = {}},
                  [this](const postern::Result<postern::ledger::Recorded>& recorded) {
                    in_flight_.leave(recorded && recorded->outcome ==
                                                     postern::store::CallbackOutcome::kApplied);
                  });
  }

  /// Claims and ends all deliveries that are due, as an endpoint that takes everything at once.
  void deliver() {
    while (true) {
      postern::delivery::Claimed claimed;
      in_flight_.enter();
      store_.submit(postern::delivery::claim_command(
          {.endpoint = endpoint_, .due_by = clock_.now(), .limit = kClaimMax},
          std::chrono::minutes(1), [&](std::optional<postern::delivery::Claimed> got) {
            const bool done = got.has_value();
            if (done) claimed = std::move(*got);
            in_flight_.leave(done);
          }));
      in_flight_.wait();
      if (claimed.deliveries.empty()) return;
      for (const postern::store::LoadedDelivery& delivery : claimed.deliveries) end(delivery.row);
      in_flight_.wait();
    }
  }

  void end(const postern::store::DeliveryRow& delivery) {
    in_flight_.enter();
    store_.submit(postern::delivery::end_command(
        {.tried = {.delivery = delivery.id,
                   .began_at = clock_.now(),
                   .took = std::chrono::milliseconds(3),
                   .outcome = postern::store::TryOutcome::kDelivered,
                   .code = "200",
                   .excerpt = "ok"},
         .lease = delivery.lease,
         .decision = {.kind = postern::delivery::Decision::Kind::kDelivered,
                      .due_at = {},
                      .reason = {}},
         .now = clock_.now(),
         .tag = store_.tag()},
        [this](postern::store::Commit outcome) {
          in_flight_.leave(outcome == postern::store::Commit::kDone);
        }));
  }

  void show(std::size_t filled, double seconds) const {
    const double rate = static_cast<double>(filled) / seconds;
    fmt::print(stderr, "\r{} of {} orders, {:.0f}/s, {:.0f} s to go   ", filled, options_.count,
               rate, static_cast<double>(options_.count - filled) / rate);
  }

  postern::store::Store& store_;
  FillClock& clock_;
  const Options& options_;
  const postern::MerchantName merchant_;
  const postern::AccountName account_;
  const postern::EndpointName endpoint_;
  InFlight in_flight_;
  postern::ledger::Ledger untold_;
  postern::ledger::Ledger told_;
};

/// The months of the past, which a daemon makes while they are the present.
[[nodiscard]] postern::Result<void> make_partitions(const std::string& url, postern::Log& log) {
  POSTERN_ASSIGN_OR_RETURN(auto connection, postern::store::postgres::Connection::open(
                                                {.url = url, .password = {}, .name = "fill"}));
  const TimePoint end = postern::bench::paid_at(0);
  for (TimePoint at = end - kSpan; at <= end; at += std::chrono::days(28)) {
    POSTERN_RETURN_IF_ERROR(
        postern::store::postgres::keep_evidence_partitions(connection, at, 0, log));
  }
  return {};
}

[[nodiscard]] int fail(const postern::Error& error) {
  fmt::print(stderr, "{}: {}\n", error.code, error.detail);
  return 1;
}

[[nodiscard]] int run(const Options& options) {
  FillClock clock;
  clock.set(paid_at(0, options.count));
  postern::SystemRandom random;
  postern::NullLog log;
  postern::NullMetrics metrics;
  const auto on_failure = [](const postern::Error& error) { (void)fail(error); };
  const bool is_postgres = options.store.starts_with("postgresql:");
  auto store = is_postgres ? postern::store::postgres::open_postgres(
                                 {.url = options.store, .batch_max = options.batch_max}, clock,
                                 random, log, metrics, on_failure)
                           : postern::store::sqlite::open_sqlite(
                                 {.path = options.store, .batch_max = options.batch_max, .vfs = {}},
                                 clock, random, log, metrics, on_failure);
  if (!store) return fail(store.error());
  if (is_postgres) {
    if (const auto made = make_partitions(options.store, log); !made) return fail(made.error());
  }
  const std::size_t failed = Fill(**store, clock, options).run();
  if (failed > 0) fmt::print(stderr, "{} commands were refused\n", failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Fills a store that no daemon has open with paid orders of the last 100 days.");
  app.add_option("--store", options.store, "the SQLite file, or a postgresql: URL")->required();
  app.add_option("--count", options.count, "how many orders")->required();
  app.add_option("--merchant", options.merchant, "whose orders they are")->required();
  app.add_option("--batch-max", options.batch_max, "commands in one commit");
  CLI11_PARSE(app, argc, argv);
  return run(options);
}
