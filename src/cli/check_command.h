#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern check`: reads the configuration with all its keys, and says what it holds.
void add_check(CLI::App& app, Action& action);

}  // namespace postern::cli
