#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "store/sqlite/sqlite.h"

namespace postern::store::sqlite {

/// One step of the schema. Numbered from 1, never edited, never taken away: what has been applied
/// anywhere stays as it is, and a change is a further step.
struct Migration {
  int number;
  std::string_view name;
  const char* script;
};

/// All steps, in order.
[[nodiscard]] std::span<const Migration> migrations();

/// Marks a file of ours in its header ("Post").
inline constexpr std::int64_t kApplicationId = 0x506f7374;

/// Refuses a file that is not a Postern store. Reads only.
/// @errors kFault store_foreign, or as error_of
[[nodiscard]] Result<void> check_owner(Database& database);

/// Brings the schema up to date, each step in a transaction of its own.
///
/// @errors kFault store_newer (a later version of Postern has been here), store_migration_changed
///         (an applied step is not the one we know); else as error_of
[[nodiscard]] Result<void> migrate(Database& database, std::span<const Migration> steps,
                                   TimePoint now);

/// What tells whether the text of a step has changed: FNV-1a, 64 bits, in hex.
[[nodiscard]] std::string checksum(std::string_view script);

}  // namespace postern::store::sqlite
