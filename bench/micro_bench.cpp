// Goal: what single steps of a callback's life cost, without sockets and disk.
// Method: Google Benchmark over the real parts: the fold, form and signature of an Alipay callback,
// the planner on a batch's working set. Run: build/release/bench/micro_bench
#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/system.h"
#include "bench/bench_order.h"
#include "channel/alipay_signature.h"
#include "channel/form.h"
#include "core/order.h"
#include "crypto/key.h"
#include "ledger/planner.h"
#include "store/working_set.h"

namespace postern::bench {
namespace {

[[nodiscard]] core::AttemptKey attempt(std::uint64_t index) {
  return {AccountName::trusted(std::string(kAccount)), "", order_number(index)};
}

[[nodiscard]] core::Fact payment_fact(std::uint64_t index) {
  return core::Fact::payment(attempt(index), fmt::format("20260105220000{:014}", index),
                             order_sum(), paid_at(index));
}

void fold_one_payment(benchmark::State& state) {
  const core::Registration registration{.expected = order_sum(), .attempts = {attempt(1)}};
  const core::Fact payment = payment_fact(1);
  const std::array<const core::Fact*, 1> facts{&payment};
  for (auto _ : state) benchmark::DoNotOptimize(core::fold(registration, facts));
}
BENCHMARK(fold_one_payment);

void fold_twenty_refunds(benchmark::State& state) {
  const core::Registration registration{.expected = order_sum(), .attempts = {attempt(1)}};
  std::vector<core::Fact> facts{payment_fact(1)};
  const std::string payment_id = facts.front().payment_id;
  for (int i = 0; i < 20; ++i) {
    facts.push_back(core::Fact::refund(attempt(1), payment_id, fmt::format("R{}", i),
                                       core::Money::of(100, order_sum().currency()), paid_at(2)));
  }
  std::vector<const core::Fact*> pointers;
  for (const core::Fact& fact : facts) pointers.push_back(&fact);
  for (auto _ : state) benchmark::DoNotOptimize(core::fold(registration, pointers));
}
BENCHMARK(fold_twenty_refunds);

/// The fields of an Alipay callback with a signature whose public key is at hand.
struct Signed {
  std::string body;
  std::string signature;
  crypto::PublicKey key;
};

[[nodiscard]] Signed make_signed() {
  const auto key = crypto::PrivateKey::generate();
  SystemRandom random;
  const auto signer = simulate::generate_signer(simulate::Platform::kAlipay, std::string(kAccount),
                                                paid_at(0), random);
  POSTERN_CHECK(key.has_value() && signer.has_value());
  const auto request = order_callback(**signer, 1);
  POSTERN_CHECK(request.has_value());
  const auto fields = channel::parse_form(request->body);
  POSTERN_CHECK(fields.has_value());
  const auto signature = key->sign(crypto::SignatureScheme::kRsaSha256,
                                   channel::alipay_signing_text(*fields, channel::AlipayCover::kA));
  POSTERN_CHECK(signature.has_value());
  return {request->body, *signature, key->public_key()};
}

void parse_alipay_form(benchmark::State& state) {
  const Signed callback = make_signed();
  for (auto _ : state) benchmark::DoNotOptimize(channel::parse_form(callback.body));
}
BENCHMARK(parse_alipay_form);

void form_text_and_verify(benchmark::State& state) {
  const Signed callback = make_signed();
  for (auto _ : state) {
    const auto fields = channel::parse_form(callback.body);
    const std::string text = channel::alipay_signing_text(*fields, channel::AlipayCover::kA);
    const auto verified =
        callback.key.verify(crypto::SignatureScheme::kRsaSha256, text, callback.signature);
    POSTERN_CHECK(verified.has_value());
  }
}
BENCHMARK(form_text_and_verify);

class CountingIds final : public store::RowIds {
 public:
  store::RowId next(store::Table table) override {
    return ++last_[static_cast<std::size_t>(table)];
  }

 private:
  std::array<store::RowId, store::kTables> last_{};
};

[[nodiscard]] ledger::Policy one_account() {
  ledger::Policy policy;
  policy.accounts.emplace(kAccount, ledger::AccountPolicy{.merchant = MerchantName::trusted("shop"),
                                                          .channel = "alipay"});
  policy.endpoints.push_back(
      {.name = EndpointName::trusted("shop"), .events = {"order.*"}, .accounts = {}});
  return policy;
}

void register_one(store::WorkingSet& working, const ledger::Policy& policy, std::uint64_t index) {
  const auto registered = ledger::plan_register(
      working, policy,
      {.key = {MerchantName::trusted("shop"), MerchantOrderId::trusted(order_number(index))},
       .expected = order_sum(),
       .attempts = {attempt(index)}},
      paid_at(0));
  POSTERN_CHECK(registered.has_value());
}

/// One batch of payments of registered orders; the time per item is that of one callback.
void plan_a_batch(benchmark::State& state) {
  const auto batch = static_cast<std::uint64_t>(state.range(0));
  const ledger::Policy policy = one_account();
  std::vector<ledger::Recording> recordings;
  for (std::uint64_t i = 0; i < batch; ++i) {
    const store::CallbackRow evidence{.account = AccountName::trusted(std::string(kAccount)),
                                      .received_at = paid_at(i),
                                      .body = std::string(1200, 'b'),
                                      .digest = std::string(32, 'd')};
    recordings.push_back({.evidence = std::make_shared<const store::CallbackRow>(evidence),
                          .facts = {payment_fact(i)}});
  }
  for (auto _ : state) {
    state.PauseTiming();
    CountingIds ids;
    store::WorkingSet working(ids);
    for (std::uint64_t i = 0; i < batch; ++i) register_one(working, policy, i);
    state.ResumeTiming();
    for (const ledger::Recording& recording : recordings) {
      benchmark::DoNotOptimize(ledger::plan_record(working, policy, recording, paid_at(batch)));
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(plan_a_batch)->Arg(256);

}  // namespace
}  // namespace postern::bench

BENCHMARK_MAIN();
