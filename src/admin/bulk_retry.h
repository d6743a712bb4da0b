#pragma once

#include "admin/deliveries.h"
#include "admin/retry_plan.h"

namespace postern::admin {

/// POST /v1/deliveries/retry with a filter (retry_plan.h): the plan, which changes nothing: how
/// many deliveries of how many orders, the first hundred of them, and the token to carry it out
/// with.
///
/// POST /v1/deliveries/retry with {"plan": "..."}: retries the next `kStepMax` of those that still
/// match, in one commit; `next` is the token to go on with, null when it is done. What is retried
/// is due a hundredth of a second apart, so that events of now are not behind all of it.
void add_bulk_retry(Router& router, const DeliveriesContext& context, const PlanSeal& seal);

}  // namespace postern::admin
