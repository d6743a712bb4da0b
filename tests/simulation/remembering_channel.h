#pragma once

#include <memory>

#include "channel/channel.h"

namespace postern::simulation {

/// A channel that remembers what it has found out about a message, since `verify` and `adapt` are
/// pure and the same few messages come a million times. Time is held still at `now`, so that the
/// messages stay fresh for days.
[[nodiscard]] std::shared_ptr<const channel::Channel> make_remembering_channel(
    std::shared_ptr<const channel::Channel> real, TimePoint now);

}  // namespace postern::simulation
