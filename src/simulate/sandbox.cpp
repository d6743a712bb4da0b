#include "simulate/sandbox.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>

#include "crypto/encoding.h"
#include "http/client.h"
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
constexpr std::string_view kShop = "shop";
constexpr std::string_view kWebhookKey = "-webhook.key";
constexpr std::size_t kWebhookKeyBytes = 32;

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

/// Keeps the secret of the shop's webhook and returns the section that names it.
[[nodiscard]] Result<std::string> webhook_part(const std::filesystem::path& folder,
                                               const SandboxWebhook& webhook) {
  // A URL that parses holds neither quotes nor backslashes, so it may stand between quotes.
  POSTERN_RETURN_IF_ERROR(http::Url::parse(webhook.url));
  POSTERN_RETURN_IF_ERROR(
      KeyFolder(sandbox_keys(folder), kShop).write(kWebhookKey, webhook.secret.reveal()));
  return fmt::format(
      "\n# The shop is told here what became of its orders; it is on this machine, without TLS.\n"
      "[endpoint.{0}]\n"
      "kind = \"webhook\"\n"
      "url = \"{1}\"\n"
      "secret = \"file:{2}/{0}{3}\"\n"
      "insecure_http = true\n"
      "allow_networks = [\"127.0.0.0/8\"]\n",
      kShop, webhook.url, kKeys, kWebhookKey);
}

}  // namespace

std::filesystem::path sandbox_keys(const std::filesystem::path& folder) {
  return folder / kKeys;
}

std::filesystem::path sandbox_api_key_file(const std::filesystem::path& folder) {
  return sandbox_keys(folder) / fmt::format("{}{}", kAdmin, kApiKey);
}

std::filesystem::path sandbox_webhook_key_file(const std::filesystem::path& folder) {
  return sandbox_keys(folder) / fmt::format("{}{}", kShop, kWebhookKey);
}

Result<Secret> read_sandbox_api_key(const std::filesystem::path& folder) {
  return KeyFolder(sandbox_keys(folder), kAdmin).read(kApiKey);
}

Secret new_webhook_secret(Random& random) {
  std::array<std::byte, kWebhookKeyBytes> bytes{};
  random.fill(bytes);
  return Secret("whsec_" +
                crypto::base64_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

Result<void> write_sandbox(const std::filesystem::path& folder, const SandboxOptions& options,
                           TimePoint now, Random& random) {
  const KeyFolder admin(sandbox_keys(folder), kAdmin);
  POSTERN_RETURN_IF_ERROR(admin.create());
  POSTERN_RETURN_IF_ERROR(admin.write(kApiKey, random_letters(random, kApiKeyLetters)));
  std::string config = general_part(options);
  if (options.webhook) {
    POSTERN_ASSIGN_OR_RETURN(const std::string part, webhook_part(folder, *options.webhook));
    config += part;
  }
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
