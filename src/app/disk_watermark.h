#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "base/disk_space.h"
#include "base/log.h"
#include "base/metrics.h"

namespace postern::app {

/// Looks every second how much room the store has left. Below `min_free` the disk is low; it is no
/// longer once there is a quarter more than that, so that it does not flicker.
///
/// Where the file system cannot say, it stays as it was.
///
/// Lifetime: what it refers to outlives it, except the timers, which go first.
class DiskWatermark {
 public:
  static constexpr std::chrono::milliseconds kLookEvery{1000};

  struct World {
    DiskSpace& space;
    Timers& timers;
    Log& log;
    Metrics& metrics;
  };
  enum class Level : unsigned char { kEnough, kLow };

  /// @param min_free   zero: never low
  /// @param on_look    called with the level after each look, first from `start`; must not block
  DiskWatermark(std::uint64_t min_free, World world, std::function<void(Level)> on_look);
  DiskWatermark(const DiskWatermark&) = delete;
  DiskWatermark& operator=(const DiskWatermark&) = delete;

  /// Looks at once, and from then on. Once.
  void start();
  /// @thread any
  [[nodiscard]] Level level() const { return level_; }

 private:
  void look();
  void say(Level level, std::uint64_t free);
  void await_next();

  const std::uint64_t min_free_;
  const World world_;
  const std::function<void(Level)> on_look_;
  Gauge& free_gauge_;
  Gauge& low_gauge_;
  std::atomic<Level> level_ = Level::kEnough;
  bool is_unknown_ = false;  ///< said in the log; the timers' thread only
};

}  // namespace postern::app
