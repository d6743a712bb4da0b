#include "cli/audit_command.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <string>

#include "cli/admin_access.h"
#include "cli/listing.h"
#include "cli/table.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

struct Options {
  ListingOptions listing;
  std::string after;
};

/// The one it is about, or how many.
[[nodiscard]] std::string about(const json::array& deliveries) {
  if (deliveries.size() == 1) return std::string(deliveries.front().as_string());
  return std::to_string(deliveries.size()) + " deliveries";
}

void print(std::ostream& out, const json::object& page) {
  Table table({"AT", "WHO", "FROM", "ACT", "OUTCOME", "ABOUT", "DETAIL"});
  for (const json::value& value : page.at("audit").as_array()) {
    const json::object& one = value.as_object();
    table.add({shown(one, "at"), shown(one, "actor"), shown(one, "peer"), shown(one, "act"),
               shown(one, "outcome"), about(one.at("deliveries").as_array()),
               shown(one, "detail")});
  }
  table.print(out);
  out << "go on with --after " << shown(page, "next_after") << "\n";
}

}  // namespace

void add_audit(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("audit", "list what people did, oldest first");
  add_listing_options(*command, options->listing);
  command->add_option("--after", options->after, "continue behind this id");
  command->add_option("--limit", options->listing.limit, "how many, 50 if not given");
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) {
      return show(
          options->listing,
          with_query("/v1/audit", {{"after", options->after}, {"limit", options->listing.limit}}),
          print, terminal);
    };
  });
}

}  // namespace postern::cli
