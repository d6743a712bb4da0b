#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <istream>
#include <ostream>
#include <string>

#include "base/result.h"

namespace postern::cli {

/// What the `postern` command ends with.
enum class ExitCode : int {
  kOk = 0,
  kNegative = 1,      ///< a verdict: not genuine, not found
  kUsage = 2,         ///< the command line or the configuration is wrong
  kStoreFailed = 70,  ///< the storage is in doubt or cannot be opened: EX_SOFTWARE of sysexits.h
};

/// Where a command writes: what was asked for, and everything else. And where it reads answers.
struct Terminal {
  std::ostream& out;
  std::ostream& err;
  std::istream& in = std::cin;
};

/// The command that the command line names; run after all of it has been read.
using Action = std::function<ExitCode(const Terminal&)>;

/// Adds `--config FILE` (POSTERN_CONFIG in the environment; postern.toml by default).
void add_config_option(CLI::App& command, std::string& file);

/// Says what went wrong, and gives the code to end with.
[[nodiscard]] ExitCode fail(const Terminal& terminal, const Error& error);

}  // namespace postern::cli
