#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "admin/present.h"
#include "admin/router.h"
#include "base/result.h"
#include "store/rows.h"

namespace postern::admin {

inline constexpr std::size_t kListedDefault = 50;
inline constexpr std::size_t kListedMax = 500;

/// Which part of a listing is asked for.
struct Page {
  store::RowId before = 0;
  std::size_t limit = kListedDefault;
};

/// Reads `before` and `limit`. @errors query_malformed
[[nodiscard]] Result<Page> parse_page(const Query& query, const Presenter& presenter,
                                      std::string_view prefix);

/// Reads `after`, the cursor of listings that begin with the oldest; zero where it is not given.
/// @errors query_malformed
[[nodiscard]] Result<store::RowId> parse_after(const Query& query, const Presenter& presenter,
                                               std::string_view prefix);

/// The one of `values` that the query calls by its published name under `key`; nothing where the
/// query does not say. @errors query_malformed, which lists the names
template <class Value, class Name>
[[nodiscard]] Result<std::optional<Value>> parse_one_of(const Query& query, std::string_view key,
                                                        std::span<const Value> values, Name name) {
  const std::optional<std::string_view> text = query.find(key);
  if (!text) return std::nullopt;
  std::string known;
  for (const Value value : values) {
    if (name(value) == *text) return value;
    known += known.empty() ? "" : ", ";
    known += name(value);
  }
  return rejected("query_malformed", std::string(key) + " is one of " + known);
}

/// {"orders": [...], "next_before": "ord_..."}: the id for the next page, or null on the last one.
template <class Row, class Show>
[[nodiscard]] boost::json::object present_page(std::string_view key, const std::vector<Row>& rows,
                                               const Page& page, const Presenter& presenter,
                                               std::string_view prefix, Show show) {
  boost::json::array shown;
  for (const Row& row : rows) shown.push_back(show(row));
  const bool more = !rows.empty() && rows.size() == page.limit;
  return {{key, std::move(shown)},
          {"next_before", presenter.id(prefix, more ? rows.back().id : 0)}};
}

}  // namespace postern::admin
