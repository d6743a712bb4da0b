#include "app/daemon.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/process.h"

namespace postern::app {
namespace {

/// After a storage doubt nothing can be saved by waiting, and the restart repairs it.
constexpr std::chrono::milliseconds kFailedDrainLimit{300};
/// Nobody tells this node what another one has committed.
constexpr std::chrono::milliseconds kLookForOthers{500};

constexpr std::string_view kReloadsHelp = "Reloads of the configuration, by what came of them.";

[[nodiscard]] http::Limits admin_limits() {
  http::Limits limits;
  limits.body_bytes_max = 64UL * 1024;
  limits.connections_max = 256;
  limits.requests_in_flight_max = 256;
  return limits;
}

}  // namespace

Daemon::Daemon(Config config, Options options, World world)
    : config_(std::move(config)),
      callback_listen_(config_.server.listen),
      admin_listen_(config_.admin.listen),
      options_(options),
      world_(std::move(world)),
      log_lines_dropped_(world_.metrics.gauge("postern_log_lines_dropped",
                                              "Log lines dropped since the start.", {})),
      reloads_done_(world_.metrics.counter("postern_configuration_reloads_total", kReloadsHelp,
                                           {{"result", "reloaded"}})),
      reloads_refused_(world_.metrics.counter("postern_configuration_reloads_total", kReloadsHelp,
                                              {{"result", "refused"}})),
      loaded_at_(world_.metrics.gauge("postern_configuration_loaded_at_seconds",
                                      "When the configuration in force was loaded.", {})) {
  loaded_at_.set(std::chrono::duration<double>(world_.clock.now().time_since_epoch()).count());
}

Result<std::unique_ptr<Daemon>> Daemon::start(Config config, Options options, World world) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), options, std::move(world)));
  POSTERN_RETURN_IF_ERROR(daemon->start_parts());
  return daemon;
}

Result<void> Daemon::start_parts() {
  const World& world = world_;
  POSTERN_ASSIGN_OR_RETURN(callback_tls_, make_tls_context(config_.server.tls, world.clock.now()));
  POSTERN_ASSIGN_OR_RETURN(admin_tls_, make_tls_context(config_.admin.tls, world.clock.now()));
  POSTERN_ASSIGN_OR_RETURN(
      store_, open_store(config_.store, world.clock, world.random, world.log, world.metrics,
                         [this](const Error& error) { fail(error); }));
  if (store_->clock() != nullptr) node_ = fmt::format("{}:{}", host_name(), config_.file);
  POSTERN_RETURN_IF_ERROR(make_dispatcher());
  ledger_ = std::make_unique<ledger::Ledger>(
      *store_, shared_clock(), std::make_shared<const ledger::Policy>(config_.policy()), [this] {
        dispatcher_->wake();
        admin_api_->written();
      });
  make_watermark();
  key_calendar_ = std::make_unique<KeyCalendar>(
      KeyCalendar::World{shared_clock(), *timers_, world.log, world.metrics}, tell_by(*ledger_));
  // Callbacks are worth more than old incidents: those that cannot be read stay open.
  key_calendar_->start(calendar_of(config_, node_),
                       open_key_incidents(*store_, node_).value_or(std::vector<std::string>()));
  const admin::Accounts infos = config_.account_infos();
  ingest_ = std::make_unique<ingest::Ingest>(config_.channels(), *ledger_, world.clock, world.log,
                                             world.metrics, config_.gate());
  admin_api_ = std::make_unique<AdminApi>(AdminApi::Parts{
      .store = *store_,
      .ledger = *ledger_,
      .clock = shared_clock(),
      .timers = *timers_,
      .wake = [this] { dispatcher_->wake(); },
      .rejected = ingest_->rejected(),
      .accounts = infos,
      .channels = config_.channels(),
      .endpoints = config_.endpoint_infos(),
      .standings = [this] { return dispatcher_->standings(); },
      .key = config_.admin.api_key,
      .metrics = world.metrics,
      .readiness = [this] { return readiness(); },
      .exposition = [this] { return exposition(); },
      .reload = [this](store::Actor by,
                       ReloadWorker::Done done) { reload(std::move(by), std::move(done)); }});
  reload_worker_ = std::make_unique<ReloadWorker>(
      [this](const store::Actor& by, ReloadWorker::Done done) { reload_now(by, std::move(done)); });
  POSTERN_RETURN_IF_ERROR(start_admin());
  for (const http::ListenAddress& address : config_.server.listen) {
    http::PeerRule peers = config_.server.peers;
    // In plain text, who is not the proxy that ends TLS is not served.
    if (!config_.server.tls && !is_loopback(address)) peers.callers = http::Callers::kProxies;
    POSTERN_ASSIGN_OR_RETURN(auto server, http::Server::start({.name = "callback",
                                                               .address = address,
                                                               .limits = config_.server.limits,
                                                               .threads = options_.io_threads,
                                                               .tls = callback_tls_,
                                                               .peers = std::move(peers)},
                                                              *ingest_, world.log, world.metrics));
    callback_servers_.push_back(std::move(server));
  }
  dispatcher_->wake();
  if (store_->clock() != nullptr) look_for_others();
  // What an earlier run refused is in force now, or mended.
  ledger_->resolve(core::IncidentKind::kConfigurationRefused, configuration_subject(),
                   [](const Result<void>& /*the next reload resolves it as well*/) {});
  is_started_ = true;
  world.log.info("daemon_ready", {{"accounts", config_.accounts.size()},
                                  {"endpoints", config_.endpoints.size()},
                                  {"store", store_->tag()}});
  return {};
}

void Daemon::make_watermark() {
  // The store is open: where its name is a link, the room that counts is where the file is. Of a
  // database on another machine nothing is known here.
  std::error_code unresolved;
  std::filesystem::path file = std::filesystem::canonical(config_.store.file, unresolved);
  if (unresolved) file = std::filesystem::current_path() / config_.store.file;
  folder_space_ = std::make_unique<FolderSpace>(file.parent_path());
  DiskSpace& space = world_.disk_space != nullptr ? *world_.disk_space : *folder_space_;
  watermark_ = std::make_unique<DiskWatermark>(
      config_.store.min_free, DiskWatermark::World{space, *timers_, world_.log, world_.metrics},
      [this](DiskWatermark::Level level) { on_disk(level); });
  watermark_->start();
  // Without a mark nobody looks, and an earlier run may have raised an incident.
  if (config_.store.min_free == 0) on_disk(DiskWatermark::Level::kEnough);
}

void Daemon::on_disk(DiskWatermark::Level level) {
  const bool is_low = level == DiskWatermark::Level::kLow;
  ledger_->set_intake(is_low ? ledger::Ledger::Intake::kPutOff : ledger::Ledger::Intake::kOpen);
  // The incident is told again with the next look until it is written.
  if (disk_told_.exchange(level) == level) return;
  const auto written = [this](const Result<void>& result) {
    if (!result) disk_told_ = std::nullopt;
  };
  const std::string subject = "store";
  if (!is_low) return ledger_->resolve(core::IncidentKind::kDiskLow, subject, written);
  ledger_->report({.kind = core::IncidentKind::kDiskLow,
                   .subject = subject,
                   .detail = "The store's file system is almost full. Callbacks and registrations "
                             "are put off, deliveries go on. Make room: it resumes by itself."},
                  written);
}

void Daemon::look_for_others() {
  timers_->after(kLookForOthers, [this] {
    admin_api_->written();
    look_for_others();
  });
}

const Clock& Daemon::shared_clock() const {
  return store_->clock() != nullptr ? *store_->clock() : world_.clock;
}

admin::Readiness Daemon::readiness() const {
  const admin::Readiness own = readiness_;
  if (own == admin::Readiness::kReady && !store_->healthy()) {
    return admin::Readiness::kStoreUnreachable;
  }
  const bool is_low = watermark_->level() == DiskWatermark::Level::kLow;
  return own == admin::Readiness::kReady && is_low ? admin::Readiness::kDiskLow : own;
}

/// A paused endpoint has no sink: what it is owed stays in the store.
Result<void> Daemon::make_dispatcher() {
  timers_ = std::make_unique<ThreadTimers>(world_.clock);
  client_thread_ = std::make_unique<http::ClientThread>(world_.log);
  std::vector<delivery::EndpointOptions> endpoints;
  for (const EndpointConfig& endpoint : config_.endpoints) {
    if (endpoint.sending == EndpointConfig::Sending::kPaused) continue;
    POSTERN_ASSIGN_OR_RETURN(delivery::EndpointOptions made, make_endpoint(endpoint, config_));
    endpoints.push_back(std::move(made));
  }
  dispatcher_ = std::make_unique<delivery::Dispatcher>(
      std::move(endpoints), delivery::DispatcherOptions{},
      delivery::Dispatcher::World{*store_, shared_clock(), *timers_, world_.random, world_.log,
                                  world_.metrics});
  return {};
}

Result<delivery::EndpointOptions> Daemon::make_endpoint(const EndpointConfig& endpoint,
                                                        const Config& config) {
  const SinkWorld sink_world{*client_thread_, world_.clock, world_.random, world_.log};
  Result<std::unique_ptr<delivery::Sink>> sink = make_sink(endpoint, sink_world);
  if (!sink) {
    // What only the sink's library knows is about the endpoint as a whole.
    Error error = sink.error();
    error.error_class = ErrorClass::kFault;
    error.detail = config.place_of("endpoint." + endpoint.name.text()) + error.detail;
    return std::unexpected(std::move(error));
  }
  return delivery::EndpointOptions{.name = endpoint.name,
                                   .sink = std::move(*sink),
                                   .concurrency = endpoint.concurrency,
                                   .schedule = {}};
}

Result<void> Daemon::start_admin() {
  POSTERN_ASSIGN_OR_RETURN(admin_server_,
                           http::Server::start({.name = "admin",
                                                .address = config_.admin.listen,
                                                .limits = admin_limits(),
                                                .threads = 1,
                                                .tls = admin_tls_},
                                               admin_api_->handler(), world_.log, world_.metrics));
  return {};
}

Daemon::~Daemon() {
  // Listeners that never stopped were never waited for: a start that failed half-way, or a test.
  if (readiness_ == admin::Readiness::kReady) stop(options_.drain_limit);
  // Who may ask for a reload goes before who does it.
  admin_server_.reset();
  reload_worker_.reset();
  callback_servers_.clear();
  if (admin_api_) admin_api_->stop_reading();
  if (dispatcher_) dispatcher_->stop();
  timers_.reset();
  store_.reset();
}

std::string Daemon::configuration_subject() const {
  return node_.empty() ? "configuration" : fmt::format("configuration of {}", node_);
}

std::vector<http::ListenAddress> Daemon::callback_addresses() const {
  std::vector<http::ListenAddress> addresses = callback_listen_;
  for (std::size_t i = 0; i < addresses.size(); ++i)
    addresses[i].port = callback_servers_[i]->port();
  return addresses;
}

http::ListenAddress Daemon::admin_address() const {
  return {.host = admin_listen_.host, .port = admin_server_->port()};
}

void Daemon::fail(const Error& error) {
  readiness_ = admin::Readiness::kStoreFailed;
  world_.log.error("store_failed", {{"code", error.code}, {"detail", error.detail}});
  wake_up_.set();
}

Daemon::End Daemon::wait(int stop_descriptor, const ReloadSignal* reload_signal) {
  const int reload_descriptor = reload_signal == nullptr ? -1 : reload_signal->descriptor();
  while (wake_up_.wait(stop_descriptor, reload_descriptor) == WakeUp::Woken::kSecond) {
    if (!reload_signal->take()) continue;
    reload({.name = "a SIGHUP on this machine", .peer = {}},
           [](const Result<admin::ConfigurationChange>& /*told by the log*/) {});
  }
  if (readiness_ == admin::Readiness::kStoreFailed) {
    stop(kFailedDrainLimit);
    return End::kStoreFailed;
  }
  stop(options_.drain_limit);
  return readiness_ == admin::Readiness::kStoreFailed ? End::kStoreFailed : End::kStopped;
}

void Daemon::stop(std::chrono::milliseconds limit) {
  admin::Readiness ready = admin::Readiness::kReady;
  readiness_.compare_exchange_strong(ready, admin::Readiness::kStopping);
  world_.log.info("daemon_stopping");
  if (ingest_) ingest_->stop_accepting();
  if (admin_api_) admin_api_->stop_waiting();
  const MonotonicTime end = world_.clock.monotonic() + limit;
  const auto left = [&] {
    return std::max(
        std::chrono::milliseconds(1),
        std::chrono::duration_cast<std::chrono::milliseconds>(end - world_.clock.monotonic()));
  };
  for (const auto& server : callback_servers_) server->drain(left());
  // The admin listener goes last, so that /readyz can be asked until the end.
  if (admin_server_) admin_server_->drain(left());
}

std::string Daemon::exposition() {
  log_lines_dropped_.set(static_cast<double>(world_.log_lines_dropped()));
  return world_.metrics.exposition();
}

}  // namespace postern::app
