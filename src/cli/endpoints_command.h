#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern endpoints`: how each endpoint stands and what it is owed.
void add_endpoints(CLI::App& app, Action& action);

}  // namespace postern::cli
