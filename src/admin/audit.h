#pragma once

#include "admin/present.h"
#include "admin/read_worker.h"
#include "admin/router.h"

namespace postern::admin {

/// GET /v1/audit?after=&limit=: what people did, oldest first; `next_after` is where to go on. Both
/// references outlive the router.
void add_audit(Router& router, ReadWorker& reads, const Presenter& presenter);

}  // namespace postern::admin
