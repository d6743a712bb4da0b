#include "channel/fields.h"

#include <algorithm>

namespace postern::channel {

std::vector<std::uint16_t>::const_iterator Fields::place_of(std::string_view name) const {
  return std::ranges::lower_bound(by_name_, name, {}, [this](std::uint16_t index) {
    return std::string_view(pairs_[index].first);
  });
}

void Fields::reserve(std::size_t count) {
  pairs_.reserve(count);
  by_name_.reserve(count);
}

Result<void> Fields::add(std::string name, std::string value) {
  if (pairs_.size() == kFieldsMax) return rejected("fields_too_many");
  const auto place = place_of(name);
  if (place != by_name_.end() && pairs_[*place].first == name) return rejected("key_duplicate");
  by_name_.insert(place, static_cast<std::uint16_t>(pairs_.size()));
  pairs_.emplace_back(std::move(name), std::move(value));
  return {};
}

std::optional<std::string_view> Fields::find(std::string_view name) const {
  const auto place = place_of(name);
  if (place == by_name_.end() || pairs_[*place].first != name) return std::nullopt;
  return pairs_[*place].second;
}

std::string_view Fields::text(std::string_view name) const {
  return find(name).value_or("");
}

}  // namespace postern::channel
