#pragma once

#include "admin/accounts.h"
#include "admin/present.h"
#include "admin/read_worker.h"
#include "admin/router.h"
#include "ingest/rejected_ring.h"

namespace postern::admin {

/// What showing callbacks works with; all of it outlives the router.
struct CallbacksContext {
  ReadWorker& reads;
  const Presenter& presenter;
  const Current<Accounts>& accounts;
  const ingest::RejectedRing& rejected;
};

/// GET /v1/callbacks?account=&outcome=&before=&limit=: newest first, without headers and body.
/// GET /v1/callbacks/{id}: with both, in base64, which is what `postern verify` reads.
/// GET /v1/rejected/{account}: the last refused ones and why, newest first, from memory.
void add_callbacks(Router& router, CallbacksContext context);

}  // namespace postern::admin
