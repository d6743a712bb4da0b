#pragma once

#include <functional>
#include <string>
#include <vector>

#include "admin/router.h"
#include "base/result.h"
#include "store/rows.h"

namespace postern::admin {

/// Names of what a reload has changed.
struct NamesChanged {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<std::string> changed;
};

/// What the configuration in force differs in from the one before.
struct ConfigurationChange {
  NamesChanged accounts;
  NamesChanged endpoints;
  std::vector<std::string> settings;  ///< such as "[server] body_bytes_max"
};

/// Has the configuration read and put in force, whole or not at all. Never blocks; the answer comes
/// when it is in force and its audit is written.
/// @errors kFault those of a configuration, with the line: nothing has changed; kRetryable
///         reload_busy
using Reload = std::function<void(store::Actor by,
                                  std::move_only_function<void(Result<ConfigurationChange>)> done)>;

/// POST /v1/configuration/reload: 200 with what changed, 422 with the line and what to write, 503.
void add_configuration(Router& router, Reload reload);

}  // namespace postern::admin
