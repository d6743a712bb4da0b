#pragma once

#include <array>
#include <functional>
#include <memory>

#include "base/log.h"
#include "base/metrics.h"
#include "delivery/dispatcher.h"
#include "ingest/ingest.h"
#include "ledger/ledger.h"
#include "tests/simulation/memory_store.h"
#include "tests/simulation/messages.h"
#include "tests/simulation/receiver.h"

namespace postern::simulation {

using Receivers = std::array<std::unique_ptr<Receiver>, kEndpoints>;

/// One process, put together as the daemon does it: what is lost when it dies.
class Node {
 public:
  Node(MemoryDisk& disk, const Weather& weather, World& world, Dice& dice, const Messages& messages,
       const Receivers& receivers, std::function<CommitFault()> faults);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// The process dies at once: whatever it had in memory is lost, and nobody gets an answer.
  void crash();
  /// An orderly stop. What was under way is answered and written, as far as the store writes.
  void stop();

  [[nodiscard]] MemoryStore& store() { return *store_; }
  [[nodiscard]] ledger::Ledger& ledger() { return ledger_; }
  [[nodiscard]] ingest::Ingest& ingest() { return ingest_; }
  [[nodiscard]] delivery::Dispatcher& dispatcher() { return *dispatcher_; }

 private:
  const std::shared_ptr<bool> crashed_ = std::make_shared<bool>(false);
  NullLog log_;
  NullMetrics metrics_;
  std::unique_ptr<MemoryStore> store_;
  std::unique_ptr<delivery::Dispatcher> dispatcher_;
  ledger::Ledger ledger_;
  ingest::Ingest ingest_;
};

}  // namespace postern::simulation
