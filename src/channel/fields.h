#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace postern::channel {

/// Most fields one message may have; platforms send about forty.
inline constexpr std::size_t kFieldsMax = 256;

/// A flat list of names and values in the order received, each name once.
///
/// The texts lie in blocks of memory that the list owns and that never move, not in a string each:
/// a callback has some fifty of them. So a list can be moved, views into it staying valid, but not
/// copied.
class Fields {
 public:
  using Pair = std::pair<std::string_view, std::string_view>;

  /// Makes room for `count` fields.
  void reserve(std::size_t count);
  /// Memory for texts, which lives as long as this list; for `add_held`.
  [[nodiscard]] char* hold(std::size_t bytes);
  /// Copies name and value. @errors key_duplicate, fields_too_many
  [[nodiscard]] Result<void> add(std::string_view name, std::string_view value);
  /// As `add`, for texts that lie in what `hold` gave: without a copy.
  [[nodiscard]] Result<void> add_held(std::string_view name, std::string_view value);
  /// Nothing where there is no such name.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  /// The value, or an empty text where there is no such name.
  [[nodiscard]] std::string_view text(std::string_view name) const;
  [[nodiscard]] const std::vector<Pair>& pairs() const { return pairs_; }
  /// Indices into `pairs`, ascending by the bytes of the name: the order in which platforms sign.
  [[nodiscard]] const std::vector<std::uint16_t>& by_name() const { return by_name_; }

 private:
  /// Where `name` stands, or would, in by_name_.
  [[nodiscard]] std::ptrdiff_t place_of(std::string_view name) const;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::vector<Pair> pairs_;
  std::vector<std::uint16_t> by_name_;
  /// The first bytes of the names in by_name_, as numbers that sort as they do.
  std::vector<std::uint64_t> beginnings_;
};

}  // namespace postern::channel
