#pragma once

#include <string>

#include "core/event.h"
#include "store/rows.h"

namespace postern::ledger {

/// The JSON told to the merchant: what changed, and the order as it is after the change.
///
/// @param sequence  of this event within the order
/// @param fact      what caused it
/// @source docs/events.md
[[nodiscard]] std::string event_body(core::EventType type, std::int64_t sequence, TimePoint now,
                                     const core::OrderKey& key, const core::Order& order,
                                     const core::Fact& fact, const std::string& channel);

}  // namespace postern::ledger
