#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "channel/channel.h"
#include "core/fact.h"
#include "core/money.h"

namespace postern::channel {

/// The refusal of a genuine message that cannot be read. `why` is for the operator.
[[nodiscard]] std::unexpected<Error> body_malformed(std::string_view why);

/// `text` if it can be an id; `name` is what the platform calls it. @errors body_malformed
[[nodiscard]] Result<std::string> read_id(std::string_view text, std::string_view name);

/// The currency `code`, or CNY where it is empty: what Chinese platforms leave out is the yuan.
/// @errors body_malformed
[[nodiscard]] Result<core::Currency> read_currency(std::string_view code);

/// A sum in whole minor units, as JSON writes it. @errors body_malformed (negative)
[[nodiscard]] Result<core::Money> read_minor(std::int64_t minor, core::Currency currency);

/// A platform's word for use in a summary: itself, or "(unreadable)" where it is over 64 bytes or
/// holds control characters.
[[nodiscard]] std::string_view label(std::string_view word);

/// A statement that records nothing. @param message_key not empty
[[nodiscard]] Statement nothing_to_record(std::string message_key, std::string summary);

/// A statement of facts. @param facts not empty
[[nodiscard]] Statement facts_to_record(std::vector<core::Fact> facts, std::string message_key,
                                        std::string summary);

}  // namespace postern::channel
