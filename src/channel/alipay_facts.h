#pragma once

#include <string_view>

#include "base/id.h"
#include "base/result.h"
#include "channel/channel.h"
#include "channel/fields.h"

namespace postern::channel {

/// Puts a verified Alipay message into Postern's words.
///
/// | trade_status | further | facts |
/// |---|---|---|
/// | WAIT_BUYER_PAY, unknown, absent | | none |
/// | TRADE_SUCCESS, TRADE_FINISHED | no refund_fee, or 0.00 | payment |
/// | TRADE_SUCCESS, TRADE_FINISHED, TRADE_CLOSED | refund_fee > 0 | payment, refund total |
/// | TRADE_CLOSED | gmt_payment, no refund_fee | to be confirmed: payment, refund of all of it |
/// | TRADE_CLOSED | neither | close |
///
/// refund_fee is cumulative. A trade that was paid and then closed has been refunded in full, says
/// the documentation, but such a message names no sum: to call the order paid would ship goods for
/// money that went back, to call it closed would hide that it was paid. So it is a hint.
///
/// @param fields  in UTF-8
/// @param sub_merchant  of the attempt; empty where there is none
/// @errors body_malformed
/// @source Alipay open platform, asynchronous notification, "trade status"
[[nodiscard]] Result<Statement> alipay_statement(const Fields& fields, const AccountName& account,
                                                 std::string_view sub_merchant,
                                                 TimePoint received_at);

}  // namespace postern::channel
