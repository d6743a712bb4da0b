#include "delivery/excerpt.h"

#include "base/utf8.h"

namespace postern::delivery {

std::string make_excerpt(std::string_view text) {
  // Ill-formed bytes grow to three; more than the limit is never looked at.
  std::string out = to_utf8(text.substr(0, kExcerptBytesMax));
  std::size_t end = 0;
  while (end < out.size()) {
    const std::size_t size = utf8_character_size(std::string_view(out).substr(end));
    if (size == 0 || end + size > kExcerptBytesMax) break;
    const auto first = static_cast<unsigned char>(out[end]);
    if (first < 0x20 || first == 0x7F) out[end] = ' ';
    // C1 controls (U+0080 to U+009F) move a terminal's cursor as well.
    if (first == 0xC2 && static_cast<unsigned char>(out[end + 1]) < 0xA0) {
      out.replace(end, 2, "  ");
    }
    end += size;
  }
  out.resize(end);
  return out;
}

}  // namespace postern::delivery
