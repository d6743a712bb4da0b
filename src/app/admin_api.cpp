#include "app/admin_api.h"

#include "admin/applied.h"
#include "admin/audit.h"
#include "admin/bulk_retry.h"
#include "admin/callbacks.h"
#include "admin/deliveries.h"
#include "admin/incidents.h"
#include "admin/key_trial.h"
#include "admin/metrics.h"
#include "admin/orders.h"

namespace postern::app {

AdminApi::AdminApi(Parts parts)
    : accounts_(std::move(parts.accounts)),
      channels_(std::move(parts.channels)),
      endpoints_(std::move(parts.endpoints)),
      presenter_(parts.store.tag()),
      seal_(parts.key),
      router_(parts.key, parts.metrics),
      reads_(parts.store, parts.metrics),
      feed_({.reads = reads_,
             .presenter = presenter_,
             .timers = parts.timers,
             .clock = parts.clock,
             .metrics = parts.metrics}) {
  admin::add_health(router_, std::move(parts.readiness));
  admin::add_metrics(router_, std::move(parts.exposition));
  admin::add_orders(
      router_,
      {.ledger = parts.ledger, .reads = reads_, .presenter = presenter_, .accounts = accounts_});
  admin::add_callbacks(router_, {.reads = reads_,
                                 .presenter = presenter_,
                                 .accounts = accounts_,
                                 .rejected = parts.rejected});
  admin::add_explanations(router_, {.reads = reads_,
                                    .presenter = presenter_,
                                    .channels = channels_,
                                    .clock = parts.clock,
                                    .rejected = parts.rejected});
  admin::add_key_trial(router_, {.reads = reads_, .presenter = presenter_, .channels = channels_});
  admin::add_incidents(router_, reads_, presenter_);
  admin::add_endpoints(
      router_, {.reads = reads_, .endpoints = endpoints_, .standings = std::move(parts.standings)});
  admin::add_applied(router_,
                     {.store = parts.store, .clock = parts.clock, .presenter = presenter_});
  admin::add_audit(router_, reads_, presenter_);
  const admin::DeliveriesContext deliveries{.store = parts.store,
                                            .clock = parts.clock,
                                            .reads = reads_,
                                            .presenter = presenter_,
                                            .wake = std::move(parts.wake)};
  admin::add_deliveries(router_, deliveries);
  admin::add_bulk_retry(router_, deliveries, seal_);
  if (parts.reload) admin::add_configuration(router_, std::move(parts.reload));
  feed_.add_to(router_);
}

void AdminApi::configure(admin::Accounts accounts, admin::Channels channels,
                         std::vector<admin::EndpointInfo> endpoints, const Secret& key) {
  accounts_.set(std::move(accounts));
  channels_.set(std::move(channels));
  endpoints_.set(std::move(endpoints));
  seal_.set_key(key);
  router_.set_key(key);
}

}  // namespace postern::app
