// Headers that a verdict may hang on. HTTP lets a sender repeat a field, and readers differ in
// which copy they take, so a repeated field is refused (RFC 9110, section 5.3).
#include "channel/request.h"

#include <algorithm>
#include <string>

#include "channel/charset.h"
#include "channel/text.h"

namespace postern::channel {
namespace {

[[nodiscard]] bool has_any(const Headers& headers, std::string_view name) {
  std::string_view block = headers.block();
  while (!block.empty()) {
    const std::string_view line = block.substr(0, block.find("\r\n"));
    if (equal_without_case(line.substr(0, line.find(':')), name)) return true;
    block.remove_prefix(std::min(line.size() + 2, block.size()));
  }
  return false;
}

[[nodiscard]] std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// Whether the body's bytes are as the Content-Type says, not compressed or wrapped once more.
/// Nothing here inflates, so what a compressed body says is nobody's word.
[[nodiscard]] bool is_plainly_encoded(const Headers& headers) {
  if (!has_any(headers, "Content-Encoding")) return true;
  const std::optional<std::string_view> encoding = headers.only("Content-Encoding");
  return encoding && equal_without_case(*encoding, "identity");
}

/// Whether one ";name=value" parameter may stand in a Content-Type.
[[nodiscard]] bool parameter_fits(std::string_view parameter) {
  constexpr std::string_view kCharset = "charset=";
  if (!equal_without_case(parameter.substr(0, kCharset.size()), kCharset)) return true;
  std::string_view value = parameter.substr(kCharset.size());
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  return parse_charset(value).has_value();
}

}  // namespace

Result<std::optional<std::string_view>> optional_header(const Headers& headers,
                                                        std::string_view name) {
  const std::optional<std::string_view> value = headers.only(name);
  // `only` gives nothing for a repeated field as well; the two cases differ here.
  if (!value && has_any(headers, name)) {
    return rejected("header_duplicate", std::string(name) + " was sent more than once");
  }
  return value;
}

Result<std::string_view> required_header(const Headers& headers, std::string_view name) {
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string_view> value,
                           optional_header(headers, name));
  if (!value) return rejected("header_missing", "the request lacks " + std::string(name));
  return *value;
}

Result<void> check_content_type(const Headers& headers,
                                std::initializer_list<std::string_view> allowed) {
  if (!is_plainly_encoded(headers)) {
    return rejected("content_encoding_wrong", "platforms do not compress what they send");
  }
  const std::optional<std::string_view> header = headers.only("Content-Type");
  if (!header) return rejected("content_type_wrong", "exactly one Content-Type is needed");
  std::string_view rest = *header;
  const std::string_view media_type = trim(rest.substr(0, rest.find(';')));
  if (std::ranges::none_of(allowed, [media_type](std::string_view one) {
        return equal_without_case(media_type, one);
      })) {
    return rejected("content_type_wrong", "the platform does not send this Content-Type");
  }
  while (rest.find(';') != std::string_view::npos) {
    rest.remove_prefix(rest.find(';') + 1);
    if (!parameter_fits(trim(rest.substr(0, rest.find(';'))))) {
      return rejected("content_type_wrong", "the platform does not send this charset");
    }
  }
  return {};
}

}  // namespace postern::channel
