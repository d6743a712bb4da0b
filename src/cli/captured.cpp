// A request saved as text was framed once: its body is what follows the empty line. So nothing is
// framed again here, but what an editor added behind the announced length is cut off.
#include "cli/captured.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <charconv>
#include <fstream>
#include <iostream>
#include <iterator>

#include "channel/json.h"
#include "crypto/encoding.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

[[nodiscard]] std::unexpected<Error> malformed(std::string_view what) {
  return rejected("callback_file_malformed",
                  fmt::format("{}: give the output of postern callbacks show ID --json", what));
}

[[nodiscard]] std::unexpected<Error> not_a_capture(std::string_view what) {
  return rejected("callback_file_malformed",
                  fmt::format("{}: give a callback as JSON, or the HTTP request as text", what));
}

[[nodiscard]] Result<std::string> decoded(const json::object& object, std::string_view name) {
  if (!object.contains(name)) return malformed(fmt::format("{} is missing", name));
  Result<std::string> bytes = crypto::base64_decode(channel::json_text(object, name));
  if (!bytes) return malformed(fmt::format("{} is not base64", name));
  return bytes;
}

[[nodiscard]] Result<json::object> parse_object(const std::string& text) {
  json::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_object()) return malformed("the file is not a JSON object");
  return std::move(value.get_object());
}

void add_line(Headers& headers, std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || line.find_first_of("\r\n") != std::string_view::npos) {
    return;
  }
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
  headers.add(line.substr(0, colon), value);
}

[[nodiscard]] Headers headers_of(const json::value& value) {
  Headers headers;
  if (const json::array* lines = value.if_array()) {
    for (const json::value& line : *lines) {
      if (line.is_string()) add_line(headers, std::string_view(line.get_string()));
    }
  }
  if (const json::object* members = value.if_object()) {
    for (const auto& member : *members) {
      add_line(headers, fmt::format("{}: {}", std::string_view(member.key()),
                                    channel::json_text(*members, member.key())));
    }
  }
  return headers;
}

[[nodiscard]] Result<Captured> parse_json(const std::string& text) {
  POSTERN_ASSIGN_OR_RETURN(const json::object object, parse_object(text));
  const json::object* inner = channel::json_object(object, "request");
  const json::object& given = inner == nullptr ? object : *inner;
  Captured captured;
  captured.account = channel::json_text(object, "account");
  captured.received_at = parse_rfc3339(channel::json_text(object, "received_at"));
  captured.request.method = "POST";
  for (const std::string_view name : {"target", "url"}) {
    if (captured.request.target.empty()) captured.request.target = channel::json_text(given, name);
  }
  if (given.contains("headers_base64")) {
    POSTERN_ASSIGN_OR_RETURN(const std::string headers, decoded(given, "headers_base64"));
    captured.request.headers = Headers::from_block(headers);
  } else if (const json::value* headers = given.if_contains("headers")) {
    captured.request.headers = headers_of(*headers);
  }
  if (given.contains("body_base64")) {
    POSTERN_ASSIGN_OR_RETURN(captured.request.body, decoded(given, "body_base64"));
  } else {
    for (const std::string_view name : {"body", "body_utf8"}) {
      if (captured.request.body.empty()) captured.request.body = channel::json_text(given, name);
    }
  }
  if (captured.request.body.empty()) return not_a_capture("body_base64 or body is missing");
  const auto bytes = channel::json_integer(given, "body_bytes").value_or(0);
  captured.body_bytes = std::max(captured.request.body.size(),
                                 static_cast<std::size_t>(std::max<std::int64_t>(bytes, 0)));
  return captured;
}

/// Cuts line ends off that stand behind the announced length: an editor's, not the sender's.
void cut_final_line_ends(HttpRequest& request) {
  const std::optional<std::string_view> header = request.headers.only("Content-Length");
  if (!header) return;
  std::size_t length = 0;
  const char* const end = header->data() + header->size();
  if (std::from_chars(header->data(), end, length).ptr != end || length >= request.body.size()) {
    return;
  }
  const bool is_line_end = request.body.find_first_not_of("\r\n", length) == std::string::npos;
  if (is_line_end) request.body.resize(length);
}

[[nodiscard]] Result<Captured> parse_http(std::string_view text) {
  Captured captured;
  HttpRequest& request = captured.request;
  bool is_first = true;
  while (true) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return not_a_capture("no empty line ends the headers");
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) break;
    if (is_first) {
      const std::size_t space = line.find(' ');
      const std::size_t last = line.rfind(" HTTP/");
      if (space == std::string_view::npos || last == std::string_view::npos || last <= space) {
        return not_a_capture("the first line is no request line");
      }
      request.method = line.substr(0, space);
      request.target = line.substr(space + 1, last - space - 1);
      is_first = false;
    } else {
      add_line(request.headers, line);
    }
  }
  if (is_first) return not_a_capture("the file begins with an empty line");
  if (request.headers.only("Transfer-Encoding")) {
    return not_a_capture("the body is in chunks; save it decoded, without Transfer-Encoding");
  }
  request.body = text;
  cut_final_line_ends(request);
  captured.body_bytes = request.body.size();
  return captured;
}

}  // namespace

Result<std::string> read_capture(const std::string& file) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(file, std::ios::binary);
  if (!in) return rejected("callback_file_unreadable", fmt::format("cannot read {}", file));
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Result<Captured> parse_kept(const std::string& text) {
  POSTERN_ASSIGN_OR_RETURN(const json::object object, parse_object(text));
  Captured kept;
  kept.account = channel::json_text(object, "account");
  kept.received_at = parse_rfc3339(channel::json_text(object, "received_at"));
  if (!kept.received_at) return malformed("received_at is missing or no time");
  POSTERN_ASSIGN_OR_RETURN(const std::string headers, decoded(object, "headers_base64"));
  POSTERN_ASSIGN_OR_RETURN(std::string body, decoded(object, "body_base64"));
  kept.digest = channel::json_text(object, "body_sha256");
  kept.body_bytes = body.size();
  kept.request = {.method = "POST",
                  .target = std::string(channel::json_text(object, "target")),
                  .headers = Headers::from_block(headers),
                  .body = std::move(body),
                  .peer = std::string(channel::json_text(object, "peer"))};
  return kept;
}

Result<Captured> parse_capture(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return not_a_capture("the file is empty");
  return text[begin] == '{' ? parse_json(text) : parse_http(text);
}

}  // namespace postern::cli
