// Goal: strangers cannot fill the log, and nothing is kept back untold. Method: a clock by hand.
#include "base/log_limiter.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::chrono_literals;

// P5, P12
TEST(LogLimiter, WritesAFewAWindowAndTellsHowManyWereKeptBack) {
  LogLimiter limiter(2, 10s);
  EXPECT_EQ(limiter.admit(1s), 0U);
  EXPECT_EQ(limiter.admit(2s), 0U);
  EXPECT_EQ(limiter.admit(3s), std::nullopt);
  EXPECT_EQ(limiter.admit(10s), std::nullopt);
  EXPECT_EQ(limiter.admit(11s), 2U);
  EXPECT_EQ(limiter.admit(12s), 0U);
  EXPECT_EQ(limiter.admit(13s), std::nullopt);
  EXPECT_EQ(limiter.admit(100s), 1U);
}

}  // namespace
}  // namespace postern
