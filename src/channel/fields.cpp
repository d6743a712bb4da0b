#include "channel/fields.h"

#include <algorithm>
#include <iterator>

namespace postern::channel {

namespace {

/// The first eight bytes, zeros where there are fewer: tells most names apart in one comparison.
[[nodiscard]] std::uint64_t beginning_of(std::string_view name) {
  std::uint64_t beginning = 0;
  for (std::size_t i = 0; i < sizeof(beginning); ++i) {
    beginning = beginning << 8 | (i < name.size() ? static_cast<unsigned char>(name[i]) : 0U);
  }
  return beginning;
}

}  // namespace

std::ptrdiff_t Fields::place_of(std::string_view name) const {
  const auto alike = std::ranges::equal_range(beginnings_, beginning_of(name));
  const auto first = by_name_.begin() + (alike.begin() - beginnings_.begin());
  const auto last = first + std::ssize(alike);
  return std::ranges::lower_bound(first, last, name, {},
                                  [this](std::uint16_t index) { return pairs_[index].first; }) -
         by_name_.begin();
}

void Fields::reserve(std::size_t count) {
  pairs_.reserve(count);
  by_name_.reserve(count);
  beginnings_.reserve(count);
}

char* Fields::hold(std::size_t bytes) {
  return blocks_.emplace_back(std::make_unique_for_overwrite<char[]>(bytes)).get();
}

Result<void> Fields::add(std::string_view name, std::string_view value) {
  char* const begin = hold(name.size() + value.size());
  char* const middle = std::ranges::copy(name, begin).out;
  char* const end = std::ranges::copy(value, middle).out;
  return add_held({begin, middle}, {middle, end});
}

Result<void> Fields::add_held(std::string_view name, std::string_view value) {
  if (pairs_.size() == kFieldsMax) return rejected("fields_too_many");
  const std::ptrdiff_t place = place_of(name);
  const auto at = by_name_.begin() + place;
  if (at != by_name_.end() && pairs_[*at].first == name) return rejected("key_duplicate");
  by_name_.insert(at, static_cast<std::uint16_t>(pairs_.size()));
  beginnings_.insert(beginnings_.begin() + place, beginning_of(name));
  pairs_.emplace_back(name, value);
  return {};
}

std::optional<std::string_view> Fields::find(std::string_view name) const {
  // Names differ in length more often than not, and a look at each costs less than the few
  // comparisons, each with a guess gone wrong, that a search would make.
  for (const Pair& pair : pairs_) {
    if (pair.first == name) return pair.second;
  }
  return std::nullopt;
}

std::string_view Fields::text(std::string_view name) const {
  return find(name).value_or("");
}

}  // namespace postern::channel
