#include "ingest/rejected_ring.h"

namespace postern::ingest {

void RejectedRing::add(const std::string& account, RejectedCallback rejected) {
  std::string& body = rejected.request.body;
  rejected.body_bytes = body.size();
  // A copy of the beginning, since a string that is only made shorter keeps its memory.
  if (body.size() > kBodyBytesMax) body = std::string(body, 0, kBodyBytesMax);
  const std::lock_guard lock(mutex_);
  rejected.number = ++numbered_;
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

std::optional<RejectedRing::Found> RejectedRing::find(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [account, kept] : kept_) {
    for (const RejectedCallback& one : kept) {
      if (one.number == number) return Found{account, one};
    }
  }
  return std::nullopt;
}

}  // namespace postern::ingest
