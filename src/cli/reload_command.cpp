#include "cli/reload_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "app/config.h"
#include "cli/admin_access.h"
#include "cli/listing.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

void print_names(std::ostream& out, std::string_view what, const json::object& names) {
  for (const std::string_view change : {"added", "removed", "changed"}) {
    for (const json::value& name : names.at(change).as_array()) {
      out << fmt::format("{} {}: {}\n", what, std::string_view(name.as_string()), change);
    }
  }
}

void print(std::ostream& out, const json::object& answer) {
  out << "reloaded\n";
  print_names(out, "account", answer.at("accounts").as_object());
  print_names(out, "endpoint", answer.at("endpoints").as_object());
  for (const json::value& setting : answer.at("settings").as_array()) {
    out << fmt::format("{}: changed\n", std::string_view(setting.as_string()));
  }
}

[[nodiscard]] ExitCode reload(const ListingOptions& options, const Terminal& terminal) {
  // A file with a mistake is refused here already, with the same words.
  const Result<app::Config> config = app::load_config(options.config);
  if (!config) return fail(terminal, config.error());
  const Result<std::unique_ptr<AdminAccess>> daemon =
      AdminAccess::open_daemon(*config, options.certificate);
  if (!daemon) return fail(terminal, daemon.error());
  const Result<json::object> answer = (*daemon)->post("/v1/configuration/reload");
  if (!answer && answer.error().code == "unauthorized") {
    terminal.err << "postern: the daemon does not take this file's api_key; where that is what has "
                    "changed, send it SIGHUP\n";
    return ExitCode::kUsage;
  }
  if (!answer) return fail(terminal, answer.error());
  if (options.as_json) {
    terminal.out << json::serialize(*answer) << "\n";
  } else {
    print(terminal.out, *answer);
  }
  return ExitCode::kOk;
}

}  // namespace

void add_reload(CLI::App& app, Action& action) {
  const auto options = std::make_shared<ListingOptions>();
  CLI::App* command =
      app.add_subcommand("reload", "have the running daemon take its configuration over again");
  add_listing_options(*command, *options);
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) { return reload(*options, terminal); };
  });
}

}  // namespace postern::cli
