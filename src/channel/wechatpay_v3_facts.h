#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "base/result.h"
#include "channel/channel.h"
#include "channel/wechatpay_v3_settings.h"

namespace postern::channel {

/// Puts a verified WeChat Pay v3 message into Postern's words.
///
/// | event_type | in the plaintext | facts |
/// |---|---|---|
/// | TRANSACTION.SUCCESS, .INDUSTRY_SUCCESS | trade_state SUCCESS | payment |
/// | TRANSACTION.SUCCESS, combined | sub_orders[].trade_state SUCCESS | a payment each |
/// | TRANSACTION.PAY_BACK | trade_state PAY_BACK and a transaction_id | payment |
/// | TRANSACTION.FAIL, .INDUSTRY_FAILED | trade_state FAIL, PAY_FAIL | failure |
/// | PAYSCORE.USER_PAID | state DONE, collection.state USER_PAID | payment |
/// | REFUND.SUCCESS | refund_status SUCCESS | refund |
/// | REFUND.ABNORMAL, .CLOSED | refund_status likewise | refund failure |
/// | anything else, or another state than the event's | | none |
///
/// The sum of a payment is amount.total, what was ordered, not payer_total, which lacks discounts.
/// A payscore order paid by one transaction is known by that transaction, since refunds name it;
/// one paid by several by its order_id. PAY_BACK says that the user returned an advance of WeChat
/// Pay's: the payment itself was told before, so without its number there is nothing to add.
///
/// Of a combined payment, a sub-order that is another's, unpaid or malformed is left out and named;
/// if all are malformed, so is the message.
///
/// @param callback  its content is the envelope, with `resource.plaintext` in place of ciphertext
/// @errors body_malformed
/// @source WeChat Pay APIv3, callbacks by product; mirrored parameter lists in wechatpay.js.org
[[nodiscard]] Result<Statement> wechatpay_v3_statement(const VerifiedCallback& callback,
                                                       const WechatpayV3Settings& settings);

}  // namespace postern::channel
