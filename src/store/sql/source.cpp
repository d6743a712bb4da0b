#include "store/sql/source.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/store.h"

namespace postern::store::sql {

std::string Query::bind(Value value) {
  const std::string_view parameter = std::holds_alternative<std::int64_t>(value)
                                         ? dialect_.integer_parameter
                                         : dialect_.text_parameter;
  values_.push_back(value);
  return fmt::format(fmt::runtime(parameter), values_.size());
}

void Query::where(std::string_view condition) {
  sql_.append(std::exchange(has_condition_, true) ? " AND " : " WHERE ").append(condition);
}

void Query::where(std::string_view column, Value value) {
  where(fmt::format("{} {}", column, bind(value)));
}

void Query::where_contains(std::string_view column, std::string_view text) {
  where(fmt::format(fmt::runtime(dialect_.contains), column, bind(text)));
}

void Query::limit(std::size_t wanted) {
  sql_.append(" LIMIT ").append(bind(static_cast<std::int64_t>(std::min(wanted, kRowsMax))));
}

}  // namespace postern::store::sql
