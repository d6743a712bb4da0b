#include "cli/listing.h"

#include <boost/json/serialize.hpp>
#include <memory>

#include "app/config.h"
#include "cli/admin_access.h"
#include "cli/table.h"

namespace postern::cli {

namespace json = boost::json;

void add_listing_options(CLI::App& command, ListingOptions& options) {
  add_config_option(command, options.config);
  CLI::Option* const certificate =
      command
          .add_option("--client-cert", options.certificate.certificate_file,
                      "a certificate to show, PEM, where [admin.tls] asks for one")
          ->envname("POSTERN_CERT");
  command.add_option("--client-key", options.certificate.key_file, "its private key, PEM")
      ->envname("POSTERN_KEY")
      ->needs(certificate);
  command.add_flag("--json", options.as_json, "print JSON");
}

void add_page_options(CLI::App& command, ListingOptions& options) {
  command.add_option("--before", options.before, "continue behind this id");
  command.add_option("--limit", options.limit, "how many, 50 if not given");
}

namespace {

using Ask = Result<json::object> (AdminAccess::*)(const std::string&);

[[nodiscard]] ExitCode ask(const ListingOptions& options, Ask way, const std::string& target,
                           const std::function<void(std::ostream&, const json::object&)>& print,
                           const Terminal& terminal) {
  const Result<app::Config> config = app::load_config(options.config);
  if (!config) return fail(terminal, config.error());
  const Result<std::unique_ptr<AdminAccess>> access =
      AdminAccess::open(*config, options.certificate);
  if (!access) return fail(terminal, access.error());
  const Result<json::object> answer = (access->get()->*way)(target);
  if (!answer) {
    const ExitCode code = fail(terminal, answer.error());
    return answer.error().code == "not_found" ? ExitCode::kNegative : code;
  }
  if (options.as_json) {
    terminal.out << json::serialize(*answer) << "\n";
    return ExitCode::kOk;
  }
  print(terminal.out, *answer);
  const std::string next = answer->contains("next_before") ? shown(*answer, "next_before") : "-";
  if (next != "-") terminal.out << "more with --before " << next << "\n";
  return ExitCode::kOk;
}

}  // namespace

ExitCode show(const ListingOptions& options, const std::string& target,
              const std::function<void(std::ostream&, const json::object&)>& print,
              const Terminal& terminal) {
  return ask(options, &AdminAccess::get, target, print, terminal);
}

ExitCode act(const ListingOptions& options, const std::string& target,
             const std::function<void(std::ostream&, const json::object&)>& print,
             const Terminal& terminal) {
  return ask(options, &AdminAccess::post, target, print, terminal);
}

}  // namespace postern::cli
