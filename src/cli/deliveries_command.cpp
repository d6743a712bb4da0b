#include "cli/deliveries_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>

#include "cli/admin_access.h"
#include "cli/bulk_retry.h"
#include "cli/listing.h"
#include "cli/table.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

struct Options {
  ListingOptions listing;
  std::string id;
  std::string state;
  std::string endpoint;
};

void print_list(std::ostream& out, const json::object& page) {
  Table table({"DELIVERY", "EVENT", "ENDPOINT", "STATE", "TRIES", "DUE", "REASON"});
  for (const json::value& value : page.at("deliveries").as_array()) {
    const json::object& one = value.as_object();
    table.add({shown(one, "id"), shown(one, "event"), shown(one, "endpoint"), shown(one, "state"),
               shown(one, "tries"), shown(one, "due_at"), shown(one, "reason")});
  }
  table.print(out);
}

void print_delivery(std::ostream& out, const json::object& delivery) {
  for (const std::string_view name :
       {"id", "event", "sequence", "endpoint", "state", "due_at", "reason"}) {
    out << fmt::format("{}: {}\n", name, shown(delivery, name));
  }
  Table table({"BEGAN", "TOOK MS", "OUTCOME", "CODE", "ANSWER"});
  for (const json::value& value : delivery.at("tries").as_array()) {
    const json::object& one = value.as_object();
    table.add({shown(one, "began_at"), shown(one, "took_ms"), shown(one, "outcome"),
               shown(one, "code"), shown(one, "excerpt")});
  }
  table.print(out);
}

void print_done(std::ostream& out, const json::object& answer) {
  out << fmt::format("{}: {}\n", shown(answer, "id"), shown(answer, "outcome"));
}

void add_list(CLI::App& deliveries, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = deliveries.add_subcommand("list", "list deliveries, newest first");
  add_listing_options(*command, options->listing);
  add_page_options(*command, options->listing);
  command->add_option("--state", options->state, "ready, waiting, delivered, dead or cancelled");
  command->add_option("--endpoint", options->endpoint, "only those of this endpoint");
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) {
      return show(options->listing,
                  with_query("/v1/deliveries", {{"state", options->state},
                                                {"endpoint", options->endpoint},
                                                {"before", options->listing.before},
                                                {"limit", options->listing.limit}}),
                  print_list, terminal);
    };
  });
}

[[nodiscard]] CLI::App* add_one(CLI::App& deliveries, const std::string& name,
                                const std::string& help, const std::shared_ptr<Options>& options) {
  CLI::App* command = deliveries.add_subcommand(name, help);
  add_listing_options(*command, options->listing);
  command->add_option("ID", options->id, "the delivery's id, such as dlv_k3f9a2_17")->required();
  return command;
}

void add_show(CLI::App& deliveries, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_one(deliveries, "show", "show one delivery and its tries", options);
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) {
      return show(options->listing, "/v1/deliveries/" + path_segment(options->id), print_delivery,
                  terminal);
    };
  });
}

void add_retry(CLI::App& deliveries, Action& action) {
  const auto options = std::make_shared<RetryOptions>();
  const auto listing = std::make_shared<ListingOptions>();
  const auto id = std::make_shared<std::string>();
  CLI::App* command = deliveries.add_subcommand(
      "retry", "send now, also what is dead or cancelled: one by its id, or all that match");
  add_listing_options(*command, *listing);
  CLI::Option* one = command->add_option("ID", *id, "the delivery's id, such as dlv_k3f9a2_17");
  for (const auto& [name, member, help] : kRetryFilters) {
    command->add_option(std::string(name), options->filter[std::string(member)], std::string(help))
        ->excludes(one);
  }
  command->add_flag("--yes", options->sure, "do not ask")->excludes(one);
  command->callback([=, &action] {
    action = [=](const Terminal& terminal) {
      if (id->empty()) return retry_many(*listing, *options, terminal);
      return act(*listing, fmt::format("/v1/deliveries/{}/retry", path_segment(*id)), print_done,
                 terminal);
    };
  });
}

void add_act(CLI::App& deliveries, const std::string& name, const std::string& help,
             Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_one(deliveries, name, help, options);
  command->callback([options, name, &action] {
    action = [options, name](const Terminal& terminal) {
      return act(options->listing,
                 fmt::format("/v1/deliveries/{}/{}", path_segment(options->id), name), print_done,
                 terminal);
    };
  });
}

}  // namespace

void add_deliveries(CLI::App& app, Action& action) {
  CLI::App* deliveries =
      app.add_subcommand("deliveries", "look at deliveries, send them again or cancel them");
  deliveries->require_subcommand(1);
  add_list(*deliveries, action);
  add_show(*deliveries, action);
  add_retry(*deliveries, action);
  add_act(*deliveries, "cancel", "end it without sending", action);
}

}  // namespace postern::cli
