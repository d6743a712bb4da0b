#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "store/postgres/connection.h"

namespace postern::store::postgres {

/// Makes the partitions of `evidence` for the month of `time` (UTC) and `months_ahead` further
/// ones, where they are missing. @errors as Connection
[[nodiscard]] Result<void> make_evidence_partitions(Connection& connection, TimePoint time,
                                                    int months_ahead);

/// Keeps the partitions of `evidence`, one a month (UTC): makes this month's and the next two, and
/// drops those that are wholly older than `keep_days` (zero: none). Any number of nodes may do so
/// at once. @errors as Connection
[[nodiscard]] Result<void> keep_evidence_partitions(Connection& connection, TimePoint now,
                                                    int keep_days, Log& log);

}  // namespace postern::store::postgres
