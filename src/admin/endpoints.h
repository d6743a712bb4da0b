#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "admin/present.h"
#include "admin/read_worker.h"
#include "admin/router.h"
#include "base/current.h"
#include "base/id.h"
#include "delivery/dispatcher.h"

namespace postern::admin {

/// A configured endpoint, as far as showing it needs to know it.
struct EndpointInfo {
  EndpointName name;
  std::string kind;
  std::vector<std::string> events;
  std::vector<AccountName> accounts;  ///< empty: all
  enum class Sending : unsigned char { kOn, kPaused } sending = Sending::kOn;
};

/// By name; those that are paused or that nobody drives are not in it. Must not block for long.
/// @thread any
using Standings = std::map<std::string, delivery::Dispatcher::Standing>;
using StandingsProbe = std::function<Standings()>;

/// What showing endpoints works with; the references outlive the router.
struct EndpointsContext {
  ReadWorker& reads;
  const Current<std::vector<EndpointInfo>>& endpoints;
  StandingsProbe standings;
};

/// GET /v1/endpoints: every configured endpoint, what it wants, how it stands and what it is owed.
void add_endpoints(Router& router, EndpointsContext context);

}  // namespace postern::admin
