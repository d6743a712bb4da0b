#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"

namespace postern::simulation {

/// Time that moves only from event to event. One thread, no sleeping.
class World final : public Clock, public Timers {
 public:
  explicit World(TimePoint start) : start_(start) {}

  /// The wall clock, which `step_clock` sets.
  [[nodiscard]] TimePoint now() const override { return start_ + elapsed_ + clock_ahead_; }
  [[nodiscard]] MonotonicTime monotonic() const override { return elapsed_; }
  [[nodiscard]] std::chrono::milliseconds elapsed() const { return elapsed_; }
  /// Sets the wall clock forward, or back; what runs later runs as late as it would have.
  void step_clock(std::chrono::milliseconds by) { clock_ahead_ += by; }

  /// Runs `event` after `delay`; events of the same moment run in the order they were asked for.
  void after(std::chrono::milliseconds delay, std::move_only_function<void()> event) override {
    events_.push_back({elapsed_ + delay, ++asked_, std::move(event)});
    std::ranges::push_heap(events_, Later());
  }

  /// Runs the next event. False where there is none.
  bool step() {
    if (events_.empty()) return false;
    std::ranges::pop_heap(events_, Later());
    Event next = std::move(events_.back());
    events_.pop_back();
    elapsed_ = next.at;
    next.run();
    ++steps_;
    return true;
  }

  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  struct Event {
    std::chrono::milliseconds at;
    std::uint64_t asked;
    std::move_only_function<void()> run;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return std::pair(a.at, a.asked) > std::pair(b.at, b.asked);
    }
  };

  const TimePoint start_;
  std::chrono::milliseconds elapsed_{0};
  std::chrono::milliseconds clock_ahead_{0};
  std::uint64_t asked_ = 0;
  std::uint64_t steps_ = 0;
  std::vector<Event> events_;  // a heap
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
  template <class T>
  [[nodiscard]] T one_of(std::initializer_list<T> values) {
    return *(values.begin() + below(values.size()));
  }
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
