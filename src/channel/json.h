#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace postern::channel {

/// What a JSON text may be at most; the same for every platform.
inline constexpr std::size_t kJsonBytesMax = 1024 * 1024;
inline constexpr std::size_t kJsonDepthMax = 32;
inline constexpr std::size_t kJsonMembersMax = 512;    ///< of one object
inline constexpr std::size_t kJsonValuesMax = 20'000;  ///< in the whole text

/// Reads one JSON object (RFC 8259), and nothing after it but white space.
///
/// Stricter than most readers, since a text that two readers could take differently must not pass:
/// a member named twice in one object (compared after unescaping, at any depth), "-0", a number
/// beyond every double, ill-formed UTF-8, lone surrogates, comments, trailing commas, a byte order
/// mark and anything over the limits above are errors.
/// @errors body_malformed, key_duplicate
/// @thread any; pure
[[nodiscard]] Result<boost::json::object> parse_json_object(std::string_view text);

/// The text of member `name`; an empty text where it is absent, null or no text.
[[nodiscard]] std::string_view json_text(const boost::json::object& object, std::string_view name);

/// The object under `name`; nullptr where it is absent or no object.
[[nodiscard]] const boost::json::object* json_object(const boost::json::object& object,
                                                     std::string_view name);

/// The integer under `name`; nothing where it is absent or anything but an integer that was written
/// without fraction and exponent and fits int64. Money is read with this and nothing else.
[[nodiscard]] std::optional<std::int64_t> json_integer(const boost::json::object& object,
                                                       std::string_view name);

}  // namespace postern::channel
