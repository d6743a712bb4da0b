// Questions to WeChat Pay (API v3) and its answers. Sums are whole fen as JSON integers, times RFC
// 3339.
#include "channel/wechatpay_v3_query.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "channel/json.h"
#include "channel/statement.h"
#include "channel/text.h"
#include "channel/wechatpay_v3_api.h"
#include "channel/wechatpay_v3_identity.h"
#include "core/money.h"

namespace postern::channel {
namespace {

namespace json = boost::json;
using core::Fact;
using core::Money;

[[nodiscard]] std::string percent_encode(std::string_view text) {
  return boost::urls::encode(text, boost::urls::unreserved_chars);
}

[[nodiscard]] std::string target_of(const Query& query, const Merchants& merchants) {
  const std::string& sub = query.attempt.sub_merchant;
  if (!query.refund_number.empty()) {
    const std::string path =
        fmt::format("/v3/refund/domestic/refunds/{}", percent_encode(query.refund_number));
    return sub.empty() ? path : fmt::format("{}?sub_mchid={}", path, percent_encode(sub));
  }
  const std::string number = percent_encode(query.attempt.number);
  const std::string own = percent_encode(merchants.own);
  if (sub.empty()) {
    return fmt::format("/v3/pay/transactions/out-trade-no/{}?mchid={}", number, own);
  }
  return fmt::format("/v3/pay/partner/transactions/out-trade-no/{}?sp_mchid={}&sub_mchid={}",
                     number, own, percent_encode(sub));
}

[[nodiscard]] Result<void> verify(const HttpResponse& response, const WechatpayV3Settings& settings,
                                  TimePoint now) {
  const WechatpayV3Signed message{.timestamp = only_header(response, "Wechatpay-Timestamp"),
                                  .nonce = only_header(response, "Wechatpay-Nonce"),
                                  .signature = only_header(response, "Wechatpay-Signature"),
                                  .body = response.body};
  if (message.signature.empty()) return rejected("signature_missing");
  POSTERN_RETURN_IF_ERROR(check_wechatpay_v3_timestamp(message.timestamp, now));
  POSTERN_ASSIGN_OR_RETURN(const WechatpayV3Key* key,
                           find_wechatpay_v3_key(settings.platform_keys,
                                                 only_header(response, "Wechatpay-Serial"), now));
  return verify_wechatpay_v3_signature(message, key->key);
}

[[nodiscard]] Result<Money> sum_of(const json::object& answer, std::string_view member) {
  const json::object* amount = json_object(answer, "amount");
  const std::optional<std::int64_t> minor =
      amount == nullptr ? std::nullopt : json_integer(*amount, member);
  if (!minor) return body_malformed(fmt::format("amount.{} is not an integer", member));
  POSTERN_ASSIGN_OR_RETURN(const core::Currency currency,
                           read_currency(json_text(*amount, "currency")));
  return read_minor(*minor, currency);
}

[[nodiscard]] Result<TimePoint> success_time(const json::object& answer, TimePoint otherwise) {
  const std::string_view text = json_text(answer, "success_time");
  if (text.empty()) return otherwise;
  const std::optional<TimePoint> time = parse_rfc3339(text);
  if (!time) return body_malformed("success_time is not a time");
  return *time;
}

[[nodiscard]] Result<QueryAnswer> read_transaction(const Query& query, const json::object& answer,
                                                   const WechatpayV3Settings& settings,
                                                   TimePoint now) {
  POSTERN_RETURN_IF_ERROR(
      check_names("out_trade_no", json_text(answer, "out_trade_no"), query.attempt.number));
  POSTERN_ASSIGN_OR_RETURN(
      const std::string sub_merchant,
      identify_wechatpay_v3(answer, "TRANSACTION.SUCCESS", "transaction", settings));
  if (sub_merchant != query.attempt.sub_merchant) {
    return rejected("answer_about_another", "the answer names another sub-merchant");
  }
  const std::string_view state = json_text(answer, "trade_state");
  if (state == "CLOSED" || state == "REVOKED") {
    return final_answer({Fact::close(query.attempt, now)}, state);
  }
  if (state == "PAYERROR") return final_answer({Fact::failure(query.attempt, now)}, state);
  if (state != "SUCCESS" && state != "REFUND") return pending_answer(state);
  POSTERN_ASSIGN_OR_RETURN(std::string payment_id,
                           read_id(json_text(answer, "transaction_id"), "transaction_id"));
  POSTERN_ASSIGN_OR_RETURN(const Money paid, sum_of(answer, "total"));
  POSTERN_ASSIGN_OR_RETURN(const TimePoint at, success_time(answer, now));
  return final_answer({Fact::payment(query.attempt, std::move(payment_id), paid, at)}, state);
}

/// A refund's answer names no merchant: it is asked for by number, and signed for us alone.
[[nodiscard]] Result<QueryAnswer> read_refund(const Query& query, const json::object& answer,
                                              TimePoint now) {
  POSTERN_RETURN_IF_ERROR(
      check_names("out_refund_no", json_text(answer, "out_refund_no"), query.refund_number));
  POSTERN_RETURN_IF_ERROR(
      check_names("out_trade_no", json_text(answer, "out_trade_no"), query.attempt.number));
  const std::string_view status = json_text(answer, "status");
  const bool failed = status == "ABNORMAL" || status == "CLOSED";
  if (status != "SUCCESS" && !failed) return pending_answer(status);
  POSTERN_ASSIGN_OR_RETURN(std::string payment_id,
                           read_id(json_text(answer, "transaction_id"), "transaction_id"));
  POSTERN_ASSIGN_OR_RETURN(std::string refund_id,
                           read_id(json_text(answer, "refund_id"), "refund_id"));
  POSTERN_ASSIGN_OR_RETURN(const Money sum, sum_of(answer, "refund"));
  POSTERN_ASSIGN_OR_RETURN(const TimePoint at, success_time(answer, now));
  return final_answer(
      {failed ? Fact::refund_failure(query.attempt, std::move(payment_id), std::move(refund_id),
                                     sum, at)
              : Fact::refund(query.attempt, std::move(payment_id), std::move(refund_id), sum, at)},
      status);
}

}  // namespace

std::string_view only_header(const HttpResponse& response, std::string_view name) {
  std::string_view found;
  bool is_there = false;
  for (const auto& [field, value] : response.headers) {
    if (!equal_without_case(field, name)) continue;
    if (is_there) return {};
    is_there = true;
    found = value;
  }
  return found;
}

Result<QueryCall> wechatpay_v3_query_call(const Query& query, const WechatpayV3Settings& settings,
                                          const WechatpayV3Caller& caller,
                                          const QueryStamp& stamp) {
  QueryCall call{.origin = caller.origin, .request = {}};
  call.request.method = "GET";
  call.request.target = target_of(query, settings.merchants);
  const std::string timestamp = fmt::format(
      "{}", std::chrono::floor<std::chrono::seconds>(stamp.now).time_since_epoch().count());
  POSTERN_ASSIGN_OR_RETURN(const std::string authorization,
                           wechatpay_v3_authorization({.mchid = settings.merchants.own,
                                                       .serial_no = caller.serial_no,
                                                       .nonce = stamp.nonce,
                                                       .timestamp = timestamp,
                                                       .method = call.request.method,
                                                       .target = call.request.target,
                                                       .body = {}},
                                                      caller.key));
  call.request.headers.add("Authorization", authorization);
  call.request.headers.add("Accept", "application/json");
  call.request.headers.add("User-Agent", "Postern");
  return call;
}

Result<QueryAnswer> wechatpay_v3_query_answer(const Query& query, const HttpResponse& response,
                                              const WechatpayV3Settings& settings, TimePoint now) {
  if (response.code == 429 || response.code >= 500) {
    return retryable("platform_unavailable", fmt::format("HTTP {}", response.code));
  }
  POSTERN_RETURN_IF_ERROR(verify(response, settings, now));
  POSTERN_ASSIGN_OR_RETURN(const json::object answer, parse_json_object(response.body));
  if (response.code != 200) {
    const std::string_view code = json_text(answer, "code");
    const bool unknown = code == "ORDER_NOT_EXIST" || code == "RESOURCE_NOT_EXISTS";
    if (response.code == 404 && unknown) return pending_answer(code);
    return rejected("query_refused", fmt::format("HTTP {} {}", response.code, label(code)));
  }
  return query.refund_number.empty() ? read_transaction(query, answer, settings, now)
                                     : read_refund(query, answer, now);
}

}  // namespace postern::channel
