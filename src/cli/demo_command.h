#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern demo`: a gateway of its own in a fresh folder, and a story of payments played through
/// it. Ends with kNegative where an order did not end as it has to.
void add_demo(CLI::App& app, Action& action);

}  // namespace postern::cli
