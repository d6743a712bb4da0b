#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern callbacks list` and `postern callbacks show ID`.
void add_callbacks(CLI::App& app, Action& action);

}  // namespace postern::cli
