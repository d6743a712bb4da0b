#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern audit`: what people did.
void add_audit(CLI::App& app, Action& action);

}  // namespace postern::cli
