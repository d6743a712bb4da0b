#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "core/event.h"

namespace postern::ledger {

/// What happens to a fact about an attempt that nobody has registered.
enum class OrderMode : unsigned char {
  kRegistered,  ///< it waits, with an incident, until the order is registered
  kOpen,        ///< the order is created from it; no payment's sum is checked
};

struct AccountPolicy {
  MerchantName merchant;
  std::string channel;  ///< the protocol's name, told in events
  OrderMode orders = OrderMode::kRegistered;
};

/// A subscriber, as far as the ledger needs to know it.
struct EndpointPolicy {
  EndpointName name;
  std::vector<std::string> events;    ///< "order.paid", "order.*" or "*"; one must match
  std::vector<AccountName> accounts;  ///< empty: all
};

/// The part of the configuration that decides how facts are recorded. Immutable, shared.
struct Policy {
  std::map<std::string, AccountPolicy, std::less<>> accounts;
  std::vector<EndpointPolicy> endpoints;

  /// The policy of an account that exists.
  [[nodiscard]] const AccountPolicy& account(const AccountName& name) const;
};

[[nodiscard]] bool wants(const EndpointPolicy& endpoint, core::EventType type,
                         const AccountName& account);

}  // namespace postern::ledger
