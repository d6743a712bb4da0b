#pragma once

#include "cli/command.h"

namespace postern::cli {

/// postern keys try: whether a new key would accept what was accepted, before it is switched on.
void add_keys(CLI::App& app, Action& action);

}  // namespace postern::cli
