#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "delivery/retry.h"
#include "store/store.h"

namespace postern::delivery {

/// What a claim got.
struct Claimed {
  std::vector<store::LoadedDelivery> deliveries;
  /// When the endpoint's next delivery is due that was not claimed.
  std::optional<TimePoint> next_due;
};

/// Claims up to `key.limit` deliveries for `lease`. Until that is over nobody else gets them.
/// @param done  nothing where the store refused or could not say; what was claimed then comes back
///              when the lease is over
[[nodiscard]] std::unique_ptr<store::Command> claim_command(
    store::ClaimKey key, std::chrono::milliseconds lease,
    std::move_only_function<void(std::optional<Claimed>)> done);

/// A try and what follows from it.
struct Ending {
  store::TryRow tried;     ///< `delivery` names the delivery
  std::int64_t lease = 0;  ///< the claim it was made under
  Decision decision;
  TimePoint now;
  std::string tag;  ///< of the store, whose public ids an incident names
};

/// Writes a try; changes nothing where the delivery has been claimed anew or ended meanwhile.
[[nodiscard]] std::unique_ptr<store::Command> end_command(
    Ending ending, std::move_only_function<void(store::Commit)> done);

/// Raises the incident of an endpoint that answered 410.
[[nodiscard]] std::unique_ptr<store::Command> gone_command(
    EndpointName endpoint, TimePoint now, std::move_only_function<void(store::Commit)> done);

/// Resolves that incident: the endpoint has taken something.
[[nodiscard]] std::unique_ptr<store::Command> back_command(
    EndpointName endpoint, std::move_only_function<void(store::Commit)> done);

/// The incident of a dead delivery, which reviving it resolves.
[[nodiscard]] std::string dead_subject(const EndpointName& endpoint, const std::string& tag,
                                       store::RowId event);

/// What an operator asks of one delivery.
enum class Wish : unsigned char {
  kRetry,   ///< due now; one that ended is revived, with the whole schedule before it
  kCancel,  ///< ends; one that is being tried may still arrive
};
enum class Wished : unsigned char { kDone, kNotThere, kEnded, kDelivered };
/// The code of a refusal; empty where it is none.
[[nodiscard]] std::string_view why_refused(Wished wished);

/// The asking is written to the audit, granted or refused, in the same commit.
/// @param by   who asks, kept as the reason of a cancelled one too
/// @param tag  of the store
[[nodiscard]] std::unique_ptr<store::Command> wish_command(
    store::RowId delivery, Wish wish, store::Actor by, std::string tag, TimePoint now,
    std::move_only_function<void(Result<Wished>)> done);

}  // namespace postern::delivery
