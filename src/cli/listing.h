#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <string>

#include "cli/admin_access.h"
#include "cli/command.h"

namespace postern::cli {

/// What all commands that look at something have in common.
struct ListingOptions {
  std::string config;
  bool as_json = false;
  std::string before;
  std::string limit;
  ClientCertificate certificate;
};

/// Adds --config, --cert, --key and --json.
void add_listing_options(CLI::App& command, ListingOptions& options);
/// Adds --before and --limit.
void add_page_options(CLI::App& command, ListingOptions& options);

/// Asks the admin API for `target` and prints the answer: as it came with --json, else by `print`.
[[nodiscard]] ExitCode show(
    const ListingOptions& options, const std::string& target,
    const std::function<void(std::ostream&, const boost::json::object&)>& print,
    const Terminal& terminal);

/// The same for what changes something: POST `target`.
[[nodiscard]] ExitCode act(
    const ListingOptions& options, const std::string& target,
    const std::function<void(std::ostream&, const boost::json::object&)>& print,
    const Terminal& terminal);

}  // namespace postern::cli
