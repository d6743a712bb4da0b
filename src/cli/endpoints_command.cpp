#include "cli/endpoints_command.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>

#include "cli/listing.h"
#include "cli/table.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

void print(std::ostream& out, const json::object& answer) {
  Table table({"ENDPOINT", "KIND", "STATE", "IN FLIGHT", "READY", "WAITING", "DEAD", "CANCELLED",
               "OLDEST UNDELIVERED"});
  for (const json::value& value : answer.at("endpoints").as_array()) {
    const json::object& one = value.as_object();
    table.add({shown(one, "name"), shown(one, "kind"), shown(one, "state"), shown(one, "in_flight"),
               shown(one, "ready"), shown(one, "waiting"), shown(one, "dead"),
               shown(one, "cancelled"), shown(one, "oldest_undelivered")});
  }
  table.print(out);
}

}  // namespace

void add_endpoints(CLI::App& app, Action& action) {
  const auto options = std::make_shared<ListingOptions>();
  CLI::App* command =
      app.add_subcommand("endpoints", "show how each endpoint stands and what it is owed");
  add_listing_options(*command, *options);
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) {
      return show(*options, "/v1/endpoints", print, terminal);
    };
  });
}

}  // namespace postern::cli
