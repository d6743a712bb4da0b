#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/message.h"
#include "base/result.h"

namespace postern::cli {

/// A callback out of a file.
struct Captured {
  std::string account;                   ///< empty where the file does not say
  std::optional<TimePoint> received_at;  ///< nothing where the file does not say
  HttpRequest request;
  std::string digest;          ///< SHA-256 of the body in hexadecimal; empty where not given
  std::size_t body_bytes = 0;  ///< of the whole body, even where less was kept
};

/// The bytes of `file`, of standard input where it is "-". @errors callback_file_unreadable
[[nodiscard]] Result<std::string> read_capture(const std::string& file);

/// Reads the JSON of one kept callback, as GET /v1/callbacks/{id} gives it, with everything that
/// verifying it again needs. @errors callback_file_malformed
[[nodiscard]] Result<Captured> parse_kept(const std::string& text);

/// Reads a callback in any form that people have one in:
/// - JSON as `parse_kept` reads it, or as an entry of GET /v1/rejected/{account}
/// - JSON {"target", "headers": {"Name": "value"} or ["Name: value"], "body"}, also below "request"
/// - an HTTP request as it went over the wire: "POST /payment/alipay/callback HTTP/1.1", headers,
///   an empty line, the body; line ends of the head may be LF
/// @errors callback_file_malformed
[[nodiscard]] Result<Captured> parse_capture(const std::string& text);

}  // namespace postern::cli
