#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern explain FILE|ID`: says why a callback was refused.
void add_explain(CLI::App& app, Action& action);

}  // namespace postern::cli
