#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace postern::delivery {

/// Many deliveries that an operator wants sent again.
struct BulkRetry {
  std::vector<store::RowId> deliveries;  ///< by id, so that an order's are revived in sequence
  store::DeliveryState state;            ///< those in another state by now are left alone
  TimePoint now;
  TimePoint due_from;                       ///< when the first is due, not before `now`
  std::chrono::milliseconds due_spacing{};  ///< between one and the next
  std::string tag;                          ///< of the store
  store::Actor by;
  std::string asked;  ///< the filter, for the audit
};

struct BulkRetried {
  std::size_t retried = 0;
  TimePoint due_next;  ///< where the spacing goes on
};

/// Has deliveries sent again, in one commit, which says in the audit whose.
///
/// One that is dead or cancelled is revived with the whole schedule before it: ready, or waiting
/// where an earlier one of its order and endpoint is unfinished, so that a merchant who was away
/// hears of an order in sequence. One that is ready becomes due. One that waits is sent before its
/// turn, as by `Wish::kRetry`.
/// @errors kRetryable store_refused (nothing was written), commit_unknown (perhaps it was)
[[nodiscard]] std::unique_ptr<store::Command> bulk_retry_command(
    BulkRetry retry, std::move_only_function<void(Result<BulkRetried>)> done);

}  // namespace postern::delivery
