#pragma once

#include <functional>

#include "admin/present.h"
#include "admin/read_worker.h"
#include "admin/router.h"
#include "base/clock.h"
#include "store/store.h"

namespace postern::admin {

/// What the resources of deliveries are made of; all of it outlives the router.
struct DeliveriesContext {
  store::Store& store;
  const Clock& clock;
  ReadWorker& reads;
  const Presenter& presenter;
  /// Called when a delivery became due by hand.
  std::function<void()> wake;
};

/// Who sends `call`: the owner of the one bearer key there is until there are users.
[[nodiscard]] store::Actor actor_of(const Call& call);

/// GET /v1/deliveries?state=&endpoint=&before=&limit=: newest first.
/// GET /v1/deliveries/{id}: one, with its tries.
/// POST /v1/deliveries/{id}/retry: due now; one that ended is revived. Each asking counts.
/// POST /v1/deliveries/{id}/cancel: ends it.
void add_deliveries(Router& router, const DeliveriesContext& context);

}  // namespace postern::admin
