#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "core/event.h"
#include "core/fact.h"
#include "core/order.h"

namespace postern::store {

/// Numbers a row within its table: positive, growing with time, given out by the store before the
/// row is written. Zero means "none".
using RowId = std::int64_t;

/// A number given to a platform, and the order it belongs to.
struct AttemptRow {
  RowId id = 0;
  core::AttemptKey key;
  RowId order = 0;  ///< zero: nobody has registered it yet; its facts wait
};

struct OrderRow {
  RowId id = 0;
  core::OrderKey key;
  std::optional<core::Money> expected;  ///< nothing: opened by its first fact
  std::int64_t sequence = 0;            ///< of its last event
  // What the fold said last, kept for lists and searches; never an input of the fold.
  core::OrderState state = core::OrderState::kAwaiting;
  core::DisputeState dispute = core::DisputeState::kNone;
  std::optional<core::Money> paid;
  std::optional<core::Money> refunded;
  TimePoint created_at;
  TimePoint updated_at;
};

struct FactRow {
  RowId id = 0;
  RowId attempt = 0;
  RowId callback = 0;  ///< the evidence; zero for facts from elsewhere
  core::Fact fact;
  TimePoint recorded_at;
};

/// What became of an accepted callback. (Rejected ones leave no row.)
enum class CallbackOutcome : unsigned char {
  kApplied,        ///< at least one new fact, all in order
  kDuplicate,      ///< another body for facts known already; exact copies only count
  kUnknownOrder,   ///< kept: waits for the order to be registered
  kQuarantined,    ///< a sum or currency is not what the order expects: kept without effect
  kConflict,       ///< other facts under known keys: kept as evidence
  kNothingToDo,    ///< genuine, but says nothing about an order
  kToBeConfirmed,  ///< a hint that a query has to confirm
};
[[nodiscard]] std::string_view name(CallbackOutcome outcome);

/// The evidence of one accepted callback, enough to verify it again offline.
struct CallbackRow {
  RowId id = 0;
  AccountName account;
  TimePoint received_at;
  std::string target;
  std::string headers;  ///< "Name: value\r\n" lines as received
  std::string body;     ///< exact bytes
  std::string digest;   ///< SHA-256 of `body`, 32 bytes
  std::string peer;
  std::string key_id;
  std::string scheme;
  std::string event_type;
  std::string message_key;  ///< only where there is no fact: the guard against its copies
  CallbackOutcome outcome = CallbackOutcome::kApplied;
  std::int64_t copies = 0;  ///< further genuine copies that changed nothing
  RowId copy_of = 0;        ///< the first callback of the same facts, where the body differs
};

/// A callback to be written. The evidence is shared with the command that brought it, which may be
/// planned again; the fields below stand in place of those in it.
struct NewCallback {
  RowId id = 0;
  std::shared_ptr<const CallbackRow> evidence;
  CallbackOutcome outcome = CallbackOutcome::kApplied;
  RowId copy_of = 0;
  std::string message_key;
};

struct EventRow {
  RowId id = 0;
  RowId order = 0;
  std::int64_t sequence = 0;  ///< 1, 2, 3, ... per order
  core::EventType type = core::EventType::kPaid;
  TimePoint created_at;
  std::string body;  ///< the JSON told to the merchant, byte for byte
};

enum class DeliveryState : unsigned char {
  kReady,    ///< the head of its endpoint and order: may be claimed when due
  kWaiting,  ///< behind an unfinished delivery of the same endpoint and order
  kDelivered,
  kDead,
  kCancelled,
};
[[nodiscard]] std::string_view name(DeliveryState state);

struct DeliveryRow {
  RowId id = 0;
  RowId event = 0;
  RowId order = 0;
  std::int64_t sequence = 0;
  EndpointName endpoint;
  DeliveryState state = DeliveryState::kReady;
  /// Of a ready one: when it may be claimed; of one that is being tried: when its lease ends.
  TimePoint due_at;
  std::int64_t tries = 0;
  /// Counts the claims. Who ends a try must name the claim it was made under, so that one who was
  /// asleep while his lease ran out changes nothing any more.
  std::int64_t lease = 0;
  std::string reason;  ///< why it is dead or cancelled, or what the last try met
};

enum class TryOutcome : unsigned char {
  kDelivered,
  kNotDelivered,  ///< certainly not taken
  kUnknown,       ///< may have been taken: the next try may be a repeat
};
[[nodiscard]] std::string_view name(TryOutcome outcome);

/// One try to deliver.
struct TryRow {
  RowId id = 0;
  RowId delivery = 0;
  TimePoint began_at;
  std::chrono::milliseconds took{0};
  TryOutcome outcome = TryOutcome::kUnknown;
  std::string code;     ///< an HTTP code or a word such as connect_failed
  std::string excerpt;  ///< the first bytes of the answer, printable
};

enum class IncidentState : unsigned char { kOpen, kAcknowledged, kResolved };
[[nodiscard]] std::string_view name(IncidentState state);

/// Something a person must look at. The same kind and subject is the same incident, counted.
struct IncidentRow {
  RowId id = 0;
  core::IncidentKind kind = core::IncidentKind::kUnknownOrder;
  std::string subject;
  RowId order = 0;     ///< zero where no order is known
  RowId callback = 0;  ///< the latest evidence
  std::string detail;  ///< for the operator: what is wrong, what to do
  IncidentState state = IncidentState::kOpen;
  std::int64_t count = 1;
  TimePoint first_at;
  TimePoint last_at;
};

/// What a person may do by the admin API or a signal.
enum class AuditAct : unsigned char {
  kDeliveryRetried,
  kDeliveryCancelled,
  kDeliveriesRetried,  ///< many, by a plan
  kConfigurationReloaded,
};
[[nodiscard]] std::string_view name(AuditAct act);

enum class AuditOutcome : unsigned char { kDone, kRefused };
[[nodiscard]] std::string_view name(AuditOutcome outcome);

/// Who asks for an act, and from where.
struct Actor {
  std::string name;
  std::string peer;  ///< the address; empty: this machine, without the API
};

/// One act of a person, written in the commit of what it did.
struct AuditRow {
  RowId id = 0;
  TimePoint at;
  Actor actor;
  AuditAct act = AuditAct::kDeliveryRetried;
  AuditOutcome outcome = AuditOutcome::kDone;
  std::vector<RowId> deliveries;  ///< which it was about
  std::string detail;             ///< why it was refused, or what was asked for
};

/// What a consumer has said of an event: that its effect is in the consumer's own books.
struct AppliedRow {
  RowId event = 0;
  std::string consumer;
  TimePoint at;  ///< when it said so first
};

}  // namespace postern::store
