#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/accounts.h"
#include "admin/endpoints.h"
#include "admin/explanations.h"
#include "app/config_section.h"
#include "app/endpoint_config.h"
#include "app/key_summary.h"
#include "app/store_config.h"
#include "app/tls_config.h"
#include "base/id.h"
#include "base/ip_address.h"
#include "base/log.h"
#include "base/result.h"
#include "base/secret.h"
#include "channel/channel.h"
#include "http/server.h"
#include "ingest/ingest.h"
#include "ledger/policy.h"

namespace postern::app {

struct ServerConfig {
  std::vector<http::ListenAddress> listen;
  std::optional<TlsConfig> tls;
  http::Limits limits;
  http::PeerRule peers;
  ingest::StrangerBudget::Options budget;
};

struct AdminConfig {
  http::ListenAddress listen;
  std::optional<TlsConfig> tls;
  Secret api_key;
};

struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  std::string file;  ///< empty: standard error
};

struct AccountConfig {
  AccountName name;
  MerchantName merchant;
  ledger::OrderMode orders = ledger::OrderMode::kRegistered;
  admin::SubMerchants sub_merchants = admin::SubMerchants::kNone;
  std::shared_ptr<const channel::Channel> channel;
  std::vector<KeySummary> keys;
  std::vector<Network> allow_from;  ///< empty: from anywhere
};

/// The whole configuration, checked: what is in it can be run.
struct Config {
  ServerConfig server;
  AdminConfig admin;
  StoreConfig store;
  LogConfig log;
  std::vector<MerchantName> merchants;  ///< those declared, and "default"
  std::vector<AccountConfig> accounts;  ///< by name, at least one
  std::vector<EndpointConfig> endpoints;
  std::string file;   ///< its name, for messages
  ConfigNotes notes;  ///< what it was read as

  [[nodiscard]] ledger::Policy policy() const;
  [[nodiscard]] admin::Accounts account_infos() const;
  [[nodiscard]] admin::Channels channels() const;
  [[nodiscard]] ingest::Gate gate() const;
  [[nodiscard]] std::vector<admin::EndpointInfo> endpoint_infos() const;
  /// How a message about a whole section begins: "postern.toml:12: [endpoint.shop] ".
  [[nodiscard]] std::string place_of(std::string_view section) const;
  /// nullptr where there is none.
  [[nodiscard]] const AccountConfig* find_account(std::string_view name) const;
};

/// Reads a configuration file (TOML 1.0; docs/configuration.md lists every key). Relative paths in
/// it start from its own folder.
///
/// A file with anything unknown, missing or doubtful is refused whole. The error's detail reads
/// "postern.toml:12: [account.alipay] app_id is missing: write app_id = "..."" and holds no secret.
/// @errors kFault config_unreadable, config_malformed, setting_missing, setting_malformed,
///         setting_unknown
[[nodiscard]] Result<Config> load_config(const std::filesystem::path& path);

/// As `load_config`, for a text that would stand in a file called `path`.
[[nodiscard]] Result<Config> parse_config(std::string_view text, const std::filesystem::path& path);

}  // namespace postern::app
