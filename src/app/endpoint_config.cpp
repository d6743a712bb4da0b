// [endpoint.NAME]
//   every kind: kind, events, accounts, concurrency, paused
//   webhook: url, secret or secrets, ca_file, allow_networks, insecure_http
//   amqp:    url, secret (the password), exchange, routing_key, ca_file
//   kafka:   url ("kafka://host:port,host:port/topic"), properties, secret_properties
#include "app/endpoint_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include "app/tls_config.h"
#include "core/event.h"
#include "delivery/address_guard.h"
#include "delivery/amqp_address.h"
#include "ledger/policy.h"

namespace postern::app {
namespace {

constexpr std::int64_t kConcurrencyMax = 64;

[[nodiscard]] std::unexpected<Error> wrong(const Section& section, std::string_view key,
                                           std::string_view what_to_do) {
  return std::unexpected(section.wrong(key, what_to_do));
}

[[nodiscard]] bool names_an_event(std::string_view pattern) {
  return std::ranges::any_of(core::kEventTypes, [&](core::EventType type) {
    const ledger::EndpointPolicy policy{
        .name = EndpointName::trusted("any"), .events = {std::string(pattern)}, .accounts = {}};
    return ledger::wants(policy, type, AccountName::trusted("any"));
  });
}

[[nodiscard]] Result<std::vector<std::string>> read_events(Section& section) {
  POSTERN_ASSIGN_OR_RETURN(std::vector<std::string> events, section.texts("events"));
  if (events.empty()) events.emplace_back("*");
  if (!std::ranges::all_of(events, names_an_event)) {
    std::vector<std::string_view> names;
    names.reserve(core::kEventTypes.size());
    for (const core::EventType type : core::kEventTypes) names.push_back(core::name(type));
    return wrong(section, "events",
                 fmt::format("write names of events, or a beginning and a star such as "
                             "\"order.*\"; the events are {}",
                             fmt::join(names, ", ")));
  }
  return events;
}

[[nodiscard]] Result<std::vector<AccountName>> read_accounts(
    Section& section, const std::vector<AccountName>& known) {
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> names, section.texts("accounts"));
  std::vector<AccountName> accounts;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(known, name, &AccountName::text);
    if (found == known.end()) {
      return wrong(section, "accounts", "write names of accounts that this file has");
    }
    accounts.push_back(*found);
  }
  return accounts;
}

/// The URL, which must begin with one of `schemes`.
[[nodiscard]] Result<std::string> read_url(Section& section,
                                           std::initializer_list<std::string_view> schemes) {
  POSTERN_ASSIGN_OR_RETURN(std::string url, section.text("url"));
  if (std::ranges::none_of(schemes, [&](auto scheme) { return url.starts_with(scheme); })) {
    return wrong(section, "url",
                 fmt::format("write a URL that begins with {}", fmt::join(schemes, " or ")));
  }
  return url;
}

[[nodiscard]] Result<std::string> read_ca_file(Section& section,
                                               const std::filesystem::path& folder) {
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> file, section.optional_text("ca_file"));
  if (!file) return std::string();
  const Result<std::string> content = read_public_file(folder / *file);
  if (!content) return wrong(section, "ca_file", content.error().detail);
  section.note_content("ca_file", *content);
  return (folder / *file).string();
}

[[nodiscard]] Result<delivery::WebhookOptions> read_webhook(Section& section,
                                                            const std::filesystem::path& folder) {
  delivery::WebhookOptions options;
  POSTERN_ASSIGN_OR_RETURN(options.url, read_url(section, {"https://", "http://"}));
  POSTERN_ASSIGN_OR_RETURN(const bool insecure, section.flag("insecure_http"));
  if (insecure) options.insecure_http = delivery::InsecureHttp::kAllowed;
  if (!insecure && options.url.starts_with("http://")) {
    return wrong(section, "url",
                 "write a URL that begins with https://, or insecure_http = true beside it, which "
                 "shows every event to everyone on the way");
  }
  POSTERN_ASSIGN_OR_RETURN(options.secrets, section.secrets("secrets"));
  if (options.secrets.empty()) {
    POSTERN_ASSIGN_OR_RETURN(Secret secret, section.secret("secret"));
    options.secrets.push_back(std::move(secret));
  }
  const auto signer = delivery::WebhookSigner::parse(options.secrets);
  if (!signer) return wrong(section, "secret", signer.error().detail);
  POSTERN_ASSIGN_OR_RETURN(options.ca_file, read_ca_file(section, folder));
  POSTERN_ASSIGN_OR_RETURN(options.allow_networks, section.texts("allow_networks"));
  const auto guard = delivery::AddressGuard::make(options.allow_networks);
  if (!guard) return wrong(section, "allow_networks", guard.error().detail);
  const auto usable = delivery::check_webhook_url(options);
  if (!usable) return wrong(section, "url", usable.error().detail);
  return options;
}

[[nodiscard]] Result<delivery::AmqpSinkOptions> read_amqp(Section& section,
                                                          const std::filesystem::path& folder) {
  delivery::AmqpSinkOptions options;
  POSTERN_ASSIGN_OR_RETURN(std::string url, read_url(section, {"amqps://", "amqp://"}));
  options.url = Secret(std::move(url));
  POSTERN_ASSIGN_OR_RETURN(std::optional<Secret> password,
                           section.optional_secret("secret", SourceKind::kPassword));
  options.password = std::move(password).value_or(Secret());
  const auto address = delivery::parse_amqp_address(options.url, options.password);
  if (!address) return wrong(section, "url", address.error().detail);
  POSTERN_ASSIGN_OR_RETURN(std::string ca_file, read_ca_file(section, folder));
  if (!ca_file.empty()) options.ca_file = std::move(ca_file);
  POSTERN_ASSIGN_OR_RETURN(std::optional<std::string> exchange, section.optional_text("exchange"));
  options.exchange = std::move(exchange).value_or("");
  POSTERN_ASSIGN_OR_RETURN(std::optional<std::string> key, section.optional_text("routing_key"));
  options.routing_key = std::move(key).value_or("");
  return options;
}

/// "name=value", taken apart at the first '='.
[[nodiscard]] std::optional<std::pair<std::string, std::string>> pair_of(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) return std::nullopt;
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

[[nodiscard]] Result<delivery::KafkaSinkOptions> read_kafka(Section& section) {
  delivery::KafkaSinkOptions options;
  constexpr std::string_view kScheme = "kafka://";
  POSTERN_ASSIGN_OR_RETURN(const std::string url, read_url(section, {kScheme}));
  const std::size_t slash = url.rfind('/');
  if (slash < kScheme.size() || slash + 1 == url.size()) {
    return wrong(section, "url", R"(write "kafka://host:port,host:port/topic")");
  }
  options.brokers = url.substr(kScheme.size(), slash - kScheme.size());
  options.topic = url.substr(slash + 1);
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> properties, section.texts("properties"));
  for (const std::string& property : properties) {
    const auto pair = pair_of(property);
    if (!pair) return wrong(section, "properties", R"(write them as "name=value")");
    options.properties.insert(*pair);
  }
  POSTERN_ASSIGN_OR_RETURN(auto secrets, section.named_secrets("secret_properties"));
  for (auto& [name, secret] : secrets) options.secret_properties.emplace(name, std::move(secret));
  return options;
}

[[nodiscard]] Result<EndpointConfig::Way> read_way(Section& section,
                                                   const std::filesystem::path& folder) {
  POSTERN_ASSIGN_OR_RETURN(const std::string kind, section.text("kind"));
  if (kind == "webhook") return read_webhook(section, folder);
  if (kind == "amqp") return read_amqp(section, folder);
  if (kind == "kafka") return read_kafka(section);
  return wrong(section, "kind", "write \"webhook\", \"amqp\" or \"kafka\"");
}

}  // namespace

std::string_view kind_of(const EndpointConfig& endpoint) {
  struct Kind {
    std::string_view operator()(const delivery::WebhookOptions&) const { return "webhook"; }
    std::string_view operator()(const delivery::AmqpSinkOptions&) const { return "amqp"; }
    std::string_view operator()(const delivery::KafkaSinkOptions&) const { return "kafka"; }
  };
  return std::visit(Kind(), endpoint.way);
}

Result<EndpointConfig> read_endpoint(Section section, const std::string& name,
                                     const std::vector<AccountName>& accounts,
                                     const std::filesystem::path& folder) {
  POSTERN_ASSIGN_OR_RETURN(EndpointConfig::Way way, read_way(section, folder));
  EndpointConfig endpoint{
      .name = EndpointName::trusted(name), .way = std::move(way), .events = {}, .accounts = {}};
  POSTERN_ASSIGN_OR_RETURN(endpoint.events, read_events(section));
  POSTERN_ASSIGN_OR_RETURN(endpoint.accounts, read_accounts(section, accounts));
  POSTERN_ASSIGN_OR_RETURN(const auto concurrency,
                           section.optional_integer("concurrency", 1, kConcurrencyMax));
  if (concurrency) endpoint.concurrency = static_cast<std::size_t>(*concurrency);
  POSTERN_ASSIGN_OR_RETURN(const bool paused, section.flag("paused"));
  if (paused) endpoint.sending = EndpointConfig::Sending::kPaused;
  POSTERN_RETURN_IF_ERROR(section.finish());
  return endpoint;
}

Result<std::unique_ptr<delivery::Sink>> make_sink(const EndpointConfig& endpoint, SinkWorld world) {
  using MadeSink = Result<std::unique_ptr<delivery::Sink>>;
  return std::visit(
      [&](const auto& way) -> MadeSink {
        using Options = std::remove_cvref_t<decltype(way)>;
        Options options = way;
        if constexpr (std::is_same_v<Options, delivery::WebhookOptions>) {
          options.connections_max = endpoint.concurrency;
          return delivery::WebhookSink::open(std::move(options), world.client_thread, world.clock);
        } else if constexpr (std::is_same_v<Options, delivery::AmqpSinkOptions>) {
          options.endpoint = endpoint.name.text();
          return delivery::make_amqp_sink(std::move(options), world.clock, world.random, world.log);
        } else {
          options.endpoint = endpoint.name.text();
          return delivery::make_kafka_sink(std::move(options), world.clock, world.random,
                                           world.log);
        }
      },
      endpoint.way);
}

}  // namespace postern::app
