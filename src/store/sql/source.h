#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "store/rows.h"
#include "store/sql/row_view.h"

namespace postern::store::sql {

/// The few words in which the SQL of the engines differs; the rest is said so that all take it.
struct Dialect {
  // A parameter, by its number from 1.
  std::string_view integer_parameter;
  std::string_view text_parameter;
  /// Whether a text holds another.
  std::string_view contains;
  /// Callbacks as c, their counters as k, and `raw` with what was received.
  std::string_view callback_tables;
  std::string_view raw;
};

/// A parameter. Lifetime: a text outlives its query.
using Value = std::variant<std::int64_t, std::string_view>;

/// A question with its parameters, put together from the parts of a filter.
class Query {
 public:
  /// Lifetime: `dialect` outlives the query.
  Query(const Dialect& dialect, std::string sql) : dialect_(dialect), sql_(std::move(sql)) {}

  /// Adds a parameter; gives its name.
  [[nodiscard]] std::string bind(Value value);
  void append(std::string_view sql) { sql_.append(sql); }
  /// Adds a condition, which all rows must meet. (A query that is given one has no WHERE of its
  /// own before.)
  void where(std::string_view condition);
  /// Adds `column` compared with a parameter, such as "o.id <".
  void where(std::string_view column, Value value);
  void where_contains(std::string_view column, std::string_view text);
  void order_by(std::string_view order) { sql_.append(" ORDER BY ").append(order); }
  /// As many rows as wanted, and never more than kRowsMax.
  void limit(std::size_t wanted);

  [[nodiscard]] const std::string& sql() const { return sql_; }
  [[nodiscard]] const std::vector<Value>& values() const { return values_; }

 private:
  const Dialect& dialect_;
  std::string sql_;
  std::vector<Value> values_;
  bool has_condition_ = false;
};

/// One engine's way to answer questions. @thread one at a time; blocks
class Source {
 public:
  /// Takes a row; its error ends the reading.
  using OnRow = std::function<Result<void>(const RowView&)>;

  virtual ~Source() = default;
  [[nodiscard]] virtual const Dialect& dialect() const = 0;
  /// Asks one question, which is one look at what is committed.
  /// @errors kFault, the storage is in doubt; others as the engine has them; those of `on_row`
  [[nodiscard]] virtual Result<void> ask(const Query& query, const OnRow& on_row) = 0;
  /// Asks `query_until(id)`, where no event with an id up to `id` can come into sight any more that
  /// is not in sight for the question. Nothing: there is no such event at all.
  [[nodiscard]] virtual Result<void> ask_settled(
      const std::function<Query(std::optional<RowId> until)>& query_until, const OnRow& on_row) = 0;
};

}  // namespace postern::store::sql
