#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/message.h"
#include "channel/channel.h"
#include "core/order.h"
#include "ingest/ingest.h"
#include "ledger/ledger.h"
#include "simulate/signer.h"

namespace postern::simulation {

/// A signed callback, made once and sent in many runs.
struct Message {
  std::string account;
  HttpRequest request;
  bool genuine = true;
  std::vector<std::string> fact_keys;  ///< what an ack of it promises to be durable
};

/// An order, and what its messages must make of it once all have been acked.
struct PlannedOrder {
  ledger::Registering registering;
  core::Order expected;
};

/// Orders that have to do with one another, and the messages about them: by place in the set.
struct Story {
  std::vector<std::size_t> orders, messages;
};

/// Orders and messages of all three platforms: plain payments, refunds single and cumulative, a
/// combined payment, a close with a late payment, a payment by two platforms, wrong sums,
/// forgeries. Signing takes a while, so one set serves every run of a process.
class Messages {
 public:
  /// Aborts where something cannot be signed: that is a broken test.
  Messages();

  /// When the messages were signed: runs start here, for the sake of freshness windows.
  [[nodiscard]] TimePoint signed_at() const { return signed_at_; }
  [[nodiscard]] const std::vector<Message>& all() const { return messages_; }
  [[nodiscard]] const std::vector<PlannedOrder>& orders() const { return orders_; }
  [[nodiscard]] const std::vector<Story>& stories() const { return stories_; }
  /// The places of those that are not genuine.
  [[nodiscard]] const std::vector<std::size_t>& forgeries() const { return forgeries_; }
  [[nodiscard]] const std::shared_ptr<const ledger::Policy>& policy() const { return policy_; }
  /// The reply by which an account's platform knows that its message was taken.
  [[nodiscard]] const HttpResponse& accepted(const std::string& account) const;
  /// Shared by all nodes of all runs; they remember what they have found out about a message.
  [[nodiscard]] const ingest::Ingest::Channels& channels() const { return channels_; }

 private:
  struct Maker;
  void make_orders(Maker& maker);
  void make_forgeries(Maker& maker);
  void announce(const std::string& number, std::int64_t minor,
                const std::vector<std::string>& accounts);
  void add(HttpRequest request);
  /// What was announced and added since the last story is one.
  void end_story();
  void finish(PlannedOrder& order) const;

  TimePoint signed_at_;
  ingest::Ingest::Channels channels_;
  std::shared_ptr<const ledger::Policy> policy_;
  std::vector<Message> messages_;
  std::vector<PlannedOrder> orders_;
  std::vector<Story> stories_;
  std::vector<std::size_t> forgeries_;
  std::map<std::string, core::Fact> facts_;
};

}  // namespace postern::simulation
