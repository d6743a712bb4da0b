#include "admin/listing.h"

#include <charconv>

namespace postern::admin {

Result<Page> parse_page(const Query& query, const Presenter& presenter, std::string_view prefix) {
  Page page;
  if (const auto text = query.find("before")) {
    const std::optional<store::RowId> before = presenter.parse(*text, prefix);
    if (!before || *before <= 0) {
      return rejected("query_malformed", "before is the next_before of the page in front");
    }
    page.before = *before;
  }
  if (const auto text = query.find("limit")) {
    const auto [end, error] =
        std::from_chars(text->data(), text->data() + text->size(), page.limit);
    if (error != std::errc() || end != text->data() + text->size() || page.limit < 1 ||
        page.limit > kListedMax) {
      return rejected("query_malformed",
                      "limit is a number from 1 to " + std::to_string(kListedMax));
    }
  }
  return page;
}

Result<store::RowId> parse_after(const Query& query, const Presenter& presenter,
                                 std::string_view prefix) {
  const std::optional<std::string_view> text = query.find("after");
  if (!text || *text == "0") return 0;
  const std::optional<store::RowId> id = presenter.parse(*text, prefix);
  if (!id) return rejected("query_malformed", "after is the next_after of the page in front");
  return *id;
}

}  // namespace postern::admin
