#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "base/result.h"
#include "store/store.h"

namespace postern::delivery {

/// How many consumers may say so of one event.
inline constexpr std::size_t kConsumersMax = 16;

/// Writes that a consumer has applied an event; a repetition changes nothing.
/// @param done  what is kept: the first time it said so
/// @errors kRejected event_not_found, consumers_too_many; kRetryable store_refused, commit_unknown
[[nodiscard]] std::unique_ptr<store::Command> applied_command(
    store::AppliedRow applied, std::move_only_function<void(Result<store::AppliedRow>)> done);

}  // namespace postern::delivery
