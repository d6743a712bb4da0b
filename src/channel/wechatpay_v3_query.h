#pragma once

#include <string>

#include "base/result.h"
#include "channel/query.h"
#include "channel/wechatpay_v3_settings.h"
#include "crypto/key.h"

namespace postern::channel {

/// Where and as whom a WeChat Pay v3 merchant asks.
struct WechatpayV3Caller {
  std::string origin = "https://api.mch.weixin.qq.com";
  std::string serial_no;          ///< of the merchant's certificate
  const crypto::PrivateKey& key;  ///< of the same
};

/// GET the transaction by our number, or the refund by the merchant's number of it.
/// @errors signing_failed
/// @source WeChat Pay APIv3, "query by out_trade_no", "query a refund"
[[nodiscard]] Result<QueryCall> wechatpay_v3_query_call(const Query& query,
                                                        const WechatpayV3Settings& settings,
                                                        const WechatpayV3Caller& caller,
                                                        const QueryStamp& stamp);

/// Reads what the platform answered.
///
/// | asked | HTTP | in the answer | facts |
/// |---|---|---|---|
/// | attempt | 200 | SUCCESS, REFUND | payment (its refunds are asked about by their numbers) |
/// | | | CLOSED, REVOKED | close |
/// | | | PAYERROR | failure |
/// | | | NOTPAY, USERPAYING, anything else | none: pending |
/// | | 404 | ORDER_NOT_EXIST | none: pending |
/// | refund | 200 | SUCCESS | refund |
/// | | | ABNORMAL, CLOSED | refund failure |
/// | | | PROCESSING, anything else | none: pending |
/// | | 404 | RESOURCE_NOT_EXISTS | none: pending |
///
/// Every answer that counts is signed, 404 included, and names what was asked and our merchant. An
/// answer without a signature comes from a machine in between.
/// @errors kRetryable platform_unavailable; kRejected those of verify_wechatpay_v3_signature and
///   find_wechatpay_v3_key, timestamp_outside_window, body_malformed, answer_about_another,
///   query_refused, merchant_mismatch, app_mismatch, sub_merchant_mismatch
[[nodiscard]] Result<QueryAnswer> wechatpay_v3_query_answer(const Query& query,
                                                            const HttpResponse& response,
                                                            const WechatpayV3Settings& settings,
                                                            TimePoint now);

/// The value of the only field `name` of a response, compared without case; empty where there is
/// none or several.
[[nodiscard]] std::string_view only_header(const HttpResponse& response, std::string_view name);

}  // namespace postern::channel
