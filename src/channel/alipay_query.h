#pragma once

#include <string>

#include "base/result.h"
#include "channel/alipay_settings.h"
#include "channel/query.h"

namespace postern::channel {

/// Where and as whom an Alipay application asks.
struct AlipayCaller {
  std::string gateway = "https://openapi.alipay.com/gateway.do";
  std::string app_cert_sn;   ///< certificate mode only
  std::string root_cert_sn;  ///< certificate mode only
};

/// The request `alipay.trade.query` or `alipay.trade.fastpay.refund.query` (OpenAPI version 2): a
/// signed form. @errors application_key_missing, signing_failed, gateway_malformed
/// @source Alipay open platform, trade query, refund query; alipay-sdk-nodejs-all alipay.ts
[[nodiscard]] Result<QueryCall> alipay_query_call(const Query& query,
                                                  const AlipaySettings& settings,
                                                  const AlipayCaller& caller,
                                                  const QueryStamp& stamp);

/// Reads what the platform answered.
///
/// | asked | code | in the answer | facts |
/// |---|---|---|---|
/// | attempt | 10000 | TRADE_SUCCESS, TRADE_FINISHED | payment |
/// | | | TRADE_CLOSED, send_pay_date | payment, refund of all of it |
/// | | | TRADE_CLOSED | close |
/// | | | WAIT_BUYER_PAY, anything else | none: pending |
/// | | 40004 | ACQ.TRADE_NOT_EXIST | none: pending |
/// | refund | 10000 | refund_status REFUND_SUCCESS | refund |
/// | | | no refund_status | none: pending |
///
/// The answer counts only with a signature over its raw bytes, and only if it is about what was
/// asked: it names no app and no seller, but the number, which is unique to the app that signed.
/// @errors kRetryable platform_unavailable (not HTTP 200, or the platform's own trouble);
///   kRejected as verify_alipay_response, certificate_expired, certificate_untrusted, key_unknown,
///   body_malformed, answer_about_another, query_refused (with the platform's code)
[[nodiscard]] Result<QueryAnswer> alipay_query_answer(const Query& query,
                                                      const HttpResponse& response,
                                                      const AlipaySettings& settings,
                                                      TimePoint now);

}  // namespace postern::channel
