#include "delivery/breaker.h"

#include <algorithm>

namespace postern::delivery {

void Breaker::succeeded() {
  *this = Breaker{};
}

void Breaker::answered() {
  if (is_open()) succeeded();
}

void Breaker::failed(MonotonicTime now) {
  ++failures_;
  if (!is_open()) return;
  // Tries that were under way when it opened fail too; they do not double the pause.
  if (failures_ > kFailuresMax && now < open_until_) return;
  if (failures_ > kFailuresMax) pause_ = std::min(pause_ * 2, kPauseMax);
  open_until_ = now + pause_;
}

std::size_t Breaker::allowed(MonotonicTime now, std::size_t limit) const {
  if (!is_open()) return limit;
  return now < open_until_ ? 0 : std::min<std::size_t>(limit, 1);
}

}  // namespace postern::delivery
