#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/rows.h"
#include "store/sql/codes.h"
#include "store/sql/row_view.h"

namespace postern::store::sql {

// What the functions below read, in their order. The tables are called o, a, f, e, d, t, i, u, p;
// callbacks are c, joined with their counter k, and the target stands where the engine keeps it.
inline constexpr std::string_view kOrderColumns =
    "o.id, o.merchant, o.merchant_order_id, o.sequence, o.state, o.dispute, o.expected_minor, "
    "o.expected_currency, o.paid_minor, o.paid_currency, o.refunded_minor, o.created_at_ms, "
    "o.updated_at_ms";
inline constexpr std::string_view kAttemptColumns =
    "a.id, a.account, a.sub_merchant, a.number, a.order_id";
inline constexpr std::string_view kFactColumns =
    "f.id, f.attempt_id, f.callback_id, f.kind, f.source, f.payment_id, f.refund_id, f.dispute_id, "
    "f.minor, f.currency, f.dispute, f.occurred_at_ms, f.recorded_at_ms";
inline constexpr std::string_view kEventColumns =
    "e.id, e.order_id, e.sequence, e.type, e.created_at_ms, e.body";
inline constexpr std::string_view kDeliveryColumns =
    "d.id, d.event_id, d.order_id, d.sequence, d.endpoint, d.state, d.due_at_ms, "
    "d.tries, d.lease, d.reason";
inline constexpr std::string_view kTryColumns =
    "t.id, t.delivery_id, t.began_at_ms, t.took_ms, t.outcome, t.code, t.excerpt";
inline constexpr std::string_view kIncidentColumns =
    "i.id, i.kind, i.subject, i.order_id, i.callback_id, i.detail, i.state, i.count, "
    "i.first_at_ms, i.last_at_ms";
inline constexpr std::string_view kAuditColumns =
    "u.id, u.at_ms, u.actor, u.peer, u.act, u.outcome, u.deliveries, u.detail";
inline constexpr std::string_view kAppliedColumns = "p.event_id, p.consumer, p.at_ms";
inline constexpr std::string_view kCallbackColumns =
    "c.id, c.account, c.received_at_ms, c.outcome, c.copy_of, c.message_key, c.key_id, c.scheme, "
    "c.event_type, c.peer, c.digest, coalesce(k.count, 0)";

/// The code of an error: see Columns::check.
inline constexpr std::string_view kRowOfLaterVersion = "row_of_later_version";

/// Reads the columns of one row from left to right.
class Columns {
 public:
  explicit Columns(const RowView& row) : row_(row) {}

  [[nodiscard]] bool next_is_null() const { return row_.is_null(column_); }
  void skip(int columns) { column_ += columns; }
  /// The next column, which stays the next.
  [[nodiscard]] std::int64_t peek() const { return row_.integer(column_); }
  [[nodiscard]] std::int64_t integer() { return row_.integer(column_++); }
  [[nodiscard]] std::string text() { return std::string(row_.text(column_++)); }
  [[nodiscard]] std::string blob() { return std::string(row_.blob(column_++)); }
  [[nodiscard]] RowId reference() { return integer(); }  // NULL reads as 0.
  [[nodiscard]] TimePoint time() { return TimePoint(std::chrono::milliseconds(integer())); }
  /// Two columns: minor units and currency, both NULL for nothing.
  [[nodiscard]] std::optional<core::Money> money();
  template <class Enum>
  [[nodiscard]] Enum code() {
    const std::int64_t number = integer();
    const std::optional<Enum> value = from_code<Enum>(number);
    if (!value) (number < 0 ? sound_ : known_) = false;
    return value.value_or(codes<Enum>().front());
  }

  /// Numbers with blanks between them.
  [[nodiscard]] std::vector<RowId> row_ids();

  /// An error where a column held what we never write.
  /// @errors kFault store_corrupt; kRejected row_of_later_version: this row is none of ours, and
  ///         nothing is wrong with the store
  [[nodiscard]] Result<void> check() const;

 private:
  const RowView& row_;
  int column_ = 0;
  bool sound_ = true;
  bool known_ = true;
};

[[nodiscard]] OrderRow read_order(Columns& columns);
inline constexpr int kOrderColumnCount = 13;
[[nodiscard]] AttemptRow read_attempt(Columns& columns);
inline constexpr int kAttemptColumnCount = 5;
[[nodiscard]] FactRow read_fact(Columns& columns, const core::AttemptKey& attempt);
[[nodiscard]] EventRow read_event(Columns& columns);
[[nodiscard]] DeliveryRow read_delivery(Columns& columns);
[[nodiscard]] TryRow read_try(Columns& columns);
[[nodiscard]] IncidentRow read_incident(Columns& columns);
[[nodiscard]] AuditRow read_audit(Columns& columns);
[[nodiscard]] AppliedRow read_applied(Columns& columns);
/// The columns above, then the target. Without headers and body.
[[nodiscard]] CallbackRow read_callback(Columns& columns);

}  // namespace postern::store::sql
