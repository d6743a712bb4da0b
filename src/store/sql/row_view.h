#pragma once

#include <cstdint>
#include <string_view>

namespace postern::store::sql {

/// A row that a statement gave, its columns from 0. Views stay valid until the next row.
class RowView {
 public:
  virtual ~RowView() = default;
  [[nodiscard]] virtual bool is_null(int column) const = 0;
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;  ///< NULL reads as 0
  [[nodiscard]] virtual std::string_view text(int column) const = 0;
  [[nodiscard]] virtual std::string_view blob(int column) const = 0;
};

}  // namespace postern::store::sql
