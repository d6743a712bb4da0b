#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/rows.h"

namespace postern::store::postgres {

/// The types that parameters may have; those of columns and statements must be the same.
enum class Type : unsigned char { kBigint, kText, kBytea };

/// An array in PostgreSQL's binary form: one column of many rows, for unnest.
///
/// @source PostgreSQL documentation, "unnest"; array_recv reads: dimensions, whether there are
///         nulls, the elements' type, per dimension its size and first index, per element its
///         length
///         (-1: null) and bytes, numbers in network order
class Array {
 public:
  explicit Array(Type type);
  Array& add(std::int64_t value);
  Array& add(std::string_view bytes);
  Array& add(TimePoint time) { return add(time.time_since_epoch().count()); }
  Array& add_null();
  /// A row id that is stored as NULL where it is zero.
  Array& add_reference(RowId id) { return id == 0 ? add_null() : add(id); }
  /// A text that is stored as NULL where it is empty.
  Array& add_optional(std::string_view text) { return text.empty() ? add_null() : add(text); }
  /// Its bytes; the array is not used any more.
  [[nodiscard]] std::string take();

 private:
  std::string bytes_;
  std::int32_t count_ = 0;
};

/// The parameters of one statement, in PostgreSQL's binary form. The statement names their types
/// ("$1::bigint").
class Parameters {
 public:
  Parameters& add(std::int64_t value);
  Parameters& add(std::string_view bytes);
  Parameters& add(TimePoint time) { return add(time.time_since_epoch().count()); }
  Parameters& add(Array array);

  [[nodiscard]] const std::vector<std::string>& values() const { return values_; }

 private:
  std::vector<std::string> values_;
};

}  // namespace postern::store::postgres
