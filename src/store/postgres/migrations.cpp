// Nodes of two versions may run side by side: a later one expands the schema, the earlier goes on
// with what it knows. Only a step that contracts shuts earlier versions out, so a start never
// applies one.
#include "store/postgres/migrations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "store/postgres/schema.h"

namespace postern::store::postgres {
namespace {

// "Post"; of the two-number kind, which the locks of batches are not.
constexpr std::string_view kLock = "SELECT pg_advisory_xact_lock(1349481332, 1)";

constexpr const char* kMigrationsTable = R"sql(
CREATE TABLE IF NOT EXISTS migrations (
  number bigint PRIMARY KEY,
  name text NOT NULL,
  checksum text NOT NULL,
  is_contract bigint NOT NULL,
  applied_at_ms bigint NOT NULL
)
)sql";

[[nodiscard]] Result<bool> has_table(Connection& connection, const char* name) {
  Parameters parameters;
  parameters.add(std::string_view(name));
  POSTERN_ASSIGN_OR_RETURN(const Rows rows,
                           connection.ask("SELECT 1 FROM pg_tables WHERE tablename = $1::text "
                                          "AND schemaname = ANY (current_schemas(false))",
                                          parameters));
  return rows.size() != 0;
}

[[nodiscard]] Result<void> check_step(const Row& row, std::span<const Migration> steps,
                                      std::size_t place) {
  if (place >= steps.size()) {
    if (row.integer(3) == 0) return {};
    return fault("store_newer",
                 fmt::format("a later version of Postern has applied step {} of the schema ('{}'), "
                             "which takes away what this version needs: start that version",
                             row.integer(0), row.text(1)));
  }
  const Migration& step = steps[place];
  if (row.integer(0) == step.number && row.text(2) == checksum(step.script)) return {};
  return fault("store_migration_changed",
               fmt::format("step {} of the schema ('{}') was applied with another text: start an "
                           "unmodified build of Postern",
                           row.integer(0), row.text(1)));
}

[[nodiscard]] Result<void> apply(Connection& connection, const Migration& step, TimePoint now) {
  const int contract = step.kind == Migration::Kind::kContract ? 1 : 0;
  // One script is one transaction. Names of steps are ours and hold no quotes.
  return connection.run(fmt::format(
      "BEGIN; {}; {}; {}; INSERT INTO migrations VALUES ({}, '{}', '{}', {}, {}); COMMIT", kLock,
      kMigrationsTable, step.script, step.number, step.name, checksum(step.script), contract,
      now.time_since_epoch().count()));
}

}  // namespace

std::span<const Migration> migrations() {
  static const std::array<Migration, 1> steps = {
      Migration{.number = 1, .name = "first schema", .script = kSchema1},
  };
  return steps;
}

Result<MigrationPlan> plan_migrations(Connection& connection, std::span<const Migration> steps) {
  MigrationPlan plan;
  // In this order: another node may commit the first step between the two questions.
  POSTERN_ASSIGN_OR_RETURN(const bool foreign, has_table(connection, "orders"));
  POSTERN_ASSIGN_OR_RETURN(const bool known, has_table(connection, "migrations"));
  if (known) {
    POSTERN_ASSIGN_OR_RETURN(const Rows rows,
                             connection.ask("SELECT number, name, checksum, is_contract FROM "
                                            "migrations ORDER BY number",
                                            {}));
    for (int i = 0; i < rows.size(); ++i) {
      POSTERN_RETURN_IF_ERROR(check_step(rows.row(i), steps, plan.applied));
      ++plan.applied;
    }
  } else {
    if (foreign) {
      return fault("store_foreign",
                   "the database has a table 'orders' of another program: give Postern a database "
                   "of its own, named in store.url");
    }
  }
  for (const Migration& step : steps.subspan(std::min(plan.applied, steps.size()))) {
    // What stands behind a step that has to wait, waits with it.
    const bool waits = step.kind == Migration::Kind::kContract || !plan.contract.empty();
    (waits ? plan.contract : plan.expand).push_back(step);
  }
  return plan;
}

Result<void> migrate(Connection& connection, std::span<const Migration> steps, Apply which,
                     TimePoint now) {
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const MigrationPlan plan, plan_migrations(connection, steps));
    const bool waits = plan.expand.empty();
    if (waits && (plan.contract.empty() || which == Apply::kExpanding)) return {};
    const Migration& step = waits ? plan.contract.front() : plan.expand.front();
    const Result<void> applied = apply(connection, step, now);
    if (applied) continue;
    (void)connection.run("ROLLBACK");
    // Another node was first: its step is there now.
    POSTERN_ASSIGN_OR_RETURN(const MigrationPlan after, plan_migrations(connection, steps));
    if (after.applied == plan.applied) return applied;
  }
}

}  // namespace postern::store::postgres
