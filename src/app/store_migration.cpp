#include "app/store_migration.h"

#include <chrono>

#include "store/postgres/connection.h"
#include "store/postgres/migrations.h"
#include "store/sqlite/migrations.h"

namespace postern::app {
namespace {

/// A step may have to write a large table anew.
constexpr std::chrono::hours kStepLimit{6};

[[nodiscard]] Result<store::postgres::Connection> connect(const StoreConfig& config) {
  return store::postgres::Connection::open({.url = config.url,
                                            .password = config.password,
                                            .name = "postern migrate",
                                            .statement_timeout = kStepLimit,
                                            .answer_timeout = kStepLimit});
}

[[nodiscard]] Result<store::MigrationPlan> plan_sqlite(const StoreConfig& config) {
  namespace sqlite = store::sqlite;
  if (!std::filesystem::exists(config.file)) {
    const auto steps = sqlite::migrations();
    return store::MigrationPlan{.expand = {steps.begin(), steps.end()}};
  }
  POSTERN_ASSIGN_OR_RETURN(
      sqlite::Database database,
      sqlite::Database::open(config.file.string(), sqlite::Access::kReadOnly, ""));
  POSTERN_RETURN_IF_ERROR(sqlite::check_owner(database));
  return sqlite::plan_migrations(database, sqlite::migrations());
}

}  // namespace

Result<store::MigrationPlan> plan_migrations(const StoreConfig& config) {
  if (config.kind == StoreConfig::Kind::kSqlite) return plan_sqlite(config);
  POSTERN_ASSIGN_OR_RETURN(store::postgres::Connection connection, connect(config));
  return store::postgres::plan_migrations(connection, store::postgres::migrations());
}

Result<void> apply_migrations(const StoreConfig& config, TimePoint now) {
  if (config.kind == StoreConfig::Kind::kSqlite) return {};
  POSTERN_ASSIGN_OR_RETURN(store::postgres::Connection connection, connect(config));
  return store::postgres::migrate(connection, store::postgres::migrations(),
                                  store::postgres::Apply::kAll, now);
}

}  // namespace postern::app
