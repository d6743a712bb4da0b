// Registers the orders of the benchmark straight into a store's file, before the daemon opens it:
// going through the admin API would take longer than the benchmark.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <semaphore>
#include <string>

#include "base/system.h"
#include "bench/bench_order.h"
#include "ledger/ledger.h"
#include "store/postgres/postgres_store.h"
#include "store/sqlite/sqlite_store.h"

namespace {

/// Registrations under way at once; well below the store's queue, so that none is refused.
constexpr std::ptrdiff_t kInFlightMax = 8192;

struct Options {
  std::string store;
  std::string merchant;
  std::size_t count = 0;
};

[[nodiscard]] std::size_t register_all(postern::ledger::Ledger& ledger, const Options& options) {
  std::counting_semaphore<kInFlightMax> free_places(kInFlightMax);
  std::atomic<std::size_t> failed = 0;
  for (std::size_t i = 0; i < options.count; ++i) {
    const std::string number = postern::bench::order_number(i);
    free_places.acquire();
    ledger.register_order(
        {.key = {postern::MerchantName::trusted(options.merchant),
                 postern::MerchantOrderId::trusted(number)},
         .expected = postern::bench::order_sum(),
         .attempts = {{postern::AccountName::trusted(std::string(postern::bench::kAccount)), "",
                       number}}},
        [&](const postern::Result<postern::ledger::Registered>& registered) {
          if (!registered) ++failed;
          free_places.release();
        });
  }
  for (std::ptrdiff_t i = 0; i < kInFlightMax; ++i) free_places.acquire();
  return failed;
}

[[nodiscard]] int run(const Options& options) {
  const postern::SystemClock clock;
  postern::SystemRandom random;
  postern::NullLog log;
  postern::NullMetrics metrics;
  const auto on_failure = [](const postern::Error& error) {
    fmt::print(stderr, "store: {}: {}\n", error.code, error.detail);
  };
  auto store = options.store.starts_with("postgresql:")
                   ? postern::store::postgres::open_postgres({.url = options.store}, clock, random,
                                                             log, metrics, on_failure)
                   : postern::store::sqlite::open_sqlite({.path = options.store, .vfs = {}}, clock,
                                                         random, log, metrics, on_failure);
  if (!store) {
    fmt::print(stderr, "{}: {}\n", store.error().code, store.error().detail);
    return 1;
  }
  auto policy = std::make_shared<postern::ledger::Policy>();
  policy->accounts.emplace(
      postern::bench::kAccount,
      postern::ledger::AccountPolicy{.merchant = postern::MerchantName::trusted(options.merchant),
                                     .channel = "alipay"});
  postern::ledger::Ledger ledger(**store, clock, policy);
  const std::size_t failed = register_all(ledger, options);
  if (failed > 0) fmt::print(stderr, "{} orders were not registered\n", failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Registers the benchmark's orders in a store that no daemon has open.");
  app.add_option("--store", options.store, "the SQLite file, or a postgresql: URL")->required();
  app.add_option("--count", options.count, "how many orders")->required();
  app.add_option("--merchant", options.merchant, "whose orders they are")->required();
  CLI11_PARSE(app, argc, argv);
  return run(options);
}
