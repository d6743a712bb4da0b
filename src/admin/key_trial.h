#pragma once

#include <cstddef>

#include "admin/explanations.h"
#include "admin/present.h"
#include "admin/read_worker.h"
#include "admin/router.h"
#include "base/current.h"

namespace postern::admin {

/// How many stored callbacks a key is tried against: asked for, and at most.
inline constexpr std::size_t kTriedDefault = 200;
inline constexpr std::size_t kTriedMax = 1000;

/// What trying keys works with; all of it outlives the router.
struct KeyTrialContext {
  ReadWorker& reads;
  const Presenter& presenter;
  const Current<Channels>& channels;
};

/// POST /v1/accounts/{name}/keys/try {"setting", "key", "id", "last"}: whether the account's last
/// accepted callbacks would be accepted by this key alone, each as of the time it came.
///
/// Changes nothing, and the key is neither kept nor logged nor part of the answer.
void add_key_trial(Router& router, KeyTrialContext context);

}  // namespace postern::admin
