#include "cli/orders_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "app/config.h"
#include "cli/admin_access.h"
#include "cli/listing.h"
#include "cli/table.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

struct ListOptions {
  ListingOptions listing;
  std::string state;
  std::string search;
};

struct ShowOptions {
  ListingOptions listing;
  std::string id;
  std::string merchant;
};

void print_list(std::ostream& out, const json::object& page) {
  Table table({"ORDER", "MERCHANT", "STATE", "EXPECTED", "PAID", "REFUNDED", "UPDATED"});
  for (const json::value& value : page.at("orders").as_array()) {
    const json::object& order = value.as_object();
    table.add({shown(order, "merchant_order_id"), shown(order, "merchant"), shown(order, "state"),
               shown(order, "expected"), shown(order, "paid"), shown(order, "refunded"),
               shown(order, "updated_at")});
  }
  table.print(out);
}

void print_order(std::ostream& out, const json::object& shown_order) {
  const json::object& order = shown_order.at("order").as_object();
  for (const std::string_view name : {"merchant_order_id", "merchant", "id", "state", "dispute",
                                      "expected", "paid", "refunded", "created_at", "updated_at"}) {
    out << fmt::format("{}: {}\n", name, shown(order, name));
  }
  for (const json::value& value : shown_order.at("attempts").as_array()) {
    const json::object& attempt = value.as_object();
    out << fmt::format("attempt: {} {} {}\n", shown(attempt, "account"),
                       shown(attempt, "sub_merchant"), shown(attempt, "number"));
  }
  out << "\n";
  Table table({"AT", "WHAT", "ID", "TEXT"});
  for (const json::value& value : shown_order.at("timeline").as_array()) {
    const json::object& moment = value.as_object();
    table.add(
        {shown(moment, "at"), shown(moment, "what"), shown(moment, "id"), shown(moment, "text")});
  }
  table.print(out);
}

void add_list(CLI::App& orders, Action& action) {
  const auto options = std::make_shared<ListOptions>();
  CLI::App* command = orders.add_subcommand("list", "list orders, newest first");
  add_listing_options(*command, options->listing);
  add_page_options(*command, options->listing);
  command->add_option("--state", options->state, "only orders in this state");
  command->add_option("--search", options->search,
                      "an order's number, or one given to a platform, in full");
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) {
      return show(options->listing,
                  with_query("/v1/orders", {{"state", options->state},
                                            {"search", options->search},
                                            {"before", options->listing.before},
                                            {"limit", options->listing.limit}}),
                  print_list, terminal);
    };
  });
}

void add_show(CLI::App& orders, Action& action) {
  const auto options = std::make_shared<ShowOptions>();
  CLI::App* command = orders.add_subcommand("show", "show one order and what happened to it");
  add_listing_options(*command, options->listing);
  command->add_option("NUMBER", options->id, "the order's number at its merchant")->required();
  command->add_option("--merchant", options->merchant, "whose order it is, if not the default's");
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) {
      return show(
          options->listing,
          with_query("/v1/orders/" + path_segment(options->id), {{"merchant", options->merchant}}),
          print_order, terminal);
    };
  });
}

}  // namespace

void add_orders(CLI::App& app, Action& action) {
  CLI::App* orders = app.add_subcommand("orders", "look at orders");
  orders->require_subcommand(1);
  add_list(*orders, action);
  add_show(*orders, action);
}

}  // namespace postern::cli
