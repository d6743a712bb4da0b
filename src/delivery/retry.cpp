#include "delivery/retry.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace postern::delivery {

using std::chrono::milliseconds;

namespace {

constexpr std::string_view kShuttingDown = "shutting_down";
constexpr std::array<std::string_view, 5> kOurRefusals = {
    kShuttingDown, "message_malformed", "message_too_large", "queue_full", "signing_failed"};

}  // namespace

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
  if (answer.is_gone || answer.code == kShuttingDown) {
    return {.kind = Decision::Kind::kReleased, .due_at = now, .reason = answer.code};
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

Sign sign_of(const Answer& answer) {
  if (answer.verdict == Answer::Verdict::kDelivered) return Sign::kWorks;
  if (std::ranges::find(kOurRefusals, answer.code) != kOurRefusals.end()) return Sign::kNone;
  const bool is_4xx = answer.code.size() == 3 && answer.code.front() == '4';
  return is_4xx && answer.code != "408" && answer.code != "429" ? Sign::kAnswers : Sign::kFails;
}

}  // namespace postern::delivery
