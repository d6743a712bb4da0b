#pragma once

#include <string_view>

#include "admin/accounts.h"
#include "base/result.h"
#include "ledger/ledger.h"

namespace postern::admin {

/// Most ways one order may be paid.
inline constexpr std::size_t kAttemptsMax = 64;

/// Reads the body of POST /v1/orders:
///
///   {"merchant_order_id": "T1001",
///    "expected": {"minor": 8800, "currency": "CNY"},
///    "merchant": "default",                                       optional
///    "attempts": [{"account": "alipay", "number": "T1001",
///                  "sub_merchant": "2088..."}]}                   optional
///
/// A member that is not listed here is an error, and so is a sum that is not a whole number above
/// zero. Without `attempts` there is one per account of the merchant, numbered like the order; an
/// account with several sub-merchants needs them written out.
/// @errors kRejected request_malformed, currency_unknown, account_unknown, merchant_unknown,
///         attempts_needed
[[nodiscard]] Result<ledger::Registering> parse_order_request(std::string_view body,
                                                              const Accounts& accounts);

}  // namespace postern::admin
