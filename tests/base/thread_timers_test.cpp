// Goal: timers run in order, none early, and none after they are gone. Method: the real clock.
#include "base/thread_timers.h"

#include <gtest/gtest.h>

#include <future>
#include <string>

#include "base/system.h"

namespace postern {
namespace {

using namespace std::chrono_literals;

TEST(ThreadTimers, RunInOrderOfTheirTimesAndNoneEarly) {
  const SystemClock clock;
  const MonotonicTime began = clock.monotonic();
  std::string order;
  std::promise<MonotonicTime> last;
  ThreadTimers timers(clock);
  timers.after(60ms, [&] {
    order += 'c';
    last.set_value(clock.monotonic());
  });
  timers.after(20ms, [&] { order += 'a'; });
  timers.after(20ms, [&] { order += 'b'; });
  EXPECT_GE(last.get_future().get() - began, 60ms);
  EXPECT_EQ(order, "abc");
}

TEST(ThreadTimers, DropWhatIsNotDueWhenTheyGo) {
  const SystemClock clock;
  bool ran = false;
  {
    ThreadTimers timers(clock);
    timers.after(1h, [&] { ran = true; });
  }
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace postern
