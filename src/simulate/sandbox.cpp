#include "simulate/sandbox.h"

#include <fmt/format.h>

#include "simulate/invent.h"
#include "simulate/key_folder.h"
#include "simulate/signer.h"

namespace postern::simulate {
namespace {

constexpr std::string_view kKeys = "keys";
constexpr std::string_view kConfig = "postern.toml";
constexpr std::string_view kAdmin = "admin";
constexpr std::string_view kApiKey = "-api.key";
constexpr std::size_t kApiKeyLetters = 40;

[[nodiscard]] std::string general_part(const SandboxOptions& options) {
  std::string text = fmt::format(
      "# A sandbox: its platforms are simulated (see `postern simulate --help`).\n"
      "# The keys beside this file are known to the simulator: never take real money with them.\n"
      "[server]\n"
      "listen = [\"{}\"]\n\n"
      "[admin]\n"
      "listen = \"{}\"\n"
      "api_key = \"file:{}/{}{}\"\n\n"
      "[store]\n"
      "url = \"sqlite:postern.db\"\n",
      options.callback_listen, options.admin_listen, kKeys, kAdmin, kApiKey);
  if (!options.log_file.empty()) {
    text += fmt::format("\n[log]\nfile = \"{}\"\n", options.log_file);
  }
  return text;
}

}  // namespace

std::filesystem::path sandbox_keys(const std::filesystem::path& folder) {
  return folder / kKeys;
}

std::filesystem::path sandbox_api_key_file(const std::filesystem::path& folder) {
  return sandbox_keys(folder) / fmt::format("{}{}", kAdmin, kApiKey);
}

Result<Secret> read_sandbox_api_key(const std::filesystem::path& folder) {
  return KeyFolder(sandbox_keys(folder), kAdmin).read(kApiKey);
}

Result<void> write_sandbox(const std::filesystem::path& folder, const SandboxOptions& options,
                           TimePoint now, Random& random) {
  const KeyFolder admin(sandbox_keys(folder), kAdmin);
  POSTERN_RETURN_IF_ERROR(admin.create());
  POSTERN_RETURN_IF_ERROR(admin.write(kApiKey, random_letters(random, kApiKeyLetters)));
  std::string config = general_part(options);
  for (const Platform platform : all_platforms()) {
    POSTERN_ASSIGN_OR_RETURN(
        const std::unique_ptr<Signer> signer,
        generate_signer(platform, std::string(default_account(platform)), now, random));
    POSTERN_RETURN_IF_ERROR(signer->save(sandbox_keys(folder)));
    POSTERN_ASSIGN_OR_RETURN(const std::string settings, signer->settings(kKeys));
    config += "\n" + settings;
  }
  return write_private_file(folder / kConfig, config);
}

}  // namespace postern::simulate
