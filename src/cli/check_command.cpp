#include "cli/check_command.h"

#include <fmt/format.h>

#include <memory>

#include "app/config.h"
#include "base/system.h"

namespace postern::cli {
namespace {

[[nodiscard]] std::string_view name(ledger::OrderMode mode) {
  return mode == ledger::OrderMode::kOpen ? "open" : "registered";
}

void print(std::ostream& out, const app::AccountConfig& account) {
  out << fmt::format(
      "account {}: {}, merchant {}, orders {}{}\n", account.name.text(),
      account.channel->channel_name(), account.merchant.text(), name(account.orders),
      account.sub_merchants == admin::SubMerchants::kListed ? ", several sub-merchants" : "");
  out << fmt::format("  callbacks at /payment/{}/callback\n", account.name.text());
  for (const app::KeySummary& key : account.keys) {
    out << fmt::format("  {}: {}\n", key.setting, key.description);
  }
}

[[nodiscard]] std::string tls_text(const std::optional<app::TlsConfig>& tls) {
  if (!tls) return {};
  return fmt::format(
      ", TLS, certificate valid until {}{}", format_rfc3339(tls->identity.not_after()),
      tls->clients == app::TlsConfig::Clients::kCertified ? ", clients show certificates" : "");
}

[[nodiscard]] ExitCode check(const std::string& file, const Terminal& terminal) {
  const Result<app::Config> config = app::load_config(file);
  if (!config) return fail(terminal, config.error());
  const TimePoint now = SystemClock().now();
  for (const auto* tls : {&config->server.tls, &config->admin.tls}) {
    if (!*tls) continue;
    if (const Result<void> valid = (*tls)->check_valid(now); !valid) {
      return fail(terminal, valid.error());
    }
  }
  std::ostream& out = terminal.out;
  out << fmt::format("{} is valid\n", file);
  for (const http::ListenAddress& address : config->server.listen) {
    out << fmt::format("callbacks: {} port {}{}\n", address.host, address.port,
                       tls_text(config->server.tls));
  }
  out << fmt::format("admin: {} port {}{}\n", config->admin.listen.host, config->admin.listen.port,
                     tls_text(config->admin.tls));
  out << fmt::format("store: {}\n", config->store.description());
  for (const app::AccountConfig& account : config->accounts) print(out, account);
  for (const app::EndpointConfig& endpoint : config->endpoints) {
    out << fmt::format("endpoint {}: events {}{}\n", endpoint.name.text(),
                       fmt::join(endpoint.events, ", "),
                       endpoint.sending == app::EndpointConfig::Sending::kPaused ? ", paused" : "");
  }
  return ExitCode::kOk;
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  const auto file = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("check", "check the configuration and its keys");
  add_config_option(*command, *file);
  command->callback([file, &action] {
    action = [file](const Terminal& terminal) { return check(*file, terminal); };
  });
}

}  // namespace postern::cli
