// A reload: all that can fail is done first, beside what runs; then nothing can fail any more, and
// each part changes over at once. A callback takes what it is verified, recorded and acked by in
// one look (Ingest), so that no callback meets half of a configuration.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "app/config_change.h"
#include "app/daemon.h"
#include "base/failpoint.h"

namespace postern::app {
namespace {

[[nodiscard]] std::vector<std::string> put_anew(const admin::NamesChanged& endpoints) {
  std::vector<std::string> names = endpoints.added;
  names.insert(names.end(), endpoints.changed.begin(), endpoints.changed.end());
  return names;
}

}  // namespace

void Daemon::reload(store::Actor by, ReloadWorker::Done done) {
  reload_worker_->ask(std::move(by), std::move(done));
}

void Daemon::reload_now(const store::Actor& by, ReloadWorker::Done done) {
  const admin::Readiness readiness = readiness_;
  if (!is_started_ || readiness != admin::Readiness::kReady) {
    world_.log.warning("configuration_not_reloaded", {{"by", by.name}, {"code", "reload_busy"}});
    return done(retryable("reload_busy", "the daemon starts or stops"));
  }
  Result<admin::ConfigurationChange> change = fault("reload_failed");
  try {
    change = replace_configuration();
  } catch (const std::exception& exception) {
    change = fault("reload_failed",
                   fmt::format("{}: what is in force is in doubt; start again", exception.what()));
  }
  tell_reload(by, change, std::move(done));
}

Result<admin::ConfigurationChange> Daemon::replace_configuration() {
  if (!world_.load_config) {
    return fault("config_unreadable", "this daemon was not started from a configuration file");
  }
  POSTERN_ASSIGN_OR_RETURN(Config wanted, world_.load_config());
  POSTERN_ASSIGN_OR_RETURN(admin::ConfigurationChange change, compare(config_, wanted));
  const std::vector<std::string> names = put_anew(change.endpoints);
  std::vector<delivery::EndpointOptions> endpoints;
  for (const EndpointConfig& endpoint : wanted.endpoints) {
    if (std::ranges::find(names, endpoint.name.text()) == names.end()) continue;
    if (endpoint.sending == EndpointConfig::Sending::kPaused) continue;
    POSTERN_ASSIGN_OR_RETURN(delivery::EndpointOptions made, make_endpoint(endpoint, wanted));
    endpoints.push_back(std::move(made));
  }
  POSTERN_RETURN_IF_ERROR(renew_certificates(wanted, change));
  put_in_force(std::move(wanted), change, std::move(endpoints));
  return change;
}

Result<void> Daemon::renew_certificates(const Config& wanted,
                                        const admin::ConfigurationChange& change) {
  const TimePoint now = world_.clock.now();
  // One that stays as it is may have expired: that must not keep a leaked key in force.
  const auto is_new = [&change](std::string_view section) {
    return std::ranges::any_of(change.settings, [section](const std::string& setting) {
      return setting.starts_with(section);
    });
  };
  const bool is_server_new = wanted.server.tls && is_new("[server.tls]");
  const bool is_admin_new = wanted.admin.tls && is_new("[admin.tls]");
  // Both are looked at before either changes.
  if (is_server_new) POSTERN_RETURN_IF_ERROR(wanted.server.tls->check_valid(now));
  if (is_admin_new) POSTERN_RETURN_IF_ERROR(wanted.admin.tls->check_valid(now));
  if (is_server_new) {
    POSTERN_RETURN_IF_ERROR(callback_tls_->renew(wanted.server.tls->identity, now));
  }
  if (is_admin_new) {
    POSTERN_RETURN_IF_ERROR(admin_tls_->renew(wanted.admin.tls->identity, now));
  }
  return {};
}

void Daemon::put_in_force(Config wanted, const admin::ConfigurationChange& change,
                          std::vector<delivery::EndpointOptions> endpoints) {
  if (world_.set_log_level) world_.set_log_level(wanted.log.level);
  for (const auto& server : callback_servers_) server->set_limits(wanted.server.limits);

  const auto policy = std::make_shared<const ledger::Policy>(wanted.policy());
  ledger_->set_policy(policy);
  if (planted_fault("reload_gap")) {
    ingest_->configure({}, policy);
    for (int i = 0; i < 50; ++i) planted_pause();
  }
  if (!planted_fault("reload_keeps_keys")) {
    ingest_->configure(wanted.channels(), policy, wanted.gate());
  }
  admin_api_->configure(wanted.account_infos(), wanted.channels(), wanted.endpoint_infos(),
                        wanted.admin.api_key);
  key_calendar_->replace(calendar_of(wanted, node_));

  // A sink that goes may take seconds over it: by now everything else is in force.
  for (const std::string& name : change.endpoints.removed) {
    dispatcher_->remove(EndpointName::trusted(name));
  }
  for (const EndpointConfig& endpoint : wanted.endpoints) {
    if (endpoint.sending == EndpointConfig::Sending::kPaused) dispatcher_->remove(endpoint.name);
  }
  for (delivery::EndpointOptions& endpoint : endpoints) dispatcher_->put(std::move(endpoint));

  // The last user of what stood only in the old one wipes it.
  config_ = std::move(wanted);
}

void Daemon::tell_reload(const store::Actor& by, const Result<admin::ConfigurationChange>& change,
                         ReloadWorker::Done done) {
  const TimePoint now = shared_clock().now();
  store::AuditRow act{.at = now, .actor = by, .act = store::AuditAct::kConfigurationReloaded};
  const auto ignore = [](const Result<void>& /*the log line stands*/) {};
  if (change) {
    act.detail = describe(*change);
    reloads_done_.add();
    loaded_at_.set(std::chrono::duration<double>(world_.clock.now().time_since_epoch()).count());
    world_.log.info("configuration_reloaded", {{"by", by.name}, {"changed", act.detail}});
    ledger_->resolve(core::IncidentKind::kConfigurationRefused, configuration_subject(), ignore);
  } else {
    act.outcome = store::AuditOutcome::kRefused;
    act.detail = change.error().detail;
    reloads_refused_.add();
    world_.log.error(
        "configuration_refused",
        {{"by", by.name}, {"code", change.error().code}, {"detail", change.error().detail}});
    ledger_->report(
        {.kind = core::IncidentKind::kConfigurationRefused,
         .subject = configuration_subject(),
         .detail = fmt::format("The configuration was not loaded, and the one before is in force. "
                               "Mend the file, then reload. {}",
                               change.error().detail)},
        ignore);
  }
  ledger_->audit(
      std::move(act), [this, change, done = std::move(done)](const Result<void>& written) mutable {
        // A configuration must be mendable while the store is away: the act stands.
        if (!written) {
          world_.log.error("audit_not_written",
                           {{"act", "configuration_reloaded"}, {"code", written.error().code}});
        }
        done(std::move(change));
      });
}

}  // namespace postern::app
