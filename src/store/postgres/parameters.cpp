#include "store/postgres/parameters.h"

#include <cstddef>
#include <utility>

namespace postern::store::postgres {
namespace {

// Where the count of elements stands: behind dimensions, nulls and the elements' type.
constexpr std::size_t kCountAt = 12;

template <class Number>
void append_number(std::string& bytes, Number value) {
  for (int shift = static_cast<int>(sizeof(Number)) * 8 - 8; shift >= 0; shift -= 8) {
    bytes += static_cast<char>((static_cast<std::uint64_t>(value) >> shift) & 0xff);
  }
}

/// @source pg_type.dat, which never changes these
[[nodiscard]] std::int32_t oid_of(Type type) {
  switch (type) {
    case Type::kBigint:
      return 20;
    case Type::kText:
      return 25;
    case Type::kBytea:
      return 17;
  }
  return 0;
}

}  // namespace

Array::Array(Type type) {
  append_number(bytes_, std::int32_t{1});
  append_number(bytes_, std::int32_t{1});
  append_number(bytes_, oid_of(type));
  append_number(bytes_, std::int32_t{0});
  append_number(bytes_, std::int32_t{1});
}

Array& Array::add(std::int64_t value) {
  append_number(bytes_, static_cast<std::int32_t>(sizeof value));
  append_number(bytes_, value);
  ++count_;
  return *this;
}

Array& Array::add(std::string_view bytes) {
  append_number(bytes_, static_cast<std::int32_t>(bytes.size()));
  bytes_ += bytes;
  ++count_;
  return *this;
}

Array& Array::add_null() {
  append_number(bytes_, std::int32_t{-1});
  ++count_;
  return *this;
}

std::string Array::take() {
  std::string count;
  append_number(count, count_);
  bytes_.replace(kCountAt, count.size(), count);
  return std::move(bytes_);
}

Parameters& Parameters::add(std::int64_t value) {
  append_number(values_.emplace_back(), value);
  return *this;
}

Parameters& Parameters::add(std::string_view bytes) {
  values_.emplace_back(bytes);
  return *this;
}

Parameters& Parameters::add(Array array) {
  values_.push_back(array.take());
  return *this;
}

}  // namespace postern::store::postgres
