#include "tests/simulation/node.h"

#include "base/failpoint.h"

namespace postern::simulation {
namespace {

[[nodiscard]] MemoryStoreOptions store_options(const Weather& weather) {
  return {.batch_max = weather.batch_max,
          .dedupe = planted_fault("check_then_act") ? MemoryStoreOptions::Dedupe::kCheckThenAct
                                                    : MemoryStoreOptions::Dedupe::kKept,
          .outbox = planted_fault("outbox_in_second_transaction")
                        ? MemoryStoreOptions::Outbox::kNextTransaction
                        : MemoryStoreOptions::Outbox::kSameTransaction};
}

[[nodiscard]] std::vector<delivery::EndpointOptions> endpoint_options(
    const Weather& weather, const Receivers& receivers, const std::shared_ptr<bool>& crashed) {
  std::vector<delivery::EndpointOptions> options;
  options.reserve(kEndpoints);
  for (std::size_t i = 0; i < kEndpoints; ++i) {
    options.push_back({.name = EndpointName::trusted(kEndpointNames[i]),
                       .sink = receivers[i]->make_sink(crashed),
                       .concurrency = weather.endpoints[i].concurrency,
                       .schedule = weather.schedule});
  }
  return options;
}

}  // namespace

Node::Node(MemoryDisk& disk, const Weather& weather, World& world, Dice& dice,
           const Messages& messages, const Receivers& receivers,
           std::function<CommitFault()> faults)
    : store_(std::make_unique<MemoryStore>(disk, store_options(weather))),
      dispatcher_(std::make_unique<delivery::Dispatcher>(
          endpoint_options(weather, receivers, crashed_),
          delivery::DispatcherOptions{.look_again = weather.look_again},
          delivery::Dispatcher::World{*store_, world, world, dice, log_, metrics_})),
      ledger_(*store_, world, messages.policy(), [this] { dispatcher_->wake(); }),
      ingest_(messages.channels(), ledger_, world, log_, metrics_) {
  store_->set_faults(std::move(faults));
  dispatcher_->wake();
}

Node::~Node() {
  dispatcher_->stop();
  // What it still writes finds everything it needs.
  store_.reset();
}

void Node::crash() {
  *crashed_ = true;
  store_->crash();
}

void Node::stop() {
  ingest_.stop_accepting();
  dispatcher_->stop();
  while (store_->pump()) {
  }
}

}  // namespace postern::simulation
