#pragma once

#include "cli/command.h"

namespace postern::cli {

/// postern reload: has the running daemon take its configuration over again.
void add_reload(CLI::App& app, Action& action);

}  // namespace postern::cli
