#include "cli/callbacks_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>

#include "cli/admin_access.h"
#include "cli/listing.h"
#include "cli/table.h"
#include "crypto/encoding.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

struct ListOptions {
  ListingOptions listing;
  std::string account;
  std::string outcome;
};

struct ShowOptions {
  ListingOptions listing;
  std::string id;
};

void print_list(std::ostream& out, const json::object& page) {
  Table table({"CALLBACK", "ACCOUNT", "RECEIVED", "OUTCOME", "COPIES", "EVENT"});
  for (const json::value& value : page.at("callbacks").as_array()) {
    const json::object& callback = value.as_object();
    table.add({shown(callback, "id"), shown(callback, "account"), shown(callback, "received_at"),
               shown(callback, "outcome"), shown(callback, "copies"),
               shown(callback, "event_type")});
  }
  table.print(out);
}

void print_rejected(std::ostream& out, const json::object& page) {
  Table table({"CALLBACK", "RECEIVED", "CODE", "PEER", "BYTES"});
  for (const json::value& value : page.at("rejected").as_array()) {
    const json::object& one = value.as_object();
    table.add({shown(one, "id"), shown(one, "received_at"), shown(one, "code"), shown(one, "peer"),
               shown(one, "body_bytes")});
  }
  table.print(out);
}

void print_callback(std::ostream& out, const json::object& callback) {
  for (const std::string_view name :
       {"id", "account", "received_at", "outcome", "event_type", "key_id", "scheme", "copies",
        "copy_of", "peer", "target", "body_sha256"}) {
    out << fmt::format("{}: {}\n", name, shown(callback, name));
  }
  for (const json::value& line : callback.at("headers").as_array()) {
    out << fmt::format("  {}\n", printable(std::string_view(line.as_string())));
  }
  // The body may hold what buyers call themselves, so it is shown on request only.
  const std::string body =
      crypto::base64_decode(std::string_view(callback.at("body_base64").as_string()))
          .value_or(std::string());
  out << fmt::format("body: {} bytes, in full with --json\n", body.size());
}

void add_list(CLI::App& callbacks, Action& action) {
  const auto options = std::make_shared<ListOptions>();
  CLI::App* command = callbacks.add_subcommand("list", "list accepted callbacks, newest first");
  add_listing_options(*command, options->listing);
  add_page_options(*command, options->listing);
  command->add_option("--account", options->account, "only those of this account");
  command->add_option("--outcome", options->outcome, "only those with this outcome");
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) {
      return show(options->listing,
                  with_query("/v1/callbacks", {{"account", options->account},
                                               {"outcome", options->outcome},
                                               {"before", options->listing.before},
                                               {"limit", options->listing.limit}}),
                  print_list, terminal);
    };
  });
}

void add_show(CLI::App& callbacks, Action& action) {
  const auto options = std::make_shared<ShowOptions>();
  CLI::App* command = callbacks.add_subcommand("show", "show one callback and its evidence");
  add_listing_options(*command, options->listing);
  command->add_option("ID", options->id, "the callback's id, such as cb_k3f9a2_17")->required();
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) {
      return show(options->listing, "/v1/callbacks/" + path_segment(options->id), print_callback,
                  terminal);
    };
  });
}

void add_rejected(CLI::App& callbacks, Action& action) {
  const auto options = std::make_shared<ListOptions>();
  CLI::App* command = callbacks.add_subcommand(
      "rejected", "list the last refused callbacks, newest first; the daemon keeps them in memory");
  add_listing_options(*command, options->listing);
  command->add_option("ACCOUNT", options->account, "the account they came to")->required();
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) {
      return show(options->listing, "/v1/rejected/" + path_segment(options->account),
                  print_rejected, terminal);
    };
  });
}

}  // namespace

void add_callbacks(CLI::App& app, Action& action) {
  CLI::App* callbacks = app.add_subcommand("callbacks", "look at callbacks");
  callbacks->require_subcommand(1);
  add_list(*callbacks, action);
  add_show(*callbacks, action);
  add_rejected(*callbacks, action);
}

}  // namespace postern::cli
