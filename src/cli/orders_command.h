#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern orders list` and `postern orders show NUMBER`.
void add_orders(CLI::App& app, Action& action);

}  // namespace postern::cli
