#include "ingest/rejected_ring.h"

namespace postern::ingest {

void RejectedRing::add(const std::string& account, RejectedCallback rejected) {
  if (rejected.request.body.size() > kBodyBytesMax) rejected.request.body.resize(kBodyBytesMax);
  const std::lock_guard lock(mutex_);
  std::deque<RejectedCallback>& kept = kept_[account];
  kept.push_front(std::move(rejected));
  if (kept.size() > kKeptPerAccount) kept.pop_back();
}

std::vector<RejectedCallback> RejectedRing::of(const std::string& account) const {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(account);
  if (found == kept_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

}  // namespace postern::ingest
