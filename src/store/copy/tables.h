#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "store/sql/row_view.h"

namespace postern::store::copy {

struct Column {
  enum class Kind : unsigned char { kInteger, kText, kBytes };
  std::string_view name;
  Kind kind = Kind::kInteger;
};

/// A table of the target, and what it is filled with.
struct Table {
  std::string_view name;
  std::string_view source;  ///< a table of the source, or a question in parentheses
  /// The first is the key that rows are read and written by, a number above zero.
  std::span<const Column> columns;
  /// Rows may share that key; then the second column, a text, tells them apart.
  enum class Key : unsigned char { kFirst, kFirstTwo };
  Key key = Key::kFirst;
  /// Rows that may be held at once, so that the largest of them fit into memory.
  int rows_max = 2000;
};

/// All that have to be copied, in the order to do it in. Not among them: `meta` and `migrations`,
/// which each store has of its own, and `fact_keys`, which is an index.
[[nodiscard]] std::span<const Table> tables();

/// The table whose rows stand in partitions, by a time that is its second column.
inline constexpr std::string_view kEvidence = "evidence";

/// "id, account, number"
[[nodiscard]] std::string column_list(const Table& table);

/// Appends a row's values so that two rows have the same bytes exactly when they are equal: for
/// each column its kind (or that it is NULL), numbers as 8 bytes, others behind their length.
void encode(const Table& table, const sql::RowView& row, std::string& bytes);

}  // namespace postern::store::copy
