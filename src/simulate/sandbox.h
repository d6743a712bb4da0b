#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "base/secret.h"

namespace postern::simulate {

/// What a sandbox's configuration says besides its keys.
struct SandboxOptions {
  std::string callback_listen = "127.0.0.1:8000";
  std::string admin_listen = "127.0.0.1:8080";
  std::string log_file;  ///< empty: standard error
};

/// Makes everything that Postern needs to be tried out: "postern.toml" with one account for each
/// platform that can be simulated, under its default name, and "keys" with fresh keys of all of
/// them and of the admin API. The keys are readable by the owner only and good for nothing else.
/// @errors kFault file_exists (nothing is ever replaced), file_not_written, key_generation_failed
[[nodiscard]] Result<void> write_sandbox(const std::filesystem::path& folder,
                                         const SandboxOptions& options, TimePoint now,
                                         Random& random);

/// Where the keys of a sandbox are: what `load_signer` reads.
[[nodiscard]] std::filesystem::path sandbox_keys(const std::filesystem::path& folder);
/// The file that holds the key of the admin API.
[[nodiscard]] std::filesystem::path sandbox_api_key_file(const std::filesystem::path& folder);
/// @errors kRejected keys_not_found
[[nodiscard]] Result<Secret> read_sandbox_api_key(const std::filesystem::path& folder);

}  // namespace postern::simulate
