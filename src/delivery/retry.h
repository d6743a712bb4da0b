#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "delivery/sink.h"

namespace postern::delivery {

/// When a failed delivery is tried again: after the first failure the first delay, and so on; when
/// they are used up it is dead. Each is stretched by up to a fifth, so that what failed together
/// does not come back together.
struct RetrySchedule {
  std::vector<std::chrono::milliseconds> delays = defaults();
  /// What an endpoint's Retry-After may ask for at most.
  std::chrono::milliseconds retry_after_max = std::chrono::hours(1);

  /// Fifteen tries in three days: 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 2 h, 4 h, 8 h, then every
  /// 12 h.
  [[nodiscard]] static std::vector<std::chrono::milliseconds> defaults();
};

/// What becomes of a delivery after a try.
struct Decision {
  enum class Kind : unsigned char {
    kDelivered,
    kRetry,
    kDead,
    kReleased,  ///< given back: it was our doing, or the endpoint wants nothing at all. Not counted
  };
  Kind kind = Kind::kRetry;
  TimePoint due_at;    ///< of kRetry and kReleased
  std::string reason;  ///< what the try met; empty for kDelivered
};

/// @param tries  with this one
[[nodiscard]] Decision decide(const Answer& answer, std::int64_t tries,
                              const RetrySchedule& schedule, TimePoint now, Random& random);

/// What a try says about the endpoint, rather than about its one message.
enum class Sign : unsigned char {
  kWorks,
  kAnswers,  ///< it refused this message: an HTTP 4xx other than 408 and 429
  kFails,
  kNone,  ///< it was not asked: our own refusal
};
[[nodiscard]] Sign sign_of(const Answer& answer);

}  // namespace postern::delivery
