#pragma once

#include <memory>

#include "admin/accounts.h"
#include "admin/present.h"
#include "admin/read_worker.h"
#include "admin/router.h"
#include "ledger/ledger.h"

namespace postern::admin {

/// What registering and showing orders works with; all of it outlives the router.
struct OrdersContext {
  ledger::Ledger& ledger;
  ReadWorker& reads;
  const Presenter& presenter;
  const Current<Accounts>& accounts;
};

/// POST /v1/orders: registers an order (see order_request.h). 201 when it is new, 200 when it was
/// there already or got further attempts, 409 order_exists or attempt_taken, 415, 422, 503.
///
/// GET /v1/orders?state=&search=&before=&limit=: newest first; `search` is a merchant order id or a
/// number given to a platform, in full.
///
/// GET /v1/orders/{merchant_order_id}?merchant=: the order with its attempts, facts, callbacks,
/// events, deliveries and incidents, and all of them on one timeline.
void add_orders(Router& router, OrdersContext context);

}  // namespace postern::admin
