#include "ingest/ingest.h"

#include <chrono>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/failpoint.h"
#include "base/log_limiter.h"
#include "crypto/digest.h"

namespace postern::ingest {
namespace {

constexpr std::string_view kPrefix = "/payment/";
constexpr std::string_view kSuffix = "/callback";

[[nodiscard]] HttpResponse empty_response(unsigned code) {
  return {.code = code, .content_type = {}, .body = {}, .headers = {}};
}

[[nodiscard]] std::string_view name(channel::Ack ack) {
  switch (ack) {
    case channel::Ack::kAccepted:
      return "accepted";
    case channel::Ack::kRefused:
      return "refused";
    case channel::Ack::kRetryLater:
      return "retry_later";
  }
  return "";
}

constexpr std::chrono::seconds kLinesWindow{10};

[[nodiscard]] Error peer_not_allowed() {
  return {ErrorClass::kRejected, "peer_not_allowed",
          "the peer is not in the account's allow_from; where it is the platform, add its network, "
          "and where it is your proxy, see trusted_proxies"};
}

constexpr store::CallbackOutcome kOutcomes[] = {
    store::CallbackOutcome::kApplied,      store::CallbackOutcome::kDuplicate,
    store::CallbackOutcome::kUnknownOrder, store::CallbackOutcome::kQuarantined,
    store::CallbackOutcome::kConflict,     store::CallbackOutcome::kNothingToDo,
    store::CallbackOutcome::kToBeConfirmed};

}  // namespace

/// An account with its handles, made once.
struct Ingest::Account {
  std::size_t number = 0;  ///< its own, for as long as it stays
  AccountName name;
  std::shared_ptr<const channel::Channel> channel;
  std::array<Counter*, std::size(kOutcomes)> recorded{};
  Counter& rejected;
  Counter& probes;
  Counter& retry_later;
  Counter& not_verified;
  Histogram& seconds;
  std::optional<std::vector<Network>> allow_from;  ///< nothing: anywhere
  /// A flood of forgeries must not become a flood of lines, nor callbacks that a full disk puts
  /// off; counters tell their number.
  std::shared_ptr<LogLimiter> rejection_lines = std::make_shared<LogLimiter>(20, kLinesWindow);
  std::shared_ptr<LogLimiter> put_off_lines = std::make_shared<LogLimiter>(20, kLinesWindow);
  std::shared_ptr<LogLimiter> not_verified_lines = std::make_shared<LogLimiter>(20, kLinesWindow);
};

/// What one configuration says of callbacks.
struct Ingest::Setup {
  std::map<std::string, std::shared_ptr<const Account>, std::less<>> accounts;
  std::shared_ptr<const ledger::Policy> policy;
};

/// A callback between verification and ack.
struct Ingest::Pending {
  std::shared_ptr<const Account> account;  ///< as it was when the callback came
  Responder respond;
  MonotonicTime began;
  std::string scheme;
};

std::string_view account_in(std::string_view target) {
  target = target.substr(0, target.find('?'));
  if (!target.starts_with(kPrefix) || !target.ends_with(kSuffix)) return {};
  if (target.size() <= kPrefix.size() + kSuffix.size()) return {};
  const std::string_view account =
      target.substr(kPrefix.size(), target.size() - kPrefix.size() - kSuffix.size());
  return account.find('/') == std::string_view::npos ? account : std::string_view();
}

channel::Ack ack_for(store::CallbackOutcome outcome) {
  switch (outcome) {
    case store::CallbackOutcome::kApplied:
    case store::CallbackOutcome::kDuplicate:
    case store::CallbackOutcome::kUnknownOrder:
    case store::CallbackOutcome::kQuarantined:
    case store::CallbackOutcome::kConflict:
    case store::CallbackOutcome::kNothingToDo:
    case store::CallbackOutcome::kToBeConfirmed:
      return channel::Ack::kAccepted;
  }
  return channel::Ack::kRetryLater;
}

channel::Ack ack_for(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::kRejected:
      return channel::Ack::kRefused;
    case ErrorClass::kRetryable:
    case ErrorClass::kFault:
      return channel::Ack::kRetryLater;
  }
  return channel::Ack::kRetryLater;
}

Ingest::Ingest(Channels channels, ledger::Ledger& ledger, const Clock& clock, Log& log,
               Metrics& metrics, Gate gate)
    : ledger_(ledger),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      setup_(Setup{}),
      budget_(gate.budget) {
  configure(std::move(channels), ledger.policy(), std::move(gate));
}

std::shared_ptr<const Ingest::Account> Ingest::make_account(
    const std::string& name, std::shared_ptr<const channel::Channel> channel) const {
  auto account = std::make_shared<Account>(Account{
      .name = AccountName::trusted(name),
      .channel = std::move(channel),
      .rejected =
          metrics_.counter("postern_callbacks_rejected_total",
                           "Callbacks refused before anything was stored.", {{"account", name}}),
      .probes = metrics_.counter("postern_callback_probes_total",
                                 "Deliberately wrong signatures sent by the platform.",
                                 {{"account", name}}),
      .retry_later =
          metrics_.counter("postern_callbacks_retry_later_total",
                           "Callbacks the platform was asked to send again.", {{"account", name}}),
      .not_verified = metrics_.counter(
          "postern_callbacks_not_verified_total",
          "Callbacks put off unverified: too many of late were not genuine.", {{"account", name}}),
      .seconds = metrics_.histogram("postern_callback_seconds",
                                    "From the whole request to its ack.", {{"account", name}}),
      .allow_from = {}});
  for (const store::CallbackOutcome outcome : kOutcomes) {
    account->recorded[static_cast<std::size_t>(outcome)] =
        &metrics_.counter("postern_callbacks_recorded_total", "Callbacks acked as durable.",
                          {{"account", name}, {"outcome", store::name(outcome)}});
  }
  return account;
}

void Ingest::configure(Channels channels, std::shared_ptr<const ledger::Policy> policy, Gate gate) {
  const std::shared_ptr<const Setup> before = setup_.get();
  Setup setup{.accounts = {}, .policy = std::move(policy)};
  for (auto& [name, channel] : channels) {
    const auto known = before->accounts.find(name);
    Account account =
        known == before->accounts.end() ? *make_account(name, channel) : *known->second;
    if (account.number == 0) account.number = ++accounts_made_;
    account.channel = std::move(channel);
    const auto allowed = gate.allow_from.find(name);
    account.allow_from.reset();
    if (allowed != gate.allow_from.end()) account.allow_from = std::move(allowed->second);
    setup.accounts.emplace(name, std::make_shared<const Account>(std::move(account)));
  }
  budget_.configure(gate.budget);
  setup_.set(std::move(setup));
}

Ingest::~Ingest() = default;

void Ingest::handle(HttpRequest request, Responder respond) {
  const std::shared_ptr<const Setup> setup = setup_.get();
  const auto found = setup->accounts.find(account_in(request.target));
  if (found == setup->accounts.end()) return respond(empty_response(404));
  if (request.method != "POST") return respond(empty_response(405));
  const Account& account = *found->second;
  if (stopping_) {
    account.retry_later.add();
    return respond(account.channel->ack(channel::Ack::kRetryLater));
  }

  const MonotonicTime began = clock_.monotonic();
  const TimePoint now = clock_.now();
  // A peer without an address, as of a simulated request, is nobody in particular.
  const IpAddress peer = IpAddress::parse(request.peer).value_or(IpAddress{});
  switch (admit(account, peer, began)) {
    case Admission::kVerify:
      break;
    case Admission::kRefuse:
      reject(account, std::move(request), peer_not_allowed());
      return respond(account.channel->ack(channel::Ack::kRefused));
    case Admission::kPutOff:
      return respond(account.channel->ack(channel::Ack::kRetryLater));
  }
  Result<channel::VerifiedCallback> verified = account.channel->verify(request, now);
  if (!verified) {
    budget_.count_failed(peer, began, account.number);
    reject(account, std::move(request), verified.error());
    return respond(account.channel->ack(ack_for(verified.error().error_class)));
  }
  budget_.count_verified(peer, began);
  Result<channel::Statement> statement = account.channel->adapt(*verified);
  if (!statement) {
    reject(account, std::move(request), statement.error());
    return respond(account.channel->ack(ack_for(statement.error().error_class)));
  }
  failpoint("verified");

  auto evidence = std::make_shared<store::CallbackRow>(store::CallbackRow{
      .account = account.name,
      .received_at = now,
      .target = std::move(request.target),
      .headers = std::move(request.headers).take_block(),
      .digest = crypto::digest(crypto::DigestAlgorithm::kSha256, request.body),
      .peer = std::move(request.peer),
      .key_id = verified->key_id(),
      .scheme = verified->scheme(),
      .event_type =
          verified->event_type().empty() ? std::move(statement->summary) : verified->event_type(),
      .message_key = std::move(statement->message_key)});
  evidence->body = std::move(request.body);
  ledger::Recording recording{.evidence = evidence,
                              .facts = {},
                              .left_out = std::move(statement->left_out),
                              .policy = setup->policy};
  switch (statement->purpose) {
    case channel::Statement::Purpose::kFacts:
      POSTERN_CHECK(!statement->facts.empty());
      recording.facts = std::move(statement->facts);
      break;
    case channel::Statement::Purpose::kNothing:
      evidence->outcome = store::CallbackOutcome::kNothingToDo;
      break;
    case channel::Statement::Purpose::kToBeConfirmed:
      evidence->outcome = store::CallbackOutcome::kToBeConfirmed;
      break;
  }
  Pending pending{found->second, std::move(respond), began, verified->scheme()};
  ledger_.record(std::move(recording),
                 [this, pending = std::move(pending)](Result<ledger::Recorded> recorded) mutable {
                   settle(pending, recorded);
                 });
}

Ingest::Admission Ingest::admit(const Account& account, const IpAddress& peer, MonotonicTime now) {
  if (account.allow_from && !is_in(*account.allow_from, peer)) return Admission::kRefuse;
  const StrangerBudget::Verdict verdict = budget_.judge(peer, now, account.number);
  if (verdict == StrangerBudget::Verdict::kVerify) return Admission::kVerify;
  account.not_verified.add();
  if (const auto kept_back = account.not_verified_lines->admit(now)) {
    const bool is_peer = verdict == StrangerBudget::Verdict::kPeerSpent;
    log_.warning("callback_not_verified", {{"account", account.name.text()},
                                           {"budget", is_peer ? "peer" : "all"},
                                           {"peer", peer.text()},
                                           {"lines_kept_back", *kept_back}});
  }
  return Admission::kPutOff;
}

void Ingest::reject(const Account& account, HttpRequest request, const Error& error) {
  if (error.code == "probe") {
    account.probes.add();
    return;
  }
  account.rejected.add();
  if (const auto kept_back = account.rejection_lines->admit(clock_.monotonic())) {
    log_.warning("callback_rejected", {{"account", account.name.text()},
                                       {"code", error.code},
                                       {"detail", error.detail},
                                       {"peer", request.peer},
                                       {"lines_kept_back", *kept_back}});
  }
  if (channel::is_identity_code(error.code)) {
    ledger_.report({.kind = core::IncidentKind::kIdentityMismatch,
                    .subject = account.name.text() + "/" + std::string(error.code),
                    .detail = error.detail},
                   [](const Result<void>& /*ignored: the log line stands*/) {});
  }
  rejected_.add(account.name.text(), {.received_at = clock_.now(),
                                      .request = std::move(request),
                                      .code = std::string(error.code),
                                      .detail = error.detail});
}

void Ingest::settle(Pending& pending, const Result<ledger::Recorded>& recorded) {
  const Account& account = *pending.account;
  channel::Ack ack = channel::Ack::kRetryLater;
  if (recorded) {
    ack = ack_for(recorded->outcome);
    account.recorded[static_cast<std::size_t>(recorded->outcome)]->add();
    log_.info("callback_recorded", {{"account", account.name.text()},
                                    {"callback", recorded->callback},
                                    {"outcome", store::name(recorded->outcome)},
                                    {"scheme", pending.scheme},
                                    {"ack", name(ack)}});
  } else {
    ack = ack_for(recorded.error().error_class);
    account.retry_later.add();
    if (const auto kept_back = account.put_off_lines->admit(clock_.monotonic())) {
      log_.warning("callback_not_recorded", {{"account", account.name.text()},
                                             {"code", recorded.error().code},
                                             {"ack", name(ack)},
                                             {"lines_kept_back", *kept_back}});
    }
  }
  pending.respond(account.channel->ack(ack));
  account.seconds.observe(
      std::chrono::duration<double>(clock_.monotonic() - pending.began).count());
}

}  // namespace postern::ingest
