#pragma once

#include "admin/present.h"
#include "admin/router.h"
#include "base/clock.h"
#include "store/store.h"

namespace postern::admin {

/// What consumers' sayings work with; all of it outlives the router.
struct AppliedContext {
  store::Store& store;
  const Clock& clock;
  const Presenter& presenter;
};

/// POST /v1/events/{id}/applied: a consumer says that the event is in its own books. The body may
/// name it ({"consumer": "erp"}; "default" where there is none). Idempotent: 200 with the first
/// time; 404 for an event that is not there.
void add_applied(Router& router, const AppliedContext& context);

}  // namespace postern::admin
