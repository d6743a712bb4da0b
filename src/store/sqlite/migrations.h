#pragma once

#include <span>

#include "base/clock.h"
#include "base/result.h"
#include "store/migration.h"
#include "store/sqlite/sqlite.h"

namespace postern::store::sqlite {

/// All steps, in order.
[[nodiscard]] std::span<const Migration> migrations();

/// Marks a file of ours in its header ("Post").
inline constexpr std::int64_t kApplicationId = 0x506f7374;

/// Refuses a file that is not a Postern store. Reads only.
/// @errors kFault store_foreign, or as error_of
[[nodiscard]] Result<void> check_owner(Database& database);

/// A start applies all that is missing: no other version has the file open. Reads only.
/// @errors as migrate
[[nodiscard]] Result<MigrationPlan> plan_migrations(Database& database,
                                                    std::span<const Migration> steps);

/// Brings the schema up to date, each step in a transaction of its own.
///
/// @errors kFault store_newer (a later version of Postern has been here), store_migration_changed
///         (an applied step is not the one we know); else as error_of
[[nodiscard]] Result<void> migrate(Database& database, std::span<const Migration> steps,
                                   TimePoint now);

}  // namespace postern::store::sqlite
