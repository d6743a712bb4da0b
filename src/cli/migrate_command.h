#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern migrate [--apply]`: says which steps of the schema the store has and which are missing,
/// or applies them.
void add_migrate(CLI::App& app, Action& action);

}  // namespace postern::cli
