#pragma once

#include "cli/command.h"

namespace postern::cli {

/// Runs the `postern` command. `arguments` begin with the program's name.
[[nodiscard]] ExitCode run(int count, const char* const* arguments, const Terminal& terminal);

}  // namespace postern::cli
