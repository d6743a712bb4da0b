#include "ledger/policy.h"

#include <algorithm>

#include "base/check.h"

namespace postern::ledger {
namespace {

[[nodiscard]] bool matches(std::string_view pattern, std::string_view event) {
  if (!pattern.ends_with('*')) return pattern == event;
  pattern.remove_suffix(1);
  return event.starts_with(pattern);
}

}  // namespace

const AccountPolicy& Policy::account(const AccountName& name) const {
  const auto found = accounts.find(name.text());
  POSTERN_CHECK(found != accounts.end());
  return found->second;
}

bool wants(const EndpointPolicy& endpoint, core::EventType type, const AccountName& account) {
  if (!endpoint.accounts.empty() &&
      std::ranges::find(endpoint.accounts, account) == endpoint.accounts.end()) {
    return false;
  }
  return std::ranges::any_of(endpoint.events, [&](const std::string& pattern) {
    return matches(pattern, core::name(type));
  });
}

}  // namespace postern::ledger
