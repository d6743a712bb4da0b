#pragma once

#include <string_view>

#include "base/id.h"
#include "base/result.h"
#include "channel/account_settings.h"
#include "channel/channel.h"
#include "core/money.h"

namespace postern::channel {

/// Puts a verified WeChat Pay v2 message into Postern's words.
///
/// - Payment, result_code SUCCESS: a payment fact. Any other result_code: nothing, since a failed
///   try is not the end of an attempt.
/// - Combined payment (sub_order_list): a payment each; a sub-order that is another's or malformed
///   is left out and named, and if all are malformed, so is the message.
/// - Refund notice: the claimed refund (SUCCESS) or refund failure (CHANGE, REFUNDCLOSE), to be
///   confirmed.
///
/// The sum of a payment is total_fee, what was ordered; cash_fee lacks coupons.
/// @errors body_malformed
/// @source WeChat Pay v2, payment, combined payment and refund result notices
[[nodiscard]] Result<Statement> wechatpay_v2_statement(const VerifiedCallback& callback,
                                                       const AccountName& account,
                                                       const Merchants& merchants);

/// The sum under `name`, digits of fen, in the currency under `currency_name`.
/// @errors body_malformed
[[nodiscard]] Result<core::Money> read_fee_v2(const Fields& fields, std::string_view name,
                                              std::string_view currency_name);

/// Whether the fields are those of a combined payment.
[[nodiscard]] bool is_combined_v2(const Fields& fields);

/// Whether at least one order of a combined payment is ours or a sub-merchant's.
/// @errors sub_merchant_mismatch, body_malformed, key_duplicate
[[nodiscard]] Result<void> check_combined_v2(const Fields& fields, const Merchants& merchants);

}  // namespace postern::channel
