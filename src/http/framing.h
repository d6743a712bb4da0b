#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

/// What we refuse in the framing of a request although the HTTP parser would let it pass. These are
/// pure functions over bytes and over fields the parser has already taken apart: they find no
/// fields themselves and change nothing. The rules stand at the top of framing.cpp. @thread any
namespace postern::http::framing {

enum class Verdict : unsigned char {
  kWhole,       ///< complete, and nothing to say against it
  kIncomplete,  ///< nothing to say against the bytes so far
  kMalformed,   ///< refuse; more bytes cannot mend it
  kTooLarge,    ///< no end within the bytes allowed
};

/// `size` counts the bytes of the whole part, its closing CRLF with it; 0 unless kWhole.
struct Scan {
  Verdict verdict = Verdict::kIncomplete;
  std::size_t size = 0;
};

/// Looks for the end of a header block (request line, fields, empty line) that begins at `bytes`.
///
/// @param scanned  how many bytes an earlier call on the same block has seen, so that a block that
///                 arrives a byte at a time costs no more than one that arrives at once
/// @param bytes_max  the largest block allowed, its empty line with it
[[nodiscard]] Scan scan_header(std::string_view bytes, std::size_t scanned, std::size_t bytes_max);

enum class ChunkPlace : unsigned char { kFirst, kLater };

/// Trailer fields are ignored, so they are given little room.
inline constexpr std::size_t kTrailerBytesMax = 4096;

/// Looks at the line before a chunk's data: for kLater with the CRLF that ends the chunk before it,
/// for the last chunk with the trailer and its empty line.
[[nodiscard]] Scan scan_chunk_line(std::string_view bytes, ChunkPlace place);

/// How often a field that decides about framing was there, and its last value, trimmed.
struct CountedField {
  unsigned count = 0;
  std::string_view value;

  void add(std::string_view text) {
    ++count;
    value = text;
  }
};

/// What the parser has found in a header block.
struct Head {
  enum class Version : unsigned char { kHttp10, kHttp11 };
  Version version = Version::kHttp11;
  std::string_view target;
  CountedField content_length, transfer_encoding, host, expect;
};

/// Whether Content-Length, Transfer-Encoding and Host say one thing only.
[[nodiscard]] bool is_unambiguous(const Head& head);

/// Path and query of the target, at least "/"; nothing where the target is to be refused.
[[nodiscard]] std::optional<std::string_view> origin_form(const Head& head);

enum class Expectation : unsigned char { kNone, kContinue, kUnknown };

/// What the sender waits for before it sends the body. HTTP/1.0 knows no expectations.
/// @source RFC 9110, section 10.1.1
[[nodiscard]] Expectation expectation(const Head& head);

}  // namespace postern::http::framing
