// Rules of framing, in addition to the parser's own (which refuses what is no token in a method or
// field name, control characters in values, a version other than HTTP/1.0 and HTTP/1.1, sizes that
// are no numbers, and several transfer encodings). Two programs that disagree about where a request
// ends are how a request is smuggled past one of them, so everything two programs are known to read
// differently is refused. RFC 9112 is HTTP/1.1, RFC 9110 the semantics.
//
// Bytes of the header block
//   1. Lines end with CR LF; neither a lone LF nor a lone CR ends or splits one (9112, 2.2).
//   2. No control characters but TAB, no DEL (9110, 5.5). This is also what a TLS hello meets.
//   3. No folded lines, and no space or TAB before the first field (9112, 2.2 and 5.2).
//   4. No empty lines or spaces before the request line (9112, 2.2 allows empty ones; who sends
//      them has miscounted the body before).
//   5. The block fits its limit.
// Fields
//   6. Content-Length at most once, 1 to 19 digits and nothing else: no list, sign or space, also
//      where the parts agree (9112, 6.3 allows a list of equal ones).
//   7. Transfer-Encoding at most once, exactly "chunked", and not on HTTP/1.0 (9112, 6.1).
//   8. Not both of them (9112, 6.1 and 6.3).
//   9. Host exactly once on HTTP/1.1, at most once on HTTP/1.0, and it is a host with an optional
//      port: no spaces, user names, slashes (9112, 3.2).
//  10. The target is a path with an optional query, or an absolute URL whose authority is the Host
//      (9112, 3.2); visible ASCII without "#" and "\".
// Chunks
//  11. A size is 1 to 16 hexadecimal digits followed by CR LF: no sign, prefix, space or extension.
//      No payment platform sends extensions; other programs have disagreed about where one ends.
//  12. Chunk data is followed by CR LF.
//  13. Trailer fields obey the rules for bytes, fit kTrailerBytesMax, and are then ignored; the
//      parser refuses those that would change the framing.

#include "http/framing.h"

#include <algorithm>
#include <array>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cstring>

namespace postern::http::framing {
namespace {

constexpr std::size_t kContentLengthDigitsMax = 19;
constexpr std::size_t kChunkSizeDigitsMax = 16;

[[nodiscard]] constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

[[nodiscard]] constexpr bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

[[nodiscard]] constexpr bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

[[nodiscard]] constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

[[nodiscard]] bool equal_without_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

/// Whether a byte of `bytes` from `begin` on breaks rules 1 to 3, seen with the byte before it. It
/// has no branch and no early end, so that the compiler turns it into vector instructions.
[[nodiscard]] bool breaks_byte_rules(std::string_view bytes, std::size_t begin) {
  // One byte wide, as are its parts: wider ones would quarter the work of a vector instruction.
  unsigned char broken = 0;
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  for (std::size_t i = begin; i < bytes.size(); ++i) {
    const unsigned char before = p[i - 1];
    const unsigned char c = p[i];
    const bool is_space = (c == ' ') | (c == '\t');
    const bool is_control = ((c < ' ') & (c != '\t') & (c != '\r') & (c != '\n')) | (c == 0x7f);
    const bool is_lone = (c == '\n') != (before == '\r');
    const bool is_folded = (before == '\n') & is_space;
    broken = static_cast<unsigned char>(broken | is_control | is_lone | is_folded);
  }
  return broken != 0;
}

/// One past the empty line that ends the block; 0 where there is none yet.
[[nodiscard]] std::size_t find_end(std::string_view bytes, std::size_t from) {
  while (from < bytes.size()) {
    const std::size_t line_feed = bytes.find('\n', from);
    if (line_feed == std::string_view::npos) return 0;
    if (line_feed >= 2 && bytes[line_feed - 1] == '\r' && bytes[line_feed - 2] == '\n') {
      return line_feed + 1;
    }
    from = line_feed + 1;
  }
  return 0;
}

[[nodiscard]] constexpr std::array<bool, 256> make_host_bytes() {
  std::array<bool, 256> allowed{};
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    const char c = static_cast<char>(i);
    allowed[i] =
        is_alpha(c) || is_digit(c) || std::string_view("-._~:[]").find(c) != std::string_view::npos;
  }
  return allowed;
}

[[nodiscard]] bool is_host(std::string_view text) {
  static constexpr std::array<bool, 256> kAllowed = make_host_bytes();
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return kAllowed[static_cast<unsigned char>(c)]; });
}

[[nodiscard]] bool is_target_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && c != '#' && c != '\\';
}

}  // namespace

Scan scan_header(std::string_view bytes, std::size_t scanned, std::size_t bytes_max) {
  if (bytes.empty()) return {Verdict::kIncomplete, 0};
  // Also the first byte must be that of a method: rule 4, and rule 2 for this byte.
  if (scanned == 0 && (static_cast<unsigned char>(bytes[0]) <= ' ' || bytes[0] == 0x7f)) {
    return {Verdict::kMalformed, 0};
  }
  const std::string_view allowed = bytes.substr(0, bytes_max);
  const std::size_t from = std::min(scanned, allowed.size());
  const std::size_t end = find_end(allowed, from);
  const std::string_view seen = end != 0 ? allowed.substr(0, end) : allowed;
  if (breaks_byte_rules(seen, std::max<std::size_t>(from, 1))) return {Verdict::kMalformed, 0};
  if (end != 0) return {Verdict::kWhole, end};
  return {bytes.size() >= bytes_max ? Verdict::kTooLarge : Verdict::kIncomplete, 0};
}

Scan scan_chunk_line(std::string_view bytes, ChunkPlace place) {
  std::size_t at = 0;
  // Each missing byte may still come; each wrong one is final.
  const auto expect = [&](char wanted) {
    if (at == bytes.size()) return Verdict::kIncomplete;
    return bytes[at++] == wanted ? Verdict::kWhole : Verdict::kMalformed;
  };
  const auto expect_line_end = [&] {
    const Verdict first = expect('\r');
    return first == Verdict::kWhole ? expect('\n') : first;
  };
  if (place == ChunkPlace::kLater) {
    if (const Verdict verdict = expect_line_end(); verdict != Verdict::kWhole) return {verdict, 0};
  }
  const std::size_t digits_begin = at;
  while (at < bytes.size() && is_hex(bytes[at])) ++at;
  const std::string_view digits = bytes.substr(digits_begin, at - digits_begin);
  if (digits.size() > kChunkSizeDigitsMax) return {Verdict::kMalformed, 0};
  if (digits.empty() && at < bytes.size()) return {Verdict::kMalformed, 0};
  if (const Verdict verdict = expect_line_end(); verdict != Verdict::kWhole) return {verdict, 0};
  if (digits.find_first_not_of('0') != std::string_view::npos) return {Verdict::kWhole, at};

  const std::string_view trailer = bytes.substr(at);
  if (trailer.empty()) return {Verdict::kIncomplete, 0};
  if (trailer[0] == '\r') {
    const Verdict verdict = expect_line_end();
    return {verdict, verdict == Verdict::kWhole ? at : 0};
  }
  const Scan scan = scan_header(trailer, 0, kTrailerBytesMax);
  return {scan.verdict, scan.verdict == Verdict::kWhole ? at + scan.size : 0};
}

bool is_unambiguous(const Head& head) {
  const bool is_http10 = head.version == Head::Version::kHttp10;
  if (head.content_length.count > 1 || head.transfer_encoding.count > 1 || head.host.count > 1 ||
      head.expect.count > 1) {
    return false;
  }
  if (head.content_length.count + head.transfer_encoding.count > 1) return false;
  if (head.content_length.count == 1) {
    const std::string_view digits = head.content_length.value;
    if (digits.empty() || digits.size() > kContentLengthDigitsMax) return false;
    if (!std::ranges::all_of(digits, is_digit)) return false;
  }
  if (head.transfer_encoding.count == 1 &&
      (is_http10 || !equal_without_case(head.transfer_encoding.value, "chunked"))) {
    return false;
  }
  if (head.host.count == 0) return is_http10;
  return is_host(head.host.value);
}

std::optional<std::string_view> origin_form(const Head& head) {
  if (!std::ranges::all_of(head.target, is_target_byte)) return std::nullopt;
  if (head.target.starts_with('/')) return head.target;
  const auto url = boost::urls::parse_uri(head.target);
  if (!url || !url->has_authority() || url->has_userinfo()) return std::nullopt;
  if (!equal_without_case(url->scheme(), "http") && !equal_without_case(url->scheme(), "https")) {
    return std::nullopt;
  }
  const std::string_view authority = url->encoded_authority();
  if (head.host.count != 1 || !equal_without_case(authority, head.host.value)) return std::nullopt;
  const std::string_view path = head.target.substr(
      static_cast<std::size_t>(authority.data() - head.target.data()) + authority.size());
  if (path.empty()) return "/";
  // A query without a path would need a slash put in between; nobody sends that.
  return path.starts_with('/') ? std::optional(path) : std::nullopt;
}

Expectation expectation(const Head& head) {
  if (head.expect.count == 0 || head.version == Head::Version::kHttp10) return Expectation::kNone;
  return equal_without_case(head.expect.value, "100-continue") ? Expectation::kContinue
                                                               : Expectation::kUnknown;
}

}  // namespace postern::http::framing
