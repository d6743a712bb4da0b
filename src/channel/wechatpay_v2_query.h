#pragma once

#include <string>

#include "base/result.h"
#include "channel/query.h"
#include "channel/wechatpay_v2_settings.h"

namespace postern::channel {

/// Where a WeChat Pay v2 merchant asks.
struct WechatpayV2Caller {
  std::string origin = "https://api.mch.weixin.qq.com";
};

/// POST /pay/orderquery or /pay/refundquery: signed XML, under the account's first key that counts
/// now and its first sign type. @errors key_empty, key_not_in_force
/// @source WeChat Pay v2, "query order", "query refund"
[[nodiscard]] Result<QueryCall> wechatpay_v2_query_call(const Query& query,
                                                        const WechatpayV2Settings& settings,
                                                        const WechatpayV2Caller& caller,
                                                        const QueryStamp& stamp);

/// Reads what the platform answered.
///
/// | asked | result | in the answer | facts |
/// |---|---|---|---|
/// | attempt | SUCCESS | SUCCESS, REFUND | payment |
/// | | | CLOSED, REVOKED | close |
/// | | | NOTPAY, USERPAYING, PAYERROR, anything else | none: pending |
/// | | FAIL | ORDERNOTEXIST | none: pending |
/// | refund | SUCCESS | refund_status_N SUCCESS | refund |
/// | | | REFUNDCLOSE, CHANGE | refund failure |
/// | | | PROCESSING, anything else | none: pending |
/// | | FAIL | REFUNDNOTEXIST | none: pending |
///
/// PAYERROR is a failed try of the buyer's, who may pay again. An answer whose return_code is not
/// SUCCESS is not signed, so it says nothing about an order.
/// @errors kRetryable platform_unavailable; kRejected those of parse_flat_xml and
///   verify_wechatpay_v2, body_malformed, answer_about_another, query_refused, app_mismatch,
///   merchant_mismatch, sub_merchant_mismatch
[[nodiscard]] Result<QueryAnswer> wechatpay_v2_query_answer(const Query& query,
                                                            const HttpResponse& response,
                                                            const WechatpayV2Settings& settings,
                                                            TimePoint now);

}  // namespace postern::channel
