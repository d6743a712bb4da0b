#pragma once

#include <functional>
#include <string>
#include <vector>

#include "admin/accounts.h"
#include "admin/configuration.h"
#include "admin/endpoints.h"
#include "admin/event_feed.h"
#include "admin/explanations.h"
#include "admin/health.h"
#include "admin/present.h"
#include "admin/read_worker.h"
#include "admin/retry_plan.h"
#include "admin/router.h"
#include "base/clock.h"
#include "base/current.h"
#include "base/metrics.h"
#include "base/secret.h"
#include "ingest/rejected_ring.h"
#include "ledger/ledger.h"
#include "store/store.h"

namespace postern::app {

/// Every resource of the admin listener, put together. The daemon serves it over HTTP; commands ask
/// it directly while no daemon runs.
///
/// Lifetime: what it is given outlives it, except the store, which may go after `stop_reading`;
/// registrations are answered until then. @thread any
class AdminApi {
 public:
  struct Parts {
    store::Store& store;
    ledger::Ledger& ledger;
    const Clock& clock;
    Timers& timers;              ///< they go before the API does
    std::function<void()> wake;  ///< when a delivery became due by hand
    const ingest::RejectedRing& rejected;
    admin::Accounts accounts;
    admin::Channels channels;
    std::vector<admin::EndpointInfo> endpoints;
    admin::StandingsProbe standings;
    const Secret& key;
    Metrics& metrics;
    admin::ReadinessProbe readiness;
    std::function<std::string()> exposition;
    admin::Reload reload = nullptr;  ///< null: there is no daemon to reload
  };

  explicit AdminApi(Parts parts);
  AdminApi(const AdminApi&) = delete;
  AdminApi& operator=(const AdminApi&) = delete;

  ~AdminApi() { stop_reading(); }

  [[nodiscard]] HttpHandler& handler() { return router_; }
  /// What is configured, from now on. A request works with what it met.
  void configure(admin::Accounts accounts, admin::Channels channels,
                 std::vector<admin::EndpointInfo> endpoints, const Secret& key);
  /// Something was committed that may have brought events. Never blocks.
  void written() { feed_.written(); }
  /// Answers who waits for events, so that listeners can drain.
  void stop_waiting() { feed_.stop(); }
  /// Stops reading, so that the store may go; what asks for it afterwards is answered with 503.
  void stop_reading() { reads_.stop(); }

 private:
  Current<admin::Accounts> accounts_;
  Current<admin::Channels> channels_;
  Current<std::vector<admin::EndpointInfo>> endpoints_;
  const admin::Presenter presenter_;
  admin::PlanSeal seal_;
  admin::Router router_;
  admin::ReadWorker reads_;
  admin::EventFeed feed_;
};

}  // namespace postern::app
