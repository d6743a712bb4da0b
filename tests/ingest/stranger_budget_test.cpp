// Goal: what strangers may cost is bounded for each and for all of them, and whoever was verified
// is served meanwhile.
// Method: the budget alone, with times that the test makes up.
#include "ingest/stranger_budget.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::ingest {
namespace {

using namespace std::chrono_literals;
using Verdict = StrangerBudget::Verdict;

constexpr MonotonicTime kStart = 1000s;

[[nodiscard]] IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

[[nodiscard]] StrangerBudget::Options options() {
  return {.failed_per_peer = {.per_s = 2, .burst = 5},
          .failed = {.per_s = 10, .burst = 20},
          .peers_max = 16,
          .verified_lately = 1h};
}

/// How many of `tries` failing callbacks are verified.
int flood(StrangerBudget& budget, const std::string& peer, MonotonicTime now, int tries = 100) {
  int verified = 0;
  for (int i = 0; i < tries; ++i) {
    if (budget.judge(ip(peer), now) != Verdict::kVerify) continue;
    ++verified;
    budget.count_failed(ip(peer), now);
  }
  return verified;
}

TEST(StrangerBudget, BoundsEachPeer) {
  StrangerBudget budget(options());
  EXPECT_EQ(flood(budget, "192.0.2.1", kStart), 5);
  EXPECT_EQ(budget.judge(ip("192.0.2.1"), kStart), Verdict::kPeerSpent);
  EXPECT_EQ(budget.judge(ip("192.0.2.2"), kStart), Verdict::kVerify);
  EXPECT_EQ(flood(budget, "192.0.2.1", kStart + 1s), 2);
  // It fills up to its burst and no further.
  EXPECT_EQ(flood(budget, "192.0.2.1", kStart + 100s), 5);
}

// A platform calls all accounts from the same addresses: a wrong key of one must not put off
// others.
TEST(StrangerBudget, CountsEachAccountByItself) {
  StrangerBudget budget(options());
  for (int i = 0; i < 10; ++i) budget.count_failed(ip("192.0.2.1"), kStart, 1);
  EXPECT_EQ(budget.judge(ip("192.0.2.1"), kStart, 1), Verdict::kPeerSpent);
  EXPECT_EQ(budget.judge(ip("192.0.2.1"), kStart, 2), Verdict::kVerify);
}

TEST(StrangerBudget, CountsAnIpv6SiteOnce) {
  StrangerBudget budget(options());
  EXPECT_EQ(flood(budget, "2001:db8:0:1::1", kStart), 5);
  EXPECT_EQ(flood(budget, "2001:db8:0:1:ffff::2", kStart), 0);
  EXPECT_EQ(flood(budget, "2001:db8:0:2::1", kStart), 5);
}

TEST(StrangerBudget, BoundsAllTogetherAndServesWhoWasVerified) {
  StrangerBudget budget(options());
  budget.count_verified(ip("198.51.100.1"), kStart);
  int verified = 0;
  for (int i = 1; i <= 50; ++i) verified += flood(budget, "192.0.2." + std::to_string(i), kStart);
  EXPECT_EQ(verified, 20);
  EXPECT_EQ(budget.judge(ip("203.0.113.1"), kStart), Verdict::kAllSpent);
  EXPECT_EQ(budget.judge(ip("198.51.100.1"), kStart), Verdict::kVerify);
  // With time the others have their turn again.
  EXPECT_EQ(budget.judge(ip("203.0.113.1"), kStart + 1s), Verdict::kVerify);
}

TEST(StrangerBudget, BoundsAPeerThatWasVerifiedToo) {
  StrangerBudget budget(options());
  budget.count_verified(ip("192.0.2.1"), kStart);
  EXPECT_EQ(flood(budget, "192.0.2.1", kStart), 5);
  EXPECT_EQ(budget.judge(ip("192.0.2.1"), kStart), Verdict::kPeerSpent);
}

TEST(StrangerBudget, ForgetsThatAPeerWasVerifiedAfterAWhile) {
  StrangerBudget budget(options());
  budget.count_verified(ip("198.51.100.1"), kStart);
  for (int i = 1; i <= 50; ++i) flood(budget, "192.0.2." + std::to_string(i), kStart + 2h);
  EXPECT_EQ(budget.judge(ip("198.51.100.1"), kStart + 2h), Verdict::kAllSpent);
}

TEST(StrangerBudget, RemembersABoundedNumberOfPeersAndTheLatestOfThem) {
  StrangerBudget budget(options());
  budget.count_verified(ip("198.51.100.1"), kStart);
  for (int i = 0; i < 20'000; ++i) {
    budget.count_failed(ip("10.1." + std::to_string(i / 256 % 256) + "." + std::to_string(i % 256)),
                        kStart);
  }
  EXPECT_EQ(budget.remembered(), 17u);
  // Strangers do not push out who was verified.
  EXPECT_EQ(budget.judge(ip("198.51.100.1"), kStart), Verdict::kVerify);
}

TEST(StrangerBudget, IsNotConfusedByAClockThatSeemsToGoBack) {
  StrangerBudget budget(options());
  EXPECT_EQ(flood(budget, "192.0.2.1", kStart), 5);
  EXPECT_EQ(flood(budget, "192.0.2.1", kStart - 10s), 0);
  EXPECT_EQ(flood(budget, "192.0.2.1", kStart + 1s), 2);
}

}  // namespace
}  // namespace postern::ingest
