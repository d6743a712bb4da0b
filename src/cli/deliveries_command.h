#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern deliveries list|show|retry|cancel`.
void add_deliveries(CLI::App& app, Action& action);

}  // namespace postern::cli
