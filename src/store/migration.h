#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postern::store {

/// One step of a schema. Numbered from 1, never edited, never taken away: what has been applied
/// anywhere stays as it is, and a change is a further step.
struct Migration {
  enum class Kind : unsigned char {
    kExpand,    ///< adds only: versions that do not know the step work beside it
    kContract,  ///< takes away what they need; applied by name, once none of them runs any more
  };
  int number;
  std::string_view name;
  const char* script;
  Kind kind = Kind::kExpand;
};

/// What stands between a store and this version.
struct MigrationPlan {
  std::size_t applied = 0;
  std::vector<Migration> expand;    ///< a start applies them
  std::vector<Migration> contract;  ///< wait for `postern migrate --apply`
};

/// What tells whether the text of a step has changed: FNV-1a, 64 bits, in hex.
[[nodiscard]] std::string checksum(std::string_view script);

}  // namespace postern::store
