#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>

#include "base/message.h"
#include "base/result.h"

namespace postern::channel {

/// The value of the header `name`, nothing where there is none. A header that a decision hangs on
/// must not be ambiguous, so giving it twice is an error.
/// @errors header_duplicate
[[nodiscard]] Result<std::optional<std::string_view>> optional_header(const Headers& headers,
                                                                      std::string_view name);

/// As `optional_header`, for a header that must be there. @errors header_missing, header_duplicate
[[nodiscard]] Result<std::string_view> required_header(const Headers& headers,
                                                       std::string_view name);

/// Checks the Content-Type: there is exactly one, its media type is one of `allowed` (lower case),
/// and its charset, if it names one, is a set that platforms write in. A Content-Encoding other
/// than "identity" is an error as well: nothing here is ever inflated.
/// @errors content_type_wrong, content_encoding_wrong
[[nodiscard]] Result<void> check_content_type(const Headers& headers,
                                              std::initializer_list<std::string_view> allowed);

}  // namespace postern::channel
