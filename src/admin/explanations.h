#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "admin/present.h"
#include "admin/read_worker.h"
#include "admin/router.h"
#include "base/clock.h"
#include "base/current.h"
#include "channel/channel.h"
#include "ingest/rejected_ring.h"

namespace postern::admin {

/// The configured accounts' channels, by account name.
using Channels = std::map<std::string, std::shared_ptr<const channel::Channel>, std::less<>>;

/// A callback that somebody asks about.
struct Asked {
  std::string_view account;
  const HttpRequest& request;
  std::optional<TimePoint> received_at;  ///< nothing: a capture that does not say
  std::size_t body_bytes = 0;            ///< as it came, even where less was kept
};

/// Why the account refuses it, as GET /v1/callbacks/{id}/explain and `postern explain` show it.
/// @errors kRejected account_unknown
[[nodiscard]] Result<boost::json::object> explain(const Channels& channels, const Asked& asked,
                                                  TimePoint now);

/// What explaining works with; all of it outlives the router.
struct ExplanationsContext {
  ReadWorker& reads;
  const Presenter& presenter;
  const Current<Channels>& channels;
  const Clock& clock;
  const ingest::RejectedRing& rejected;
};

/// GET /v1/callbacks/{id}/explain: of a kept one, under today's configuration.
/// GET /v1/rejected/{id}/explain: of a refused one that is still in memory.
void add_explanations(Router& router, ExplanationsContext context);

}  // namespace postern::admin
