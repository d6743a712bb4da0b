#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern copy --from sqlite:FILE --to postgresql://...`: moves a store to another engine, and
/// compares both afterwards. Ends with kNegative where they differ.
void add_copy(CLI::App& app, Action& action);

}  // namespace postern::cli
