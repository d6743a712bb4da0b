#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern simulate PLATFORM` and `postern simulate keys DIR`. Ends with kNegative where an answer
/// was not the one expected: success for genuine messages, refusal for spoiled ones.
void add_simulate(CLI::App& app, Action& action);

}  // namespace postern::cli
