#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/current.h"
#include "base/ip_address.h"
#include "base/log.h"
#include "base/message.h"
#include "base/metrics.h"
#include "channel/channel.h"
#include "ingest/rejected_ring.h"
#include "ingest/stranger_budget.h"
#include "ledger/ledger.h"

namespace postern::ingest {

/// The account that a target such as "/payment/alipay/callback" names; empty where it names none.
/// A query is not part of the name and not looked at: platforms sign what they send, not our URL.
[[nodiscard]] std::string_view account_in(std::string_view target);

/// Which of the three acks a recorded callback gets: always kAccepted, since a resend would not
/// help. (The table of docs/acks.md.)
[[nodiscard]] channel::Ack ack_for(store::CallbackOutcome outcome);
/// Which ack an error gets: kRejected is refused, everything else is our trouble.
[[nodiscard]] channel::Ack ack_for(ErrorClass error_class);

/// Who is heard, before anything is verified; never instead of that.
struct Gate {
  /// By account; an account without an entry takes callbacks from anywhere.
  std::map<std::string, std::vector<Network>, std::less<>> allow_from;
  StrangerBudget::Options budget{};
};

/// Receives callbacks: verifies, adapts, has them recorded, and acks when that is durable.
///
/// A callback from a peer that is not allowed gets the refusal of a bad signature. One whose peer
/// has used up its budget of failed verifications gets the retryable ack and is not verified, so
/// that an honest sender behind the same address is asked again and loses nothing.
///
/// Keeps no state between callbacks but counters, the ring of refused ones and the budget.
/// Everything it asks of the world (clock, store behind the ledger, log, metrics) is given to it,
/// so the simulator runs the same code.
///
/// @thread any; the answer is given on the caller's thread or on the store's
class Ingest final : public HttpHandler {
 public:
  using Channels = std::map<std::string, std::shared_ptr<const channel::Channel>, std::less<>>;

  /// @param channels  by account name; each account stands in the ledger's policy too, by which
  ///                  everything is recorded until `configure`
  Ingest(Channels channels, ledger::Ledger& ledger, const Clock& clock, Log& log, Metrics& metrics,
         Gate gate = {});
  ~Ingest() override;

  /// Answers POST /payment/{account}/callback; 404 for any other path and 405 for another method,
  /// both with an empty body.
  void handle(HttpRequest request, Responder respond) override;

  /// Replaces the accounts, the policy and the gate, all at once: a callback is verified, recorded
  /// and acked by the configuration it met. What is counted of an account that stays goes on.
  /// @thread any, one at a time
  void configure(Channels channels, std::shared_ptr<const ledger::Policy> policy, Gate gate = {});

  /// From now on every callback is answered with the platform's retryable failure.
  void stop_accepting() { stopping_ = true; }

  [[nodiscard]] const RejectedRing& rejected() const { return rejected_; }

 private:
  struct Account;
  struct Pending;
  struct Setup;

  [[nodiscard]] std::shared_ptr<const Account> make_account(
      const std::string& name, std::shared_ptr<const channel::Channel> channel) const;
  /// Whether a callback of `peer` is to be verified; counts it, and tells the operator, where not.
  enum class Admission : unsigned char { kVerify, kRefuse, kPutOff };
  [[nodiscard]] Admission admit(const Account& account, const IpAddress& peer, MonotonicTime now);
  void reject(const Account& account, HttpRequest request, const Error& error);
  void settle(Pending& pending, const Result<ledger::Recorded>& recorded);

  ledger::Ledger& ledger_;
  const Clock& clock_;
  Log& log_;
  Metrics& metrics_;
  Current<Setup> setup_;
  std::size_t accounts_made_ = 0;  ///< by `configure`
  RejectedRing rejected_;
  StrangerBudget budget_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace postern::ingest
