#include "app/disk_watermark.h"

#include <utility>

namespace postern::app {

DiskWatermark::DiskWatermark(std::uint64_t min_free, World world,
                             std::function<void(Level)> on_look)
    : min_free_(min_free),
      world_(world),
      on_look_(std::move(on_look)),
      free_gauge_(
          world.metrics.gauge("postern_store_free_bytes", "Room left on the store's file system.")),
      low_gauge_(world.metrics.gauge("postern_store_disk_low",
                                     "1 while there is too little room to take callbacks.")) {}

void DiskWatermark::start() {
  if (min_free_ == 0) return;
  look();
  await_next();
}

void DiskWatermark::await_next() {
  world_.timers.after(kLookEvery, [this] {
    look();
    await_next();
  });
}

void DiskWatermark::look() {
  const Result<std::uint64_t> free = world_.space.free_bytes();
  if (!free) {
    if (!std::exchange(is_unknown_, true)) {
      world_.log.error("disk_space_unknown", {{"reason", free.error().detail}});
    }
    return;
  }
  is_unknown_ = false;
  free_gauge_.set(static_cast<double>(*free));
  const std::uint64_t wanted = level_ == Level::kLow ? min_free_ + min_free_ / 4 : min_free_;
  const Level level = *free < wanted ? Level::kLow : Level::kEnough;
  if (level_.exchange(level) != level) {
    low_gauge_.set(level == Level::kLow ? 1 : 0);
    say(level, *free);
  }
  on_look_(level);
}

void DiskWatermark::say(Level level, std::uint64_t free) {
  if (level == Level::kLow) {
    world_.log.error("disk_low", {{"free_bytes", free}, {"min_free_bytes", min_free_}});
  } else {
    world_.log.info("disk_enough", {{"free_bytes", free}, {"min_free_bytes", min_free_}});
  }
}

}  // namespace postern::app
