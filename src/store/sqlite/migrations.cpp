// Which steps have been applied stands in the table `migrations`, with a checksum of the text that
// was run. A file is opened only if its steps are the first of ours, word for word. Until the first
// release step 1 may still change; from then on steps are only added.
#include "store/sqlite/migrations.h"

#include <fmt/format.h>

#include <array>

#include "store/sqlite/schema.h"

namespace postern::store::sqlite {
namespace {

constexpr const char* kMigrationsTable = R"sql(
CREATE TABLE IF NOT EXISTS migrations (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied_at_ms INTEGER NOT NULL
) STRICT;
)sql";

[[nodiscard]] Result<bool> has_migrations_table(Database& database) {
  POSTERN_ASSIGN_OR_RETURN(
      const std::int64_t tables,
      database.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'"));
  return tables != 0;
}

/// How many of `steps` have been applied, each of them unchanged.
[[nodiscard]] Result<std::size_t> applied_steps(Database& database,
                                                std::span<const Migration> steps) {
  POSTERN_ASSIGN_OR_RETURN(const bool known, has_migrations_table(database));
  if (!known) return 0;
  POSTERN_ASSIGN_OR_RETURN(Statement rows, database.prepare("SELECT number, name, checksum FROM "
                                                            "migrations ORDER BY number"));
  std::size_t applied = 0;
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, rows.step());
    if (!more) return applied;
    if (applied == steps.size()) {
      return fault("store_newer",
                   fmt::format("the store has step {} of the schema ('{}'), this version knows {}: "
                               "start the version of Postern that wrote it, or a later one",
                               rows.integer(0), rows.text(1), steps.size()));
    }
    const Migration& step = steps[applied];
    if (rows.integer(0) != step.number || rows.text(2) != checksum(step.script)) {
      return fault("store_migration_changed",
                   fmt::format("step {} of the schema ('{}') was applied with another text: start "
                               "an unmodified build of Postern",
                               rows.integer(0), rows.text(1)));
    }
    ++applied;
  }
}

[[nodiscard]] Result<void> apply_in_transaction(Database& database, const Migration& step,
                                                TimePoint now) {
  POSTERN_RETURN_IF_ERROR(database.run(kMigrationsTable));
  POSTERN_RETURN_IF_ERROR(database.run(step.script));
  POSTERN_ASSIGN_OR_RETURN(Statement note,
                           database.prepare("INSERT INTO migrations VALUES (?, ?, ?, ?)"));
  const std::string sum = checksum(step.script);
  note.bind(std::int64_t{step.number}, step.name, std::string_view(sum), now);
  return note.run();
}

[[nodiscard]] Result<void> apply(Database& database, const Migration& step, TimePoint now) {
  POSTERN_RETURN_IF_ERROR(database.run("BEGIN IMMEDIATE"));
  Result<void> applied = apply_in_transaction(database, step, now);
  if (applied) applied = database.run("COMMIT");
  // Opening fails with the first error; whether this undoing works changes nothing about that.
  if (!applied && database.in_transaction()) (void)database.run("ROLLBACK");
  return applied;
}

}  // namespace

std::span<const Migration> migrations() {
  static const std::array<Migration, 1> steps = {
      Migration{.number = 1, .name = "first schema", .script = kSchema1},
  };
  return steps;
}

Result<void> check_owner(Database& database) {
  POSTERN_ASSIGN_OR_RETURN(const std::int64_t id, database.integer("PRAGMA application_id"));
  if (id == kApplicationId) return {};
  POSTERN_ASSIGN_OR_RETURN(const std::int64_t objects,
                           database.integer("SELECT count(*) FROM sqlite_schema"));
  if (id == 0 && objects == 0) return {};
  return fault("store_foreign",
               "the file is an SQLite database of another program: name another one in store.url");
}

Result<MigrationPlan> plan_migrations(Database& database, std::span<const Migration> steps) {
  POSTERN_ASSIGN_OR_RETURN(const std::size_t applied, applied_steps(database, steps));
  const auto missing = steps.subspan(applied);
  return MigrationPlan{.applied = applied, .expand = {missing.begin(), missing.end()}};
}

Result<void> migrate(Database& database, std::span<const Migration> steps, TimePoint now) {
  POSTERN_ASSIGN_OR_RETURN(const MigrationPlan plan, plan_migrations(database, steps));
  for (const Migration& step : plan.expand) {
    POSTERN_RETURN_IF_ERROR(apply(database, step, now));
  }
  return {};
}

}  // namespace postern::store::sqlite
