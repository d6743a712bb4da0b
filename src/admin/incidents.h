#pragma once

#include "admin/present.h"
#include "admin/read_worker.h"
#include "admin/router.h"

namespace postern::admin {

/// GET /v1/incidents?state=&before=&limit=: newest first. Both references outlive the router.
void add_incidents(Router& router, ReadWorker& reads, const Presenter& presenter);

}  // namespace postern::admin
