#include "cli/admin_access.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <filesystem>
#include <future>
#include <optional>
#include <system_error>

#include "app/admin_api.h"
#include "app/secret_source.h"
#include "base/system.h"
#include "base/thread_timers.h"
#include "channel/json.h"
#include "http/client.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kTimeout{10'000};

/// A request for `target` with the key.
[[nodiscard]] HttpRequest request_for(const std::string& method, const std::string& target,
                                      const std::string& body, const Secret& key) {
  HttpRequest request{.method = method, .target = target};
  request.headers.add("Authorization", fmt::format("Bearer {}", key.reveal()));
  if (!body.empty()) request.headers.add("Content-Type", "application/json");
  request.body = body;
  return request;
}

/// An address to connect to: "any address" stands for this machine.
[[nodiscard]] std::string host_to_ask(const std::string& host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  if (host == "::") return "::1";
  return host;
}

class RemoteAccess final : public AdminAccess {
 public:
  RemoteAccess(const app::AdminConfig& admin, std::optional<http::ClientTls> tls)
      : key_(admin.api_key),
        client_(host_to_ask(admin.listen.host), admin.listen.port, kTimeout, std::move(tls)) {}

  [[nodiscard]] Result<HttpResponse> send(const std::string& method, const std::string& target,
                                          const std::string& body) override {
    return client_.send(request_for(method, target, body, key_));
  }

 private:
  const Secret key_;
  http::BlockingClient client_;
};

/// How the daemon's TLS is spoken to; nothing where it speaks plain text.
[[nodiscard]] Result<std::optional<http::ClientTls>> client_tls(
    const std::optional<app::TlsConfig>& tls, const ClientCertificate& own) {
  if (!tls) return std::nullopt;
  http::ClientTls client{
      .server_certificates = tls->certificates, .own_certificates = {}, .own_private_key = {}};
  const bool is_given = !own.certificate_file.empty() && !own.key_file.empty();
  if (!is_given) {
    if (tls->clients == app::TlsConfig::Clients::kAnyone) return client;
    return fault("client_certificate_missing",
                 "[admin.tls] client_ca asks for a client's certificate: give --client-cert FILE "
                 "and --client-key FILE, or POSTERN_CERT and POSTERN_KEY in the environment");
  }
  POSTERN_ASSIGN_OR_RETURN(client.own_certificates, app::read_public_file(own.certificate_file));
  std::error_code unknown;
  POSTERN_ASSIGN_OR_RETURN(
      client.own_private_key,
      app::read_secret("file:" + own.key_file, std::filesystem::current_path(unknown),
                       app::SourceKind::kKey));
  return client;
}

class StoreAccess final : public AdminAccess {
 public:
  [[nodiscard]] static Result<std::unique_ptr<AdminAccess>> open(const app::Config& config) {
    auto access = std::make_unique<StoreAccess>(config.admin.api_key);
    POSTERN_RETURN_IF_ERROR(access->open_store(config));
    return access;
  }
  explicit StoreAccess(Secret key) : key_(std::move(key)) {}

  [[nodiscard]] Result<HttpResponse> send(const std::string& method, const std::string& target,
                                          const std::string& body) override {
    std::promise<HttpResponse> answer;
    api_->handler().handle(
        request_for(method, target, body, key_),
        [&answer](HttpResponse response) { answer.set_value(std::move(response)); });
    return answer.get_future().get();
  }

 private:
  [[nodiscard]] Result<void> open_store(const app::Config& config) {
    POSTERN_ASSIGN_OR_RETURN(store_, app::open_store(config.store, clock_, random_, log_, metrics_,
                                                     [](const Error& /*told by get*/) {}));
    ledger_ = std::make_unique<ledger::Ledger>(
        *store_, clock_, std::make_shared<const ledger::Policy>(config.policy()));
    api_ = std::make_unique<app::AdminApi>(
        app::AdminApi::Parts{.store = *store_,
                             .ledger = *ledger_,
                             .clock = clock_,
                             .timers = timers_,
                             .wake = [] {},
                             .rejected = rejected_,
                             .accounts = config.account_infos(),
                             .channels = config.channels(),
                             .endpoints = config.endpoint_infos(),
                             .standings = [] { return admin::Standings(); },
                             .key = key_,
                             .metrics = metrics_,
                             .readiness = [] { return admin::Readiness::kStopping; },
                             .exposition = [] { return std::string(); }});
    return {};
  }

  const Secret key_;
  SystemClock clock_;
  SystemRandom random_;
  NullLog log_;
  NullMetrics metrics_;
  ingest::RejectedRing rejected_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<app::AdminApi> api_;
  ThreadTimers timers_{clock_};  // last: they go before the API does
};

[[nodiscard]] std::string encode(std::string_view text) {
  return boost::urls::encode(text, boost::urls::unreserved_chars);
}

/// What an answer that is not 200 says, as an error.
[[nodiscard]] std::unexpected<Error> refused(const HttpResponse& response,
                                             const json::object& body) {
  const json::object* error = channel::json_object(body, "error");
  std::string message(error == nullptr ? std::string_view("no reason given")
                                       : channel::json_text(*error, "message"));
  switch (response.code) {
    case 401:
      return rejected("unauthorized",
                      "the daemon does not take the api_key of this configuration: does it run "
                      "with another one?");
    case 404:
      return rejected("not_found", std::move(message));
    case 503:
      return retryable("store_unreadable", std::move(message));
    default:
      return rejected("request_refused", std::move(message));
  }
}

}  // namespace

Result<std::unique_ptr<AdminAccess>> AdminAccess::open_daemon(
    const app::Config& config, const ClientCertificate& certificate) {
  if (config.admin.listen.port != 0) {
    POSTERN_ASSIGN_OR_RETURN(std::optional<http::ClientTls> tls,
                             client_tls(config.admin.tls, certificate));
    auto remote = std::make_unique<RemoteAccess>(config.admin, std::move(tls));
    const Result<HttpResponse> alive = remote->send("GET", "/healthz", {});
    if (!alive && alive.error().code == "tls_failed") {
      return rejected("tls_failed",
                      fmt::format("{}; what answers there is not known by [admin.tls] certificate: "
                                  "where that is what has changed, send the daemon SIGHUP",
                                  alive.error().detail));
    }
    if (alive || alive.error().code != "connect_failed") return remote;
  }
  return rejected("daemon_not_running",
                  fmt::format("no daemon answers at {} port {}", config.admin.listen.host,
                              config.admin.listen.port));
}

Result<std::unique_ptr<AdminAccess>> AdminAccess::open(const app::Config& config,
                                                       const ClientCertificate& certificate) {
  Result<std::unique_ptr<AdminAccess>> daemon = open_daemon(config, certificate);
  if (daemon || daemon.error().code != "daemon_not_running") return daemon;
  if (config.store.kind == app::StoreConfig::Kind::kSqlite &&
      !std::filesystem::exists(config.store.file)) {
    return fault("store_not_found", fmt::format("{}, and there is no store at {}",
                                                daemon.error().detail, config.store.description()));
  }
  return StoreAccess::open(config);
}

Result<json::object> AdminAccess::post(const std::string& target, const json::object& body) {
  return ask("POST", target, json::serialize(body));
}

Result<json::object> AdminAccess::ask(const std::string& method, const std::string& target,
                                      const std::string& sent) {
  POSTERN_ASSIGN_OR_RETURN(const HttpResponse response, send(method, target, sent));
  json::error_code error;
  json::value body = json::parse(response.body, error);
  if (error || !body.is_object()) {
    return rejected("request_refused",
                    "what answers at the admin address is not Postern: see [admin] listen");
  }
  if (response.code != 200) return refused(response, body.get_object());
  return std::move(body.get_object());
}

std::string with_query(std::string path,
                       std::initializer_list<std::pair<std::string_view, std::string>> query) {
  char separator = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    path += separator;
    path += name;
    path += "=" + encode(value);
    separator = '&';
  }
  return path;
}

std::string path_segment(std::string_view text) {
  return encode(text);
}

}  // namespace postern::cli
