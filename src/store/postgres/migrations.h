#pragma once

#include <span>

#include "base/clock.h"
#include "base/result.h"
#include "store/migration.h"
#include "store/postgres/connection.h"

namespace postern::store::postgres {

/// All steps, in order.
[[nodiscard]] std::span<const Migration> migrations();

/// Reads only.
/// @errors kFault store_newer (a later version has taken away what this one needs),
///         store_migration_changed, store_foreign; kRetryable as Connection
[[nodiscard]] Result<MigrationPlan> plan_migrations(Connection& connection,
                                                    std::span<const Migration> steps);

enum class Apply : unsigned char { kExpanding, kAll };

/// Applies what is missing up to the first step that is not asked for, each in a transaction of its
/// own. One node at a time: another waits for it on an advisory lock and finds it done.
/// @errors as plan_migrations
[[nodiscard]] Result<void> migrate(Connection& connection, std::span<const Migration> steps,
                                   Apply which, TimePoint now);

}  // namespace postern::store::postgres
