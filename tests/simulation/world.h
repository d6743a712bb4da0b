#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"

namespace postern::simulation {

/// Time that moves only from event to event. One thread, no sleeping.
class World final : public Clock {
 public:
  explicit World(TimePoint start) : now_(start) {}

  [[nodiscard]] TimePoint now() const override { return now_; }
  [[nodiscard]] MonotonicTime monotonic() const override { return now_.time_since_epoch(); }

  /// Runs `event` after `delay`; events of the same moment run in the order they were asked for.
  void after(std::chrono::milliseconds delay, std::function<void()> event) {
    events_.emplace(std::pair(now_ + delay, ++asked_), std::move(event));
  }

  /// Runs the next event. False where there is none.
  bool step() {
    if (events_.empty()) return false;
    auto node = events_.extract(events_.begin());
    now_ = node.key().first;
    node.mapped()();
    ++steps_;
    return true;
  }

  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  TimePoint now_;
  std::uint64_t asked_ = 0;
  std::uint64_t steps_ = 0;
  std::map<std::pair<TimePoint, std::uint64_t>, std::function<void()>> events_;
};

/// The run's only source of chance: the same seed gives the same run, to the byte.
class Dice final : public Random {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  void fill(std::span<std::byte> out) override {
    for (std::byte& byte : out) byte = static_cast<std::byte>(draw() >> 32U);
  }
  /// From 0 to `bound` - 1.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) {
    POSTERN_CHECK(bound > 0);
    return draw() % bound;
  }
  [[nodiscard]] bool one_in(std::uint64_t n) { return n != 0 && below(n) == 0; }
  [[nodiscard]] std::chrono::milliseconds within(std::chrono::milliseconds limit) {
    return std::chrono::milliseconds{below(static_cast<std::uint64_t>(limit.count()) + 1)};
  }

 private:
  // SplitMix64: every seed, also 0, 1, 2, ..., gives an unrelated sequence.
  std::uint64_t draw() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  std::uint64_t state_;
};

}  // namespace postern::simulation
