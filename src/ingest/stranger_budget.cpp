#include "ingest/stranger_budget.h"

#include <algorithm>

namespace postern::ingest {

void TokenBucket::refill(const TokenRate& rate, MonotonicTime now) {
  // Threads read the clock before they have the lock, so it may seem to go back.
  if (now <= at_) return;
  const double seconds = std::chrono::duration<double>(now - at_).count();
  tokens_ = std::min(rate.burst, tokens_ + seconds * rate.per_s);
  at_ = now;
}

bool TokenBucket::has_one(const TokenRate& rate, MonotonicTime now) {
  refill(rate, now);
  return tokens_ >= 1;
}

void TokenBucket::take(const TokenRate& rate, MonotonicTime now) {
  refill(rate, now);
  tokens_ -= 1;
}

StrangerBudget::Verdict StrangerBudget::judge(const IpAddress& peer, MonotonicTime now,
                                              std::size_t account) {
  const IpAddress party = party_of(peer);
  const std::lock_guard lock(mutex_);
  TokenBucket* const own = failed_.find({party, account});
  if (own != nullptr && !own->has_one(options_.failed_per_peer, now)) return Verdict::kPeerSpent;
  if (common_.has_one(options_.failed, now)) return Verdict::kVerify;
  const MonotonicTime* const verified = verified_.find(party);
  const bool is_known = verified != nullptr && now - *verified <= options_.verified_lately;
  return is_known ? Verdict::kVerify : Verdict::kAllSpent;
}

void StrangerBudget::count_failed(const IpAddress& peer, MonotonicTime now, std::size_t account) {
  const std::lock_guard lock(mutex_);
  failed_.touch({party_of(peer), account}, TokenBucket(options_.failed_per_peer, now))
      .take(options_.failed_per_peer, now);
  common_.take(options_.failed, now);
}

void StrangerBudget::count_verified(const IpAddress& peer, MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  verified_.touch(party_of(peer), now) = now;
}

void StrangerBudget::configure(const Options& options) {
  const std::lock_guard lock(mutex_);
  options_ = options;
}

std::size_t StrangerBudget::remembered() const {
  const std::lock_guard lock(mutex_);
  return failed_.size() + verified_.size();
}

}  // namespace postern::ingest
