#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "base/secret.h"

namespace postern::simulate {

/// Where the shop takes events.
struct SandboxWebhook {
  std::string url;  ///< "http://...", on this machine
  Secret secret;    ///< as of `new_webhook_secret`
};

/// What a sandbox's configuration says besides its keys.
struct SandboxOptions {
  std::string callback_listen = "127.0.0.1:8000";
  std::string admin_listen = "127.0.0.1:8080";
  std::string log_file;                   ///< empty: standard error
  std::optional<SandboxWebhook> webhook;  ///< nothing: the shop is told nothing
};

/// Makes everything that Postern needs to be tried out: "postern.toml" with one account for each
/// platform that can be simulated, under its default name, and "keys" with fresh keys of all of
/// them, of the admin API and of the shop's webhook. The keys are readable by the owner only and
/// good for nothing else.
/// @errors kFault file_exists (nothing is ever replaced), file_not_written, key_generation_failed;
///   kRejected url_malformed, url_scheme_unsupported
[[nodiscard]] Result<void> write_sandbox(const std::filesystem::path& folder,
                                         const SandboxOptions& options, TimePoint now,
                                         Random& random);

/// Where the keys of a sandbox are: what `load_signer` reads.
[[nodiscard]] std::filesystem::path sandbox_keys(const std::filesystem::path& folder);
/// The file that holds the key of the admin API.
[[nodiscard]] std::filesystem::path sandbox_api_key_file(const std::filesystem::path& folder);
/// The file that holds the secret of the shop's webhook, "whsec_...".
[[nodiscard]] std::filesystem::path sandbox_webhook_key_file(const std::filesystem::path& folder);
/// @errors kRejected keys_not_found
[[nodiscard]] Result<Secret> read_sandbox_api_key(const std::filesystem::path& folder);

/// A fresh secret to sign webhooks with: "whsec_" + base64.
[[nodiscard]] Secret new_webhook_secret(Random& random);

}  // namespace postern::simulate
