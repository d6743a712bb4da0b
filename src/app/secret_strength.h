#pragma once

#include "app/secret_source.h"
#include "base/result.h"
#include "base/secret.h"

namespace postern::app {

/// Refuses what is blank, too short, a usual default or a sample that everybody knows, alone or
/// repeated until it is long enough. Public texts are not looked at.
/// @errors kFault secret_empty, secret_weak; the detail repeats nothing of the secret
[[nodiscard]] Result<void> check_strength(const Secret& secret, SourceKind kind);

}  // namespace postern::app
