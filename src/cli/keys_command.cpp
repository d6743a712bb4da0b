#include "cli/keys_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <memory>

#include "admin/key_trial.h"
#include "app/config.h"
#include "app/secret_source.h"
#include "channel/candidate.h"
#include "cli/admin_access.h"
#include "cli/listing.h"
#include "cli/table.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

struct Options {
  ListingOptions listing;
  std::string account;
  std::string setting;
  std::string key;
  std::string id;
  std::size_t last = admin::kTriedDefault;
};

void print(std::ostream& out, const json::object& report) {
  std::string keys;
  for (const json::value& id : report.at("keys").as_array()) {
    keys += (keys.empty() ? "" : ", ") + printable(std::string_view(id.as_string()));
  }
  out << fmt::format("{} {}: {}\n", shown(report, "account"), shown(report, "setting"), keys);
  out << fmt::format("of the last {} callbacks this key alone would verify {}, and not {}\n",
                     shown(report, "looked_at"), shown(report, "would_verify"),
                     shown(report, "would_not_verify"));
  Table table({"SIGNED BY", "LAST", "WOULD VERIFY", "WOULD NOT"});
  for (const json::value& value : report.at("signed_by").as_array()) {
    const json::object& one = value.as_object();
    table.add({shown(one, "key_id"), shown(one, "last_at"), shown(one, "would_verify"),
               shown(one, "would_not_verify")});
  }
  table.print(out);
  for (const json::value& value : report.at("first_failing").as_array()) {
    const json::object& one = value.as_object();
    out << fmt::format("{} {} {}: {} {}\n", shown(one, "id"), shown(one, "received_at"),
                       shown(one, "code"), shown(one, "cause"), shown(one, "detail"));
  }
}

[[nodiscard]] Result<json::object> ask(const Options& options) {
  POSTERN_ASSIGN_OR_RETURN(const app::Config config, app::load_config(options.listing.config));
  const app::SourceKind kind =
      channel::kind_of_setting(options.setting) == channel::KeyKind::kSecret
          ? app::SourceKind::kKey
          : app::SourceKind::kPublic;
  POSTERN_ASSIGN_OR_RETURN(const Secret key,
                           app::read_secret(options.key, std::filesystem::current_path(), kind));
  POSTERN_ASSIGN_OR_RETURN(const std::unique_ptr<AdminAccess> access,
                           AdminAccess::open(config, options.listing.certificate));
  json::object body{{"setting", options.setting}, {"key", key.reveal()}, {"last", options.last}};
  if (!options.id.empty()) body["id"] = options.id;
  return access->post(fmt::format("/v1/accounts/{}/keys/try", path_segment(options.account)), body);
}

[[nodiscard]] ExitCode try_key(const Options& options, const Terminal& terminal) {
  const Result<json::object> report = ask(options);
  if (!report) return fail(terminal, report.error());
  if (options.listing.as_json) {
    terminal.out << json::serialize(*report) << "\n";
  } else {
    print(terminal.out, *report);
  }
  return ExitCode::kOk;
}

}  // namespace

void add_keys(CLI::App& app, Action& action) {
  CLI::App* keys = app.add_subcommand("keys", "replace keys without a gap");
  keys->require_subcommand(1);
  const auto options = std::make_shared<Options>();
  CLI::App* command = keys->add_subcommand(
      "try", "say which of the last accepted callbacks a new key alone would verify");
  add_listing_options(*command, options->listing);
  command->add_option("--account", options->account, "the account the key is for")->required();
  command
      ->add_option("--setting", options->setting,
                   "where it will be listed, such as platform_keys or platform_certificates")
      ->required();
  command->add_option("--key", options->key, "the key, as env:NAME or file:PATH")->required();
  command->add_option("--id", options->id, "of a WeChat Pay public key: PUB_KEY_ID_...");
  command->add_option("--last", options->last, "how many callbacks, newest first")
      ->check(CLI::Range(std::size_t{1}, admin::kTriedMax))
      ->capture_default_str();
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) { return try_key(*options, terminal); };
  });
}

}  // namespace postern::cli
