// The configuration file (TOML 1.0, read by toml++):
//
//   [server] listen, header_bytes_max, body_bytes_max, connections_max, connections_per_peer_max,
//            requests_in_flight_max, bytes_held_max, trusted_proxies, peer_from,
//            failed_per_peer_per_s, failed_per_peer_burst, failed_per_s, failed_burst,
//            header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms
//   [admin] listen, api_key
//   [server.tls], [admin.tls] see tls_config.cpp
//   [store] url, batch_max, min_free; password, accept_synchronous_commit, keep_evidence_days
//   [log] level, file
//   [merchant.NAME]
//   [account.NAME] channel, merchant, orders, allow_from, and what the channel asks for
//   [endpoint.NAME] see endpoint_config.cpp
#include "app/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>

#include "app/channels.h"
#include "app/config_section.h"
#include "app/peer_config.h"
#include "app/section_settings.h"
#include "base/json_log.h"

namespace postern::app {
namespace {

constexpr std::string_view kCallbackListen = "127.0.0.1:8000";
constexpr std::string_view kAdminListen = "127.0.0.1:8080";
constexpr std::size_t kApiKeyBytesMin = 16;
constexpr std::size_t kConnectionsPerPeerMax = 1024;
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kConfigBytesMax = 4 * 1024 * 1024;

[[nodiscard]] std::unexpected<Error> wrong(const Section& section, std::string_view key,
                                           std::string_view what_to_do) {
  return std::unexpected(section.wrong(key, what_to_do));
}

/// Names are segments of URLs and labels of metrics.
[[nodiscard]] bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax && std::ranges::all_of(text, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

[[nodiscard]] Result<http::ListenAddress> parse_listen(const Section& section,
                                                       std::string_view text) {
  Result<http::ListenAddress> address = http::parse_listen_address(text);
  if (!address) {
    return wrong(section, "listen",
                 R"(write a numeric address and a port, such as "127.0.0.1:8000" or "[::1]:8000")");
  }
  return address;
}

[[nodiscard]] Result<void> read_size(Section& section, std::string_view key, std::int64_t min,
                                     std::int64_t max, std::size_t& target) {
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::int64_t> value,
                           section.optional_integer(key, min, max));
  if (value) target = static_cast<std::size_t>(*value);
  return {};
}

[[nodiscard]] Result<void> read_timeout(Section& section, std::string_view key,
                                        std::chrono::milliseconds& target) {
  constexpr std::int64_t kMin = 100;
  constexpr std::int64_t kMax = 600'000;
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::int64_t> value,
                           section.optional_integer(key, kMin, kMax));
  if (value) target = std::chrono::milliseconds(*value);
  return {};
}

[[nodiscard]] Result<ServerConfig> read_server(Section section,
                                               const std::filesystem::path& folder) {
  constexpr std::int64_t kMiB = 1024 * 1024;
  ServerConfig server;
  POSTERN_ASSIGN_OR_RETURN(std::vector<std::string> listen, section.texts("listen"));
  if (listen.empty()) listen.emplace_back(kCallbackListen);
  for (const std::string& text : listen) {
    POSTERN_ASSIGN_OR_RETURN(http::ListenAddress address, parse_listen(section, text));
    server.listen.push_back(std::move(address));
  }
  http::Limits& limits = server.limits;
  POSTERN_RETURN_IF_ERROR(
      read_size(section, "header_bytes_max", 1024, kMiB, limits.header_bytes_max));
  POSTERN_RETURN_IF_ERROR(
      read_size(section, "body_bytes_max", 1024, 16 * kMiB, limits.body_bytes_max));
  POSTERN_RETURN_IF_ERROR(
      read_size(section, "connections_max", 1, 1'000'000, limits.connections_max));
  POSTERN_RETURN_IF_ERROR(
      read_size(section, "requests_in_flight_max", 1, 1'000'000, limits.requests_in_flight_max));
  POSTERN_ASSIGN_OR_RETURN(server.peers, read_peer_rule(section));
  POSTERN_ASSIGN_OR_RETURN(server.budget, read_budget(section));
  limits.connections_per_peer_max = kConnectionsPerPeerMax;
  POSTERN_RETURN_IF_ERROR(read_size(section, "connections_per_peer_max", 0, 1'000'000,
                                    limits.connections_per_peer_max));
  POSTERN_RETURN_IF_ERROR(
      read_size(section, "bytes_held_max", kMiB, 1024 * 1024 * kMiB, limits.bytes_held_max));
  POSTERN_RETURN_IF_ERROR(read_timeout(section, "header_timeout_ms", limits.header_timeout));
  POSTERN_RETURN_IF_ERROR(read_timeout(section, "body_timeout_ms", limits.body_timeout));
  POSTERN_RETURN_IF_ERROR(read_timeout(section, "idle_timeout_ms", limits.idle_timeout));
  POSTERN_RETURN_IF_ERROR(read_timeout(section, "write_timeout_ms", limits.write_timeout));
  POSTERN_ASSIGN_OR_RETURN(server.tls, read_tls(section, ClientCa::kUnknown, folder));
  POSTERN_RETURN_IF_ERROR(section.finish());
  POSTERN_RETURN_IF_ERROR(require_tls_or_proxy(
      section, server.listen, server.tls,
      server.peers.trusted_proxies.empty() ? ProxyBefore::kNone : ProxyBefore::kTrusted));
  return server;
}

[[nodiscard]] Result<AdminConfig> read_admin(Section section, const std::filesystem::path& folder) {
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> listen,
                           section.optional_text("listen"));
  POSTERN_ASSIGN_OR_RETURN(http::ListenAddress address,
                           parse_listen(section, listen.value_or(std::string(kAdminListen))));
  POSTERN_ASSIGN_OR_RETURN(Secret key, section.secret("api_key"));
  const bool fit = std::ranges::all_of(key.reveal(), [](char c) { return c > ' ' && c < '\x7F'; });
  if (!fit || key.size() < kApiKeyBytesMin) {
    return wrong(section, "api_key",
                 "the key has at least 16 printable ASCII characters and no blanks; make one with: "
                 "openssl rand -hex 32");
  }
  POSTERN_ASSIGN_OR_RETURN(std::optional<TlsConfig> tls,
                           read_tls(section, ClientCa::kAllowed, folder));
  POSTERN_RETURN_IF_ERROR(section.finish());
  POSTERN_RETURN_IF_ERROR(
      require_tls_or_proxy(section, std::span(&address, 1), tls, ProxyBefore::kNone));
  return AdminConfig{
      .listen = std::move(address), .tls = std::move(tls), .api_key = std::move(key)};
}

[[nodiscard]] Result<LogConfig> read_log(Section section, const std::filesystem::path& folder) {
  LogConfig log;
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> level, section.optional_text("level"));
  if (level) {
    const Result<LogLevel> parsed = parse_log_level(*level);
    if (!parsed) return wrong(section, "level", parsed.error().detail);
    log.level = *parsed;
  }
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> file, section.optional_text("file"));
  if (file) log.file = (folder / *file).string();
  POSTERN_RETURN_IF_ERROR(section.finish());
  return log;
}

[[nodiscard]] Result<MerchantName> read_merchant_of(Section& section,
                                                    const std::vector<MerchantName>& merchants) {
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> given,
                           section.optional_text("merchant"));
  MerchantName name = MerchantName::trusted(given.value_or(std::string(admin::kDefaultMerchant)));
  if (std::ranges::find(merchants, name) == merchants.end()) {
    return wrong(section, "merchant", "write [merchant.NAME] for it, or leave the key out");
  }
  return name;
}

[[nodiscard]] Result<ledger::OrderMode> read_order_mode(Section& section) {
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> text, section.optional_text("orders"));
  if (!text || *text == "registered") return ledger::OrderMode::kRegistered;
  if (*text == "open") return ledger::OrderMode::kOpen;
  return wrong(section, "orders",
               R"(write "registered", or "open" to take orders nobody announced)");
}

[[nodiscard]] Result<const ChannelEntry*> read_channel(Section& section) {
  std::vector<std::string_view> names;
  for (const ChannelEntry& entry : channels()) names.push_back(entry.name);
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> name, section.optional_text("channel"));
  const ChannelEntry* entry = name ? find_channel(*name) : nullptr;
  if (entry == nullptr) {
    return wrong(section, "channel",
                 fmt::format("write channel = \"...\" with one of {}", fmt::join(names, ", ")));
  }
  return entry;
}

[[nodiscard]] Result<AccountConfig> read_account(Section section, const std::string& name,
                                                 const std::vector<MerchantName>& merchants,
                                                 const http::PeerRule& peers) {
  POSTERN_ASSIGN_OR_RETURN(const ChannelEntry* entry, read_channel(section));
  POSTERN_ASSIGN_OR_RETURN(MerchantName merchant, read_merchant_of(section, merchants));
  POSTERN_ASSIGN_OR_RETURN(const ledger::OrderMode orders, read_order_mode(section));
  POSTERN_ASSIGN_OR_RETURN(std::vector<Network> allow_from, read_allow_from(section, peers));
  SectionSettings settings(section, name);
  POSTERN_ASSIGN_OR_RETURN(std::unique_ptr<channel::Channel> made, entry->make(settings));
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> sub_merchants,
                           section.texts(entry->sub_merchants_key));
  POSTERN_RETURN_IF_ERROR(section.finish());
  return AccountConfig{.name = AccountName::trusted(name),
                       .merchant = std::move(merchant),
                       .orders = orders,
                       .sub_merchants = sub_merchants.empty() ? admin::SubMerchants::kNone
                                                              : admin::SubMerchants::kListed,
                       .channel = std::move(made),
                       .keys = settings.take_keys(),
                       .allow_from = std::move(allow_from)};
}

/// Takes the tables of a file apart.
class FileReader {
 public:
  FileReader(const ConfigFile& file, const toml::table& root) : file_(file), root_(root) {}

  [[nodiscard]] Result<Config> read() {
    POSTERN_RETURN_IF_ERROR(check_sections());
    Config config;
    POSTERN_ASSIGN_OR_RETURN(config.server, read_server(section("server"), file_.folder));
    POSTERN_ASSIGN_OR_RETURN(config.admin, read_admin(section("admin"), file_.folder));
    POSTERN_ASSIGN_OR_RETURN(config.store, read_store(section("store"), file_.folder));
    POSTERN_ASSIGN_OR_RETURN(config.log, read_log(section("log"), file_.folder));
    config.merchants.push_back(MerchantName::trusted(std::string(admin::kDefaultMerchant)));
    POSTERN_RETURN_IF_ERROR(for_each("merchant", [&](Section one, const std::string& name) {
      config.merchants.push_back(MerchantName::trusted(name));
      return one.finish();
    }));
    POSTERN_RETURN_IF_ERROR(
        for_each("account", [&](Section one, const std::string& name) -> Result<void> {
          POSTERN_ASSIGN_OR_RETURN(
              AccountConfig account,
              read_account(std::move(one), name, config.merchants, config.server.peers));
          config.accounts.push_back(std::move(account));
          return {};
        }));
    if (config.accounts.empty()) {
      return fault("setting_missing",
                   at(file_, 0, R"(no account: write [account.alipay] with channel = "alipay")"));
    }
    std::vector<AccountName> names;
    for (const AccountConfig& account : config.accounts) names.push_back(account.name);
    POSTERN_RETURN_IF_ERROR(
        for_each("endpoint", [&](Section one, const std::string& name) -> Result<void> {
          POSTERN_ASSIGN_OR_RETURN(EndpointConfig endpoint,
                                   read_endpoint(std::move(one), name, names, file_.folder));
          config.endpoints.push_back(std::move(endpoint));
          return {};
        }));
    return config;
  }

 private:
  [[nodiscard]] Result<void> check_sections() const {
    constexpr std::array<std::string_view, 7> kSections = {"account",  "admin",  "endpoint", "log",
                                                           "merchant", "server", "store"};
    for (const auto& [key, value] : root_) {
      const toml::source_index line = key.source().begin.line;
      if (std::ranges::find(kSections, key.str()) == kSections.end()) {
        return fault("setting_unknown",
                     at(file_, line,
                        fmt::format("there is no section {}; the sections are {}", key.str(),
                                    fmt::join(kSections, ", "))));
      }
      if (!value.is_table()) {
        return fault("setting_malformed",
                     at(file_, line, fmt::format("write [{}] on a line of its own", key.str())));
      }
    }
    return {};
  }

  [[nodiscard]] Section section(std::string_view name) const {
    const toml::node* node = root_.get(name);
    return {file_, std::string(name), node == nullptr ? nullptr : node->as_table()};
  }

  /// Calls `use` for every table below `name`, such as [account.alipay] below account.
  template <class Use>
  [[nodiscard]] Result<void> for_each(std::string_view name, Use use) const {
    const toml::node* node = root_.get(name);
    if (node == nullptr) return {};
    for (const auto& [key, value] : *node->as_table()) {
      const toml::source_index line = key.source().begin.line;
      if (!value.is_table()) {
        return fault("setting_malformed", at(file_, line,
                                             fmt::format("write [{}.{}] on a line of its own", name,
                                                         is_name(key.str()) ? key.str() : "NAME")));
      }
      if (!is_name(key.str())) {
        return fault("setting_malformed",
                     at(file_, line,
                        fmt::format("[{}.NAME]: a name is 1 to {} letters, digits, "
                                    "dots, hyphens and underscores",
                                    name, kNameBytesMax)));
      }
      const std::string own(key.str());
      POSTERN_RETURN_IF_ERROR(
          use(Section(file_, fmt::format("{}.{}", name, own), value.as_table()), own));
    }
    return {};
  }

  const ConfigFile& file_;
  const toml::table& root_;
};

}  // namespace

ledger::Policy Config::policy() const {
  ledger::Policy policy;
  for (const AccountConfig& account : accounts) {
    policy.accounts.emplace(
        account.name.text(),
        ledger::AccountPolicy{.merchant = account.merchant,
                              .channel = std::string(account.channel->channel_name()),
                              .orders = account.orders});
  }
  for (const EndpointConfig& endpoint : endpoints) {
    policy.endpoints.push_back(
        {.name = endpoint.name, .events = endpoint.events, .accounts = endpoint.accounts});
  }
  return policy;
}

admin::Accounts Config::account_infos() const {
  admin::Accounts infos;
  for (const AccountConfig& account : accounts) {
    infos.emplace(account.name.text(), admin::AccountInfo{.merchant = account.merchant,
                                                          .sub_merchants = account.sub_merchants});
  }
  return infos;
}

admin::Channels Config::channels() const {
  admin::Channels channels;
  for (const AccountConfig& account : accounts) {
    channels.emplace(account.name.text(), account.channel);
  }
  return channels;
}

ingest::Gate Config::gate() const {
  ingest::Gate gate{.allow_from = {}, .budget = server.budget};
  for (const AccountConfig& account : accounts) {
    if (!account.allow_from.empty()) {
      gate.allow_from.emplace(account.name.text(), account.allow_from);
    }
  }
  return gate;
}

std::vector<admin::EndpointInfo> Config::endpoint_infos() const {
  using Sending = admin::EndpointInfo::Sending;
  std::vector<admin::EndpointInfo> infos;
  for (const EndpointConfig& endpoint : endpoints) {
    const bool is_paused = endpoint.sending == EndpointConfig::Sending::kPaused;
    infos.push_back({.name = endpoint.name,
                     .kind = std::string(kind_of(endpoint)),
                     .events = endpoint.events,
                     .accounts = endpoint.accounts,
                     .sending = is_paused ? Sending::kPaused : Sending::kOn});
  }
  return infos;
}

std::string Config::place_of(std::string_view section) const {
  const auto found = notes.find(section);
  const ConfigFile named{.name = file, .folder = {}};
  return at(named, found == notes.end() ? 0 : found->second.line, fmt::format("[{}] ", section));
}

const AccountConfig* Config::find_account(std::string_view name) const {
  const auto found = std::ranges::find_if(
      accounts, [&](const AccountConfig& account) { return account.name.text() == name; });
  return found == accounts.end() ? nullptr : &*found;
}

Result<Config> parse_config(std::string_view text, const std::filesystem::path& path) {
  ConfigNotes notes;
  const ConfigFile file{
      .name = path.filename().string(), .folder = path.parent_path(), .notes = &notes};
  try {
    const toml::table root = toml::parse(text, path.string());
    POSTERN_ASSIGN_OR_RETURN(Config config, FileReader(file, root).read());
    config.file = file.name;
    config.notes = std::move(notes);
    return config;
  } catch (const toml::parse_error& error) {
    // The description names what was expected, and at most one character of what was found.
    return fault("config_malformed", at(file, error.source().begin.line,
                                        fmt::format("this is not TOML: {}", error.description())));
  }
}

Result<Config> load_config(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return fault("config_unreadable",
                 fmt::format("cannot read {}: give the file with --config", path.string()));
  }
  std::string text(kConfigBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad() || text.size() > kConfigBytesMax) {
    return fault("config_unreadable",
                 fmt::format("cannot read {}: it is no file, or above 4 MiB", path.string()));
  }
  return parse_config(text, path);
}

}  // namespace postern::app
