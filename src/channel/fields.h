#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace postern::channel {

/// Most fields one message may have; platforms send about forty.
inline constexpr std::size_t kFieldsMax = 256;

/// A flat list of names and values in the order received, each name once.
class Fields {
 public:
  using Pair = std::pair<std::string, std::string>;

  /// Makes room for `count` fields, so that adding them does not move the others.
  void reserve(std::size_t count);
  /// @errors key_duplicate, fields_too_many
  [[nodiscard]] Result<void> add(std::string name, std::string value);
  /// Nothing where there is no such name.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  /// The value, or an empty text where there is no such name.
  [[nodiscard]] std::string_view text(std::string_view name) const;
  [[nodiscard]] const std::vector<Pair>& pairs() const { return pairs_; }
  /// Indices into `pairs`, ascending by the bytes of the name: the order in which platforms sign.
  [[nodiscard]] const std::vector<std::uint16_t>& by_name() const { return by_name_; }

 private:
  [[nodiscard]] std::vector<std::uint16_t>::const_iterator place_of(std::string_view name) const;
  std::vector<Pair> pairs_;
  std::vector<std::uint16_t> by_name_;
};

}  // namespace postern::channel
