#pragma once

#include "app/store_config.h"
#include "base/clock.h"
#include "base/result.h"
#include "store/migration.h"

namespace postern::app {

/// What stands between the configured store and this version. Reads only, also while it is served.
/// A file that is not there yet has all steps before it.
/// @errors kFault store_foreign, store_newer, store_migration_changed and what the engine says;
///         kRetryable store_unreachable
[[nodiscard]] Result<store::MigrationPlan> plan_migrations(const StoreConfig& config);

/// Applies all steps, contracting ones too. A file is left alone: its next start applies them.
/// @errors as plan_migrations
[[nodiscard]] Result<void> apply_migrations(const StoreConfig& config, TimePoint now);

}  // namespace postern::app
