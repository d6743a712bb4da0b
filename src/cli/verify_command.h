#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern verify FILE`: verifies a kept callback again, offline, as at the time it came. FILE is
/// what `postern callbacks show ID --json` printed; "-" is the standard input.
void add_verify(CLI::App& app, Action& action);

}  // namespace postern::cli
