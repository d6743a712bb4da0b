#pragma once

#include "base/result.h"
#include "ledger/ledger.h"
#include "store/working_set.h"

namespace postern::ledger {

/// Plans what recording a callback writes. Pure: all it knows stands in its arguments.
[[nodiscard]] Recorded plan_record(store::WorkingSet& working, const Policy& policy,
                                   const Recording& recording, TimePoint now);

/// Plans a registration; on an error nothing has been changed. @errors as Ledger::register_order
[[nodiscard]] Result<Registered> plan_register(store::WorkingSet& working, const Policy& policy,
                                               const Registering& order, TimePoint now);

/// What `plan_record` and `plan_register` look at.
[[nodiscard]] store::KeySet keys_of(const Policy& policy, const Recording& recording);
[[nodiscard]] store::KeySet keys_of(const Registering& order);

}  // namespace postern::ledger
