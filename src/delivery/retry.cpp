#include "delivery/retry.h"

#include <algorithm>

namespace postern::delivery {

using std::chrono::milliseconds;

std::vector<milliseconds> RetrySchedule::defaults() {
  using std::chrono::hours;
  using std::chrono::minutes;
  using std::chrono::seconds;
  return {seconds(5), seconds(30), minutes(2), minutes(10), minutes(30), hours(1),  hours(2),
          hours(4),   hours(8),    hours(12),  hours(12),   hours(12),   hours(12), hours(12)};
}

Decision decide(const Answer& answer, std::int64_t tries, const RetrySchedule& schedule,
                TimePoint now, Random& random) {
  if (answer.verdict == Answer::Verdict::kDelivered) {
    return {.kind = Decision::Kind::kDelivered, .due_at = now, .reason = {}};
  }
  const auto failures = static_cast<std::size_t>(std::max<std::int64_t>(tries, 1));
  if (failures > schedule.delays.size()) {
    return {.kind = Decision::Kind::kDead, .due_at = now, .reason = answer.code};
  }
  milliseconds delay = schedule.delays[failures - 1];
  const auto stretch = static_cast<std::uint64_t>(delay.count() / 5);
  if (stretch > 0) delay += milliseconds(static_cast<std::int64_t>(random.next() % stretch));
  // A clock set in the future, or a joke, must not take a delivery out of the world.
  if (answer.retry_after) {
    delay = std::max(delay, std::min(*answer.retry_after, schedule.retry_after_max));
  }
  return {.kind = Decision::Kind::kRetry, .due_at = now + delay, .reason = answer.code};
}

bool is_endpoint_failure(const Answer& answer) {
  if (answer.verdict == Answer::Verdict::kDelivered) return false;
  if (answer.code == "message_malformed" || answer.code == "message_too_large") return false;
  const bool is_4xx = answer.code.size() == 3 && answer.code.front() == '4';
  return !is_4xx || answer.code == "408" || answer.code == "429";
}

}  // namespace postern::delivery
