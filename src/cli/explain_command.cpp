// A file is explained here, an id by the daemon that knows it; both by the same explainer, so both
// print the same JSON.
#include "cli/explain_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <memory>

#include "admin/explanations.h"
#include "app/config.h"
#include "base/system.h"
#include "cli/admin_access.h"
#include "cli/captured.h"
#include "cli/listing.h"
#include "cli/table.h"
#include "ingest/ingest.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

struct Options {
  ListingOptions listing;
  std::string asked;  ///< a file or an id
  std::string account;
  std::string at;
};

void print(std::ostream& out, const json::object& explanation) {
  out << fmt::format("{}: {}\n", shown(explanation, "account"), shown(explanation, "verdict"));
  if (const std::string detail = shown(explanation, "detail"); !detail.empty()) {
    out << fmt::format("  {}\n", detail);
  }
  for (const json::value& value : explanation.at("findings").as_array()) {
    const json::object& finding = value.as_object();
    out << fmt::format("\ncause: {} ({})\n  {}\n  {}\n", shown(finding, "cause"),
                       shown(finding, "certainty"), shown(finding, "detail"),
                       shown(finding, "what_to_do"));
  }
  if (const std::string difference = shown(explanation, "difference"); !difference.empty()) {
    out << fmt::format("\nfirst difference: {}\n", difference);
  }
  out << fmt::format("\nexpected: {}\n", shown(explanation, "expected"));
  const std::string text = shown(explanation, "string_to_sign");
  out << fmt::format("string to sign, from what came:\n  {}\n",
                     text.empty() ? std::string("(none can be made)") : text);
}

[[nodiscard]] std::unexpected<Error> account_needed() {
  return rejected("account_needed",
                  "the file does not say which account it came to: add --account");
}

[[nodiscard]] Result<json::object> explain_file(const Options& options) {
  POSTERN_ASSIGN_OR_RETURN(const app::Config config, app::load_config(options.listing.config));
  POSTERN_ASSIGN_OR_RETURN(const std::string text, read_capture(options.asked));
  POSTERN_ASSIGN_OR_RETURN(Captured captured, parse_capture(text));
  if (!options.account.empty()) captured.account = options.account;
  if (captured.account.empty()) captured.account = ingest::account_in(captured.request.target);
  if (captured.account.empty()) return account_needed();
  if (!options.at.empty()) {
    captured.received_at = parse_rfc3339(options.at);
    if (!captured.received_at) return rejected("time_malformed", "--at is a time of RFC 3339");
  }
  const SystemClock clock;
  return admin::explain(config.channels(),
                        {.account = captured.account,
                         .request = captured.request,
                         .received_at = captured.received_at,
                         .body_bytes = captured.body_bytes},
                        clock.now());
}

[[nodiscard]] ExitCode explain(const Options& options, const Terminal& terminal) {
  if (options.asked != "-" && !std::filesystem::exists(options.asked)) {
    const std::string_view list = options.asked.starts_with("rej_") ? "rejected" : "callbacks";
    return show(options.listing,
                fmt::format("/v1/{}/{}/explain", list, path_segment(options.asked)), print,
                terminal);
  }
  const Result<json::object> explanation = explain_file(options);
  if (!explanation) return fail(terminal, explanation.error());
  if (options.listing.as_json) {
    terminal.out << json::serialize(*explanation) << "\n";
  } else {
    print(terminal.out, *explanation);
  }
  return ExitCode::kOk;
}

}  // namespace

void add_explain(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("explain", "say why a callback was refused");
  add_listing_options(*command, options->listing);
  command
      ->add_option("FILE|ID", options->asked,
                   "a captured request (JSON, or HTTP as text; - for standard input), or the id of "
                   "a kept (cb_...) or refused (rej_...) callback")
      ->required();
  command->add_option("--account", options->account, "the account a file came to");
  command->add_option("--at", options->at, "when a file came, where it does not say");
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) { return explain(*options, terminal); };
  });
}

}  // namespace postern::cli
