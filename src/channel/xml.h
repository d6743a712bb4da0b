#pragma once

#include <string_view>

#include "base/result.h"
#include "channel/fields.h"

namespace postern::channel {

/// Longest XML text that is read.
inline constexpr std::size_t kXmlBytesMax = 256 * 1024;

/// Reads a flat XML document: one element `root` whose children each hold one text.
///
/// Values are unescaped and never trimmed. What payment platforms do not write is an error, so that
/// no trick of a fuller XML reader has a place to stand: DOCTYPE and entities, comments, processing
/// instructions, attributes, namespaces, nested elements, numeric character references, text mixed
/// with CDATA, any encoding but UTF-8, a byte order mark, control characters, text outside the
/// root, and a name used twice.
/// @errors body_malformed, key_duplicate, fields_too_many
/// @thread any; pure
[[nodiscard]] Result<Fields> parse_flat_xml(std::string_view text, std::string_view root);

}  // namespace postern::channel
