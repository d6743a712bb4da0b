#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/fact.h"
#include "core/money.h"
#include "store/rows.h"

namespace postern::admin {

// Prefixes of public ids.
inline constexpr std::string_view kOrderPrefix = "ord";
inline constexpr std::string_view kFactPrefix = "fact";
inline constexpr std::string_view kCallbackPrefix = "cb";
inline constexpr std::string_view kEventPrefix = "evt";
inline constexpr std::string_view kDeliveryPrefix = "dlv";
inline constexpr std::string_view kIncidentPrefix = "inc";
inline constexpr std::string_view kAuditPrefix = "aud";

/// "rej_17": names a refused callback while the daemon runs that refused it.
[[nodiscard]] std::string rejected_id(std::uint64_t number);
/// The number, or 0, which no callback has, where `text` is no such id.
[[nodiscard]] std::uint64_t parse_rejected_id(std::string_view text);

/// {"minor": 8800, "currency": "CNY"}, or null.
[[nodiscard]] boost::json::value present(const std::optional<core::Money>& money);

/// What a fact states, without where it is kept.
[[nodiscard]] boost::json::object present(const core::Fact& fact);

/// Shows rows as the API does: ids are public, times RFC 3339, and strangers' bytes are made UTF-8
/// (the exact ones stand beside them in base64 where they count).
class Presenter {
 public:
  /// @param tag  of the store whose rows these are
  explicit Presenter(std::string tag) : tag_(std::move(tag)) {}

  [[nodiscard]] boost::json::object order(const store::OrderRow& row) const;
  [[nodiscard]] boost::json::object attempt(const store::AttemptRow& row) const;
  [[nodiscard]] boost::json::object fact(const store::FactRow& row) const;
  /// Without headers and body.
  [[nodiscard]] boost::json::object callback(const store::CallbackRow& row) const;
  /// With all the evidence: enough to verify it again.
  [[nodiscard]] boost::json::object callback_in_full(const store::CallbackRow& row) const;
  [[nodiscard]] boost::json::object event(const store::EventRow& row) const;
  [[nodiscard]] boost::json::object delivery(const store::DeliveryRow& row) const;
  [[nodiscard]] boost::json::object delivery_try(const store::TryRow& row) const;
  [[nodiscard]] boost::json::object applied(const store::AppliedRow& row) const;
  [[nodiscard]] boost::json::object audit(const store::AuditRow& row) const;
  [[nodiscard]] boost::json::object incident(const store::IncidentRow& row) const;

  [[nodiscard]] const std::string& tag() const { return tag_; }
  /// Null where there is no row.
  [[nodiscard]] boost::json::value id(std::string_view prefix, store::RowId row) const;
  /// Where to go on reading: behind `row`; "0", the beginning, where there is none.
  [[nodiscard]] std::string cursor(std::string_view prefix, store::RowId row) const;
  [[nodiscard]] std::optional<store::RowId> parse(std::string_view text,
                                                  std::string_view prefix) const;

 private:
  std::string tag_;
};

}  // namespace postern::admin
