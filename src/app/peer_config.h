#pragma once

#include <vector>

#include "app/config_section.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "http/forwarded.h"
#include "ingest/stranger_budget.h"

namespace postern::app {

/// `trusted_proxies` and `peer_from` of [server], which go together.
/// @errors setting_missing, setting_malformed
[[nodiscard]] Result<http::PeerRule> read_peer_rule(Section& section);

/// `failed_per_peer_per_s`, `failed_per_peer_burst`, `failed_per_s` and `failed_burst` of [server].
/// @errors setting_malformed
[[nodiscard]] Result<ingest::StrangerBudget::Options> read_budget(Section& section);

/// `allow_from` of an account; empty: from anywhere. A trusted proxy is never in it: a callback
/// whose sender a proxy does not name counts as the proxy's own, and must not pass for that.
/// @errors setting_malformed
[[nodiscard]] Result<std::vector<Network>> read_allow_from(Section& section,
                                                           const http::PeerRule& peers);

}  // namespace postern::app
