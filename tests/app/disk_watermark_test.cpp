// Goal: the disk is low below the mark and enough again a quarter above it, said once each; what is
// not known changes nothing. Method: a file system that has what the test says, and timers that run
// when told.
#include "app/disk_watermark.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::app {
namespace {

using Level = DiskWatermark::Level;

class ScriptedSpace final : public DiskSpace {
 public:
  Result<std::uint64_t> free_bytes() override {
    ++looks;
    return free;
  }
  Result<std::uint64_t> free = 1000;
  int looks = 0;
};

class ManualTimers final : public Timers {
 public:
  void after(std::chrono::milliseconds delay, std::move_only_function<void()> run) override {
    EXPECT_EQ(delay, DiskWatermark::kLookEvery);
    waiting.push_back(std::move(run));
  }
  void fire() {
    auto due = std::exchange(waiting, {});
    for (auto& run : due) run();
  }
  std::vector<std::move_only_function<void()>> waiting;
};

class Watermark : public ::testing::Test {
 protected:
  void have(Result<std::uint64_t> free) {
    space_.free = std::move(free);
    timers_.fire();
  }
  DiskWatermark made(std::uint64_t min_free) {
    return {min_free, {space_, timers_, log_, metrics_}, [this](Level level) {
              if (last_ != level) told_ += level == Level::kLow ? "low " : "enough ";
              last_ = level;
              ++times_told_;
            }};
  }

  ScriptedSpace space_;
  ManualTimers timers_;
  NullLog log_;
  NullMetrics metrics_;
  std::string told_;  ///< each new level
  Level last_ = Level::kEnough;
  int times_told_ = 0;
};

TEST_F(Watermark, IsLowBelowTheMarkAndEnoughAQuarterAbove) {
  DiskWatermark watermark = made(400);
  watermark.start();
  EXPECT_EQ(told_, "");
  have(400);
  EXPECT_EQ(watermark.level(), Level::kEnough);
  have(399);
  EXPECT_EQ(watermark.level(), Level::kLow);
  have(0);
  have(499);  // between the two marks it stays as it is
  EXPECT_EQ(watermark.level(), Level::kLow);
  have(500);
  EXPECT_EQ(watermark.level(), Level::kEnough);
  have(450);
  EXPECT_EQ(watermark.level(), Level::kEnough);
  EXPECT_EQ(told_, "low enough ");
  EXPECT_EQ(times_told_, 7);  // At every look, so that who could not act can do so next time.
}

TEST_F(Watermark, LooksAtOnceWhenItStarts) {
  space_.free = 1;
  DiskWatermark watermark = made(400);
  watermark.start();
  EXPECT_EQ(told_, "low ");
}

TEST_F(Watermark, KeepsItsLevelWhereNothingIsKnown) {
  DiskWatermark watermark = made(400);
  watermark.start();
  have(retryable("disk_space_unknown"));
  EXPECT_EQ(watermark.level(), Level::kEnough);
  have(1);
  have(retryable("disk_space_unknown"));
  EXPECT_EQ(watermark.level(), Level::kLow);
  have(1000);
  EXPECT_EQ(told_, "low enough ");
}

TEST_F(Watermark, ZeroNeverLooks) {
  DiskWatermark watermark = made(0);
  watermark.start();
  EXPECT_TRUE(timers_.waiting.empty());
  EXPECT_EQ(space_.looks, 0);
}

TEST(FolderSpace, SaysWhatTheHostSays) {
  FolderSpace here(".");
  ASSERT_TRUE(here.free_bytes());
  EXPECT_GT(*here.free_bytes(), 0u);
  FolderSpace nowhere("/no/such/folder");
  EXPECT_EQ(nowhere.free_bytes().error().code, "disk_space_unknown");
}

}  // namespace
}  // namespace postern::app
