#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "app/admin_api.h"
#include "app/config.h"
#include "app/disk_watermark.h"
#include "app/key_calendar.h"
#include "app/prometheus_metrics.h"
#include "app/reload_worker.h"
#include "app/wake_up.h"
#include "base/clock.h"
#include "base/disk_space.h"
#include "base/log.h"
#include "base/random.h"
#include "base/thread_timers.h"
#include "delivery/dispatcher.h"
#include "http/async_client.h"
#include "http/server.h"
#include "http/tls_server.h"
#include "ingest/ingest.h"
#include "ledger/ledger.h"
#include "store/store.h"

namespace postern::app {

/// The running daemon: store, ledger, ingest and the two kinds of listeners, put together.
///
/// Stopping is orderly: callbacks get the retryable ack, requests already read are answered, the
/// store writes what is queued. After a storage doubt it is quick: the store refuses everything, so
/// nothing is acked any more, /readyz says 503, and `wait` returns.
///
/// @thread start, wait and the destructor on one; request_stop on any
class Daemon {
 public:
  struct Options {
    unsigned io_threads = 1;  ///< of each callback listener
    std::chrono::milliseconds drain_limit{10'000};
  };
  /// What the daemon asks of the world; outlives it.
  struct World {
    const Clock& clock;
    Random& random;
    Log& log;
    PrometheusMetrics& metrics;
    /// How many log lines were dropped so far.
    std::function<std::uint64_t()> log_lines_dropped = [] { return std::uint64_t{0}; };
    /// Of the store's file system; nullptr: the host's.
    DiskSpace* disk_space = nullptr;
    /// Reads the configuration again, for a reload; null: there is none to read.
    std::function<Result<Config>()> load_config = nullptr;
    /// What the log keeps from now on; null: it cannot be changed.
    std::function<void(LogLevel)> set_log_level = nullptr;
  };
  enum class End : unsigned char { kStopped, kStoreFailed };

  /// Opens the store and the listeners; when it returns, callbacks are taken.
  /// @errors kFault those of store::sqlite::open_sqlite, address_in_use, address_not_available,
  ///   tls_certificate_expired, tls_certificate_not_yet_valid
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> start(Config config, Options options,
                                                             World world);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  [[nodiscard]] std::vector<http::ListenAddress> callback_addresses() const;
  [[nodiscard]] http::ListenAddress admin_address() const;

  /// Waits until `stop` can be read (-1: never), `request_stop` was called or the storage is in
  /// doubt; then stops listening and returns why. Meanwhile reloads whenever `reload` can be read,
  /// which is read for it (nullptr: never).
  [[nodiscard]] End wait(int stop, const ReloadSignal* reload = nullptr);
  /// Reads the configuration again and puts it in force, whole or not at all (docs/reload.md).
  /// Returns at once; `done` is called, on some other thread, when it is in force.
  /// @param by  for the audit
  /// @errors kFault config_unreadable and the others of load_config, setting_fixed, those of the
  ///         sinks: the old configuration is in force; kRetryable reload_busy. @thread any
  void reload(store::Actor by, ReloadWorker::Done done);
  void request_stop() { wake_up_.set(); }

 private:
  Daemon(Config config, Options options, World world);
  [[nodiscard]] Result<void> start_parts();
  [[nodiscard]] Result<void> start_admin();
  [[nodiscard]] Result<void> make_dispatcher();
  [[nodiscard]] Result<delivery::EndpointOptions> make_endpoint(const EndpointConfig& endpoint,
                                                                const Config& config);
  // On the reload worker's thread.
  void reload_now(const store::Actor& by, ReloadWorker::Done done);
  [[nodiscard]] Result<admin::ConfigurationChange> replace_configuration();
  /// The last thing that can fail: both listeners show what `wanted` names, or neither does.
  [[nodiscard]] Result<void> renew_certificates(const Config& wanted,
                                                const admin::ConfigurationChange& change);
  void put_in_force(Config wanted, const admin::ConfigurationChange& change,
                    std::vector<delivery::EndpointOptions> endpoints);
  void tell_reload(const store::Actor& by, const Result<admin::ConfigurationChange>& change,
                   ReloadWorker::Done done);
  void make_watermark();
  /// Puts intake off, or opens it again, and tells the operator.
  void on_disk(DiskWatermark::Level level);
  [[nodiscard]] admin::Readiness readiness() const;
  /// Has those who wait for events look again, now and then: another node may have written some.
  void look_for_others();
  /// What orders and deliveries go by: the clock of the store's nodes.
  [[nodiscard]] const Clock& shared_clock() const;
  void fail(const Error& error);
  /// Of the incident about a refused reload: each node has its own.
  [[nodiscard]] std::string configuration_subject() const;
  void stop(std::chrono::milliseconds limit);
  [[nodiscard]] std::string exposition();

  Config config_;  ///< in force; once started, the reload worker's thread only
  const std::vector<http::ListenAddress> callback_listen_;
  const http::ListenAddress admin_listen_;
  /// Tells this node from others on the same database; empty where there are none.
  std::string node_;
  const Options options_;
  const World world_;
  Gauge& log_lines_dropped_;
  Counter& reloads_done_;
  Counter& reloads_refused_;
  Gauge& loaded_at_;
  WakeUp wake_up_;
  std::atomic<admin::Readiness> readiness_ = admin::Readiness::kReady;
  /// What the incident of the disk says; nothing: it could not be written.
  std::atomic<std::optional<DiskWatermark::Level>> disk_told_;

  // The destructor takes them down: first the listeners, the sinks and the timers, then the store,
  // since until it is gone it calls back into the ingest, the API and the dispatcher.
  std::unique_ptr<http::ClientThread> client_thread_;
  std::unique_ptr<ThreadTimers> timers_;
  std::unique_ptr<delivery::Dispatcher> dispatcher_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<FolderSpace> folder_space_;
  std::unique_ptr<DiskWatermark> watermark_;
  std::unique_ptr<KeyCalendar> key_calendar_;
  std::unique_ptr<ingest::Ingest> ingest_;
  std::unique_ptr<AdminApi> admin_api_;
  // What the listeners show, nullptr where they speak plain text; may be renewed while they run.
  std::shared_ptr<http::TlsServerContext> callback_tls_;
  std::shared_ptr<http::TlsServerContext> admin_tls_;
  std::unique_ptr<http::Server> admin_server_;
  std::vector<std::unique_ptr<http::Server>> callback_servers_;
  std::atomic<bool> is_started_ = false;
  std::unique_ptr<ReloadWorker> reload_worker_;  // goes first: it uses all of the above
};

}  // namespace postern::app
