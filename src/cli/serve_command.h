#pragma once

#include "cli/command.h"

namespace postern::cli {

/// `postern serve`: runs the daemon until SIGTERM or SIGINT. When callbacks are taken it prints one
/// line: "ready callbacks=127.0.0.1:8000 admin=127.0.0.1:8080", several callback addresses joined
/// by commas.
void add_serve(CLI::App& app, Action& action);

}  // namespace postern::cli
