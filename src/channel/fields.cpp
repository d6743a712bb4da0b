#include "channel/fields.h"

#include <algorithm>

namespace postern::channel {

std::vector<std::uint16_t>::const_iterator Fields::place_of(std::string_view name) const {
  return std::ranges::lower_bound(by_name_, name, {},
                                  [this](std::uint16_t index) { return pairs_[index].first; });
}

void Fields::reserve(std::size_t count) {
  pairs_.reserve(count);
  by_name_.reserve(count);
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
  const auto place = place_of(name);
  if (place != by_name_.end() && pairs_[*place].first == name) return rejected("key_duplicate");
  by_name_.insert(place, static_cast<std::uint16_t>(pairs_.size()));
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
