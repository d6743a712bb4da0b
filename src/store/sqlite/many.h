#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <ranges>
#include <string>
#include <string_view>

#include "store/sqlite/sqlite.h"

namespace postern::store::sqlite {

/// How many rows or keys one statement takes. Starting and ending a statement costs about as much
/// as one row, so that a batch is written and asked for in groups; what is left goes one by one.
inline constexpr std::size_t kGroup = 16;

/// "(?, ?), (?, ?), ..."
[[nodiscard]] inline std::string placeholders(int columns, std::size_t rows) {
  std::string row = "(?";
  for (int i = 1; i < columns; ++i) row += ", ?";
  row += ")";
  std::string all = row;
  for (std::size_t i = 1; i < rows; ++i) all += ", " + row;
  return all;
}

/// One statement in two sizes: for one row of parameters and for `kGroup` of them.
class Many {
 public:
  Many() = default;
  /// @param sql  with "{}" where the rows of parameters stand
  /// @errors as error_of
  [[nodiscard]] static Result<Many> prepare(Database& database, std::string_view sql, int columns) {
    Many made;
    made.columns_ = columns;
    POSTERN_ASSIGN_OR_RETURN(
        made.one_, database.prepare(fmt::format(fmt::runtime(sql), placeholders(columns, 1))));
    POSTERN_ASSIGN_OR_RETURN(made.group_, database.prepare(fmt::format(
                                              fmt::runtime(sql), placeholders(columns, kGroup))));
    return made;
  }

  /// Calls `bind(statement, first, row)` for each row, where `first` is the index of its first
  /// parameter, and `use(statement)` whenever a statement is bound in full. What is bound must stay
  /// as it is until then.
  template <std::ranges::random_access_range Rows, class Bind, class Use>
  [[nodiscard]] Result<void> for_all(const Rows& rows, Bind bind, Use use) {
    auto row = rows.begin();
    while (row != rows.end()) {
      const bool whole = static_cast<std::size_t>(rows.end() - row) >= kGroup;
      Statement& statement = whole ? group_ : one_;
      const Reading until_done(statement);
      const int count = whole ? static_cast<int>(kGroup) : 1;
      for (int i = 0; i < count; ++i) bind(statement, 1 + i * columns_, *row++);
      POSTERN_RETURN_IF_ERROR(use(statement));
    }
    return {};
  }

  /// As above, for statements that give no rows.
  template <std::ranges::random_access_range Rows, class Bind>
  [[nodiscard]] Result<void> run(const Rows& rows, Bind bind) {
    return for_all(rows, bind, [](Statement& statement) { return statement.run(); });
  }

 private:
  int columns_ = 0;
  Statement one_;
  Statement group_;
};

}  // namespace postern::store::sqlite
