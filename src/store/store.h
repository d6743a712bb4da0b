#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/rows.h"
#include "store/working_set.h"

namespace postern::store {

/// The three answers of a commit.
enum class Commit : unsigned char {
  kDone,     ///< written and flushed to stable storage
  kRefused,  ///< certainly not written
  kUnknown,  ///< may or may not be written: say neither yes nor no, invite a resend
};

/// One whole change, planned by the ledger and written by the store together with its neighbours.
class Command {
 public:
  virtual ~Command() = default;
  /// What `plan` needs loaded; asked once.
  [[nodiscard]] virtual KeySet keys() const = 0;
  /// Decides, changing `working` only. Pure: may be called again on a fresh set, when a neighbour
  /// in the batch had to be left out. @thread the store's
  virtual void plan(WorkingSet& working) = 0;
  /// Called exactly once, after the batch is over; must not block or throw. @thread the store's
  virtual void finish(Commit outcome) noexcept = 0;
};

/// A listing never gives more rows than this, whatever its filter's limit says.
inline constexpr std::size_t kRowsMax = 1000;

struct OrderFilter {
  std::optional<core::OrderState> state;
  std::string search;  ///< a merchant order id or a number given to a platform, in full; empty: all
  RowId before = 0;    ///< only rows with a smaller id; zero: from the newest
  std::size_t limit = 50;
};

struct CallbackFilter {
  std::optional<AccountName> account;
  std::optional<CallbackOutcome> outcome;
  RowId before = 0;
  std::size_t limit = 50;
};

struct IncidentFilter {
  std::optional<IncidentState> state;
  RowId before = 0;
  std::size_t limit = 50;
};

struct DeliveryFilter {
  std::optional<DeliveryState> state;
  std::optional<EndpointName> endpoint;
  RowId before = 0;
  std::size_t limit = 50;
  // Of the event that is owed.
  std::optional<core::EventType> event;
  std::optional<AccountName> account;  ///< whose fact caused it
  std::optional<RowId> order;
  std::optional<TimePoint> from;  ///< not before
  std::optional<TimePoint> to;    ///< before
  RowId after = 0;                ///< only rows with a larger id
  RowId until = 0;                ///< only rows up to this id; zero: all
};

/// What a filter finds, whatever its limit says.
struct DeliveryCount {
  std::int64_t deliveries = 0;
  std::int64_t orders = 0;
  RowId last = 0;  ///< the largest id
  // When the events that are owed were written.
  std::optional<TimePoint> oldest;
  std::optional<TimePoint> newest;
};

/// What an endpoint is owed and was not given. (What it was given is not counted: that would be a
/// walk over all rows.)
struct EndpointLoad {
  std::int64_t ready = 0, waiting = 0, dead = 0, cancelled = 0;
  /// When the oldest event was written that it is still to get.
  std::optional<TimePoint> oldest;
};

/// Row counts, for checks and metrics.
struct Totals {
  std::int64_t orders = 0, attempts = 0, facts = 0, callbacks = 0, copies = 0, events = 0,
               deliveries = 0, incidents = 0, tries = 0;
  friend bool operator==(const Totals&, const Totals&) = default;
};

/// Reads what is committed. Every call is one consistent look; two calls may see different commits.
/// @errors kRetryable store_unreadable
/// @thread one at a time; blocks
class Reader {
 public:
  virtual ~Reader() = default;
  [[nodiscard]] virtual Result<std::optional<OrderRow>> order(const core::OrderKey& key) = 0;
  [[nodiscard]] virtual Result<std::optional<OrderRow>> order(RowId id) = 0;
  /// Newest first.
  [[nodiscard]] virtual Result<std::vector<OrderRow>> orders(const OrderFilter& filter) = 0;
  [[nodiscard]] virtual Result<std::vector<AttemptRow>> attempts(RowId order) = 0;
  /// Facts of the order's attempts, oldest first.
  [[nodiscard]] virtual Result<std::vector<FactRow>> facts(RowId order) = 0;
  /// By sequence.
  [[nodiscard]] virtual Result<std::vector<EventRow>> events(RowId order) = 0;
  [[nodiscard]] virtual Result<std::vector<DeliveryRow>> deliveries(RowId order) = 0;
  [[nodiscard]] virtual Result<std::optional<DeliveryRow>> delivery(RowId id) = 0;
  /// Newest first.
  [[nodiscard]] virtual Result<std::vector<DeliveryRow>> deliveries(
      const DeliveryFilter& filter) = 0;
  /// The same by id.
  [[nodiscard]] virtual Result<std::vector<DeliveryRow>> deliveries_after(
      const DeliveryFilter& filter) = 0;
  [[nodiscard]] virtual Result<EndpointLoad> load_of(const EndpointName& endpoint) = 0;
  [[nodiscard]] virtual Result<DeliveryCount> count(const DeliveryFilter& filter) = 0;
  /// Oldest first.
  [[nodiscard]] virtual Result<std::vector<TryRow>> tries(RowId delivery) = 0;
  [[nodiscard]] virtual Result<std::optional<EventRow>> event(RowId id) = 0;
  /// By id, those above `after`. An event that can be read later has a larger id than all that can
  /// be read now, so that whoever goes on behind the last one skips none.
  [[nodiscard]] virtual Result<std::vector<EventRow>> events_after(RowId after,
                                                                   std::size_t limit) = 0;
  /// What consumers have said of the order's events, by event.
  [[nodiscard]] virtual Result<std::vector<AppliedRow>> applied(RowId order) = 0;
  /// By id, those above `after`.
  [[nodiscard]] virtual Result<std::vector<AuditRow>> audit_after(RowId after,
                                                                  std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::optional<CallbackRow>> callback(RowId id) = 0;
  /// Newest first, without headers and body.
  [[nodiscard]] virtual Result<std::vector<CallbackRow>> callbacks(
      const CallbackFilter& filter) = 0;
  /// The evidence of the order's facts and of their variants, oldest first, without headers and
  /// body.
  [[nodiscard]] virtual Result<std::vector<CallbackRow>> callbacks_of(RowId order) = 0;
  [[nodiscard]] virtual Result<std::vector<IncidentRow>> incidents(
      const IncidentFilter& filter) = 0;
  [[nodiscard]] virtual Result<std::vector<IncidentRow>> incidents_of(RowId order) = 0;
  [[nodiscard]] virtual Result<Totals> totals() = 0;
};

/// Durable memory of everything Postern knows.
///
/// Commands queued while a batch is being written form the next one: one database transaction per
/// batch, planned in the order submitted, claims of deliveries last. After the first doubt about
/// the storage the store is failed for good: every further command is refused, and `on_failure`
/// (given at opening) is called once, so that the process stops acknowledging and restarts into
/// recovery. A database that cannot be reached is no such doubt: commands are refused until it can.
class Store {
 public:
  virtual ~Store() = default;
  /// Never blocks. With a full queue or a failed store `finish(kRefused)` is called at once.
  /// @thread any
  virtual void submit(std::unique_ptr<Command> command) = 0;
  /// Whether commands can be written, as far as is known.
  [[nodiscard]] virtual bool healthy() const = 0;
  /// A reader of its own connection. It must go before the store does. @errors store_unreadable
  [[nodiscard]] virtual Result<std::unique_ptr<Reader>> reader() = 0;
  /// Six characters, made with the store: part of every public id, so that the ids of two
  /// installations never meet.
  [[nodiscard]] virtual const std::string& tag() const = 0;
  /// The clock that all nodes of this store go by; nullptr where it has one node only, which goes
  /// by its own. Lifetime: that of the store
  [[nodiscard]] virtual const Clock* clock() const { return nullptr; }
};

/// How the body of an event names the account whose fact caused it. No other member of a body has
/// that name, and quotes within texts are escaped, so that a body says it only if it is so.
/// @param account  without characters that JSON escapes
[[nodiscard]] std::string account_member(const AccountName& account);

/// Public ids: "evt_k3f9a2_17" is the event of row 17 of the store with that tag.
[[nodiscard]] std::string public_id(std::string_view prefix, const std::string& tag, RowId id);
/// The row id, if `text` is a public id with this prefix and tag (or a bare number).
[[nodiscard]] std::optional<RowId> parse_public_id(std::string_view text, std::string_view prefix,
                                                   const std::string& tag);

}  // namespace postern::store
