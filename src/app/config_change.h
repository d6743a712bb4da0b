#pragma once

#include <string>

#include "admin/configuration.h"
#include "app/config.h"
#include "base/result.h"

namespace postern::app {

/// What `wanted` changes of `running`. A key whose secret has other content is changed too.
/// @errors kFault setting_fixed: it changes what a running daemon cannot (listeners, store, log
///         file); the detail names the line
[[nodiscard]] Result<admin::ConfigurationChange> compare(const Config& running,
                                                         const Config& wanted);

/// One line for people: "accounts +wechat ~alipay; settings [log] level"; "nothing" where it is so.
[[nodiscard]] std::string describe(const admin::ConfigurationChange& change);

}  // namespace postern::app
