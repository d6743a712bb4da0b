#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "delivery/dispatcher.h"
#include "tests/simulation/world.h"

namespace postern::simulation {

/// The endpoints that every run has; which events each wants stands in `endpoint_wants`.
enum class EndpointIndex : unsigned char { kAll, kPaid };
inline constexpr std::array kEndpointNames = {"all", "paid"};
inline constexpr std::size_t kEndpoints = kEndpointNames.size();

/// A time at which nothing answers.
struct Outage {
  std::chrono::milliseconds from{0}, to{0};
};

/// How an endpoint behaves until the faults stop: "one in n", zero for never.
struct EndpointWeather {
  std::size_t concurrency = 8;
  std::uint64_t refused = 0;      ///< no connection: certainly not taken
  std::uint64_t lost = 0;         ///< no answer; every second time it has been taken
  std::uint64_t unavailable = 0;  ///< 503, every second time with Retry-After
  std::uint64_t bad_request = 0;  ///< 400
  std::uint64_t gone = 0;         ///< 410
  std::chrono::milliseconds answer_max{20};
  std::optional<Outage> outage;
};

/// How hard a run is, drawn from its seed: "one in n", zero for never.
struct Weather {
  /// Minutes: a short schedule of retries, so that deliveries die too. Days: the usual one, and an
  /// outage is a day long.
  enum class Pace : unsigned char { kMinutes, kDays } pace = Pace::kMinutes;
  std::uint64_t copy = 0, reply_lost = 0, refused = 0, unknown = 0, crash = 0;
  std::size_t batch_max = 256;
  /// When the faults stop, and until when messages are sent for the first time.
  std::chrono::milliseconds faulty_for{0}, sending_for{0};
  /// How long it may take until the next moment at which the process may be hit.
  std::chrono::milliseconds crash_pause{0}, restart_max{0};
  /// How long the platform waits at most before it sends again.
  std::chrono::milliseconds resend_pause{0};
  std::size_t wishes = 0, clock_steps = 0;
  std::chrono::milliseconds clock_step_max{0};
  std::chrono::milliseconds look_again{0};
  delivery::RetrySchedule schedule;
  std::array<EndpointWeather, kEndpoints> endpoints;

  [[nodiscard]] static Weather draw(Dice& dice);
};

}  // namespace postern::simulation
