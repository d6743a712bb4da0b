#include "cli/command.h"

namespace postern::cli {

void add_config_option(CLI::App& command, std::string& file) {
  file = "postern.toml";
  command.add_option("--config", file, "the configuration file")
      ->envname("POSTERN_CONFIG")
      ->capture_default_str();
}

ExitCode fail(const Terminal& terminal, const Error& error) {
  terminal.err << "postern: " << (error.detail.empty() ? error.code : error.detail) << "\n";
  return error.code.starts_with("store_") ? ExitCode::kStoreFailed : ExitCode::kUsage;
}

}  // namespace postern::cli
