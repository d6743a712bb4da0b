#pragma once

#include <string_view>

#include "base/result.h"
#include "channel/fields.h"

namespace postern::channel {

/// Reads an application/x-www-form-urlencoded body, decoding each name and value exactly once.
///
/// The values are bytes in whatever character set the sender used. Stricter than browsers, since a
/// body that two readers could split differently must not pass: an invalid escape, an empty pair,
/// a pair without '=', an empty name, a name given twice, a raw blank, control character, ';' or
/// byte above 0x7E, and more than `kFieldsMax` pairs are errors.
/// @errors body_malformed, key_duplicate, fields_too_many
/// @thread any; pure
/// @source WHATWG URL Standard, section 5.1 "application/x-www-form-urlencoded parsing"
[[nodiscard]] Result<Fields> parse_form(std::string_view body);

}  // namespace postern::channel
