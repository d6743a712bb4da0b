#include "cli/migrate_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "app/store_migration.h"
#include "base/system.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string config;
  bool apply = false;
  bool as_json = false;
};

[[nodiscard]] json::array to_json(const std::vector<store::Migration>& steps) {
  json::array array;
  for (const store::Migration& step : steps) {
    array.push_back(json::object({{"number", step.number}, {"name", step.name}}));
  }
  return array;
}

void print(std::ostream& out, const std::vector<store::Migration>& steps, std::string_view what) {
  for (const store::Migration& step : steps) {
    out << fmt::format("  {} {}: {}\n", step.number, step.name, what);
  }
}

void print(std::ostream& out, const app::StoreConfig& store, const store::MigrationPlan& plan) {
  out << fmt::format("store: {}\nsteps applied: {}\n", store.description(), plan.applied);
  print(out, plan.expand, "the next start applies it");
  print(out, plan.contract,
        "waits for postern migrate --apply, once no earlier version of Postern runs any more");
  if (plan.expand.empty() && plan.contract.empty()) out << "nothing is missing\n";
}

[[nodiscard]] ExitCode migrate(const Options& options, const Terminal& terminal) {
  const Result<app::Config> config = app::load_config(options.config);
  if (!config) return fail(terminal, config.error());
  if (options.apply) {
    const Result<void> applied = app::apply_migrations(config->store, SystemClock().now());
    if (!applied) return fail(terminal, applied.error());
  }
  const Result<store::MigrationPlan> plan = app::plan_migrations(config->store);
  if (!plan) return fail(terminal, plan.error());
  if (options.as_json) {
    terminal.out << json::serialize(json::object({{"store", config->store.description()},
                                                  {"applied", plan->applied},
                                                  {"at_next_start", to_json(plan->expand)},
                                                  {"waiting", to_json(plan->contract)}}))
                 << "\n";
  } else {
    print(terminal.out, config->store, *plan);
  }
  return ExitCode::kOk;
}

}  // namespace

void add_migrate(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("migrate", "show the steps of the store's schema, or apply them");
  add_config_option(*command, options->config);
  command->add_flag("--apply", options->apply,
                    "apply all steps, also those that shut earlier versions out");
  command->add_flag("--json", options->as_json, "print JSON");
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) { return migrate(*options, terminal); };
  });
}

}  // namespace postern::cli
