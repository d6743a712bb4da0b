#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "base/check.h"
#include "core/event.h"
#include "core/fact.h"
#include "core/order.h"
#include "store/rows.h"

namespace postern::store::sql {

/// The numbers under which states and kinds are stored: the place in this list. New ones are added
/// at the end, none is ever moved or taken away; the schema's partial indexes repeat some of them.
template <class Enum>
[[nodiscard]] std::span<const Enum> codes();

template <>
[[nodiscard]] std::span<const core::OrderState> codes();
template <>
[[nodiscard]] std::span<const core::DisputeState> codes();
template <>
[[nodiscard]] std::span<const core::FactKind> codes();
template <>
[[nodiscard]] std::span<const core::FactSource> codes();
template <>
[[nodiscard]] std::span<const core::EventType> codes();
template <>
[[nodiscard]] std::span<const core::IncidentKind> codes();
template <>
[[nodiscard]] std::span<const CallbackOutcome> codes();
template <>
[[nodiscard]] std::span<const DeliveryState> codes();
template <>
[[nodiscard]] std::span<const TryOutcome> codes();
template <>
[[nodiscard]] std::span<const IncidentState> codes();
template <>
[[nodiscard]] std::span<const AuditAct> codes();
template <>
[[nodiscard]] std::span<const AuditOutcome> codes();

template <class Enum>
[[nodiscard]] std::int64_t to_code(Enum value) {
  const std::span<const Enum> all = codes<Enum>();
  const auto found = std::ranges::find(all, value);
  POSTERN_CHECK(found != all.end());
  return found - all.begin();
}

/// Nothing where no value has that number: the row is damaged or, with a number above all of
/// them, of a later version.
template <class Enum>
[[nodiscard]] std::optional<Enum> from_code(std::int64_t code) {
  const std::span<const Enum> all = codes<Enum>();
  if (code < 0 || static_cast<std::size_t>(code) >= all.size()) return std::nullopt;
  return all[static_cast<std::size_t>(code)];
}

}  // namespace postern::store::sql
