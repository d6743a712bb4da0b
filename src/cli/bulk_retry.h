#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "cli/listing.h"

namespace postern::cli {

struct RetryFilter {
  std::string_view option, member, help;
};
/// What may be asked of deliveries that are to be retried.
inline constexpr std::array<RetryFilter, 7> kRetryFilters = {
    {{"--endpoint", "endpoint", "only those of this endpoint"},
     {"--state", "state", "dead (if not given), cancelled, ready or waiting"},
     {"--event", "event", "only events of this type, such as order.paid"},
     {"--account", "account", "only what this account caused"},
     {"--order", "order", "only this order's, by its id, such as ord_k3f9a2_17"},
     {"--from", "from", "only events written since, such as 2026-11-23T00:00:00Z"},
     {"--to", "to", "only events written before"}}};

struct RetryOptions {
  std::map<std::string, std::string> filter;  ///< by member; empty: not given
  bool sure = false;
};

/// Prints the plan, asks unless `sure`, and carries it out step by step.
[[nodiscard]] ExitCode retry_many(const ListingOptions& listing, const RetryOptions& options,
                                  const Terminal& terminal);

}  // namespace postern::cli
