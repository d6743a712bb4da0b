// Questions to Alipay (OpenAPI version 2) and its answers. Sums are yuan with two decimals, times
// "yyyy-MM-dd HH:mm:ss" in China.
#include "channel/alipay_query.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "channel/alipay_openapi.h"
#include "channel/json.h"
#include "channel/pairs.h"
#include "channel/statement.h"
#include "core/money.h"

namespace postern::channel {
namespace {

namespace json = boost::json;
using core::Fact;
using core::Money;

constexpr std::string_view kTradeQuery = "alipay.trade.query";
constexpr std::string_view kRefundQuery = "alipay.trade.fastpay.refund.query";

[[nodiscard]] std::string_view method_of(const Query& query) {
  return query.refund_number.empty() ? kTradeQuery : kRefundQuery;
}

/// Verifies with whichever of the account's keys holds; in certificate mode the answer names one.
[[nodiscard]] Result<std::string_view> verified_part(std::string_view body, std::string_view method,
                                                     const AlipaySettings& settings,
                                                     TimePoint now) {
  POSTERN_ASSIGN_OR_RETURN(const json::object whole, parse_json_object(body));
  const std::string_view named = json_text(whole, "alipay_cert_sn");
  const std::optional<std::string_view> sn = named.empty() ? std::nullopt : std::optional(named);
  POSTERN_ASSIGN_OR_RETURN(const std::vector<AlipaySigner> signers,
                           alipay_signers(settings, sn, now));
  Result<std::string_view> verified = rejected("signature_not_verified");
  for (const AlipaySigner& signer : signers) {
    verified = verify_alipay_response(body, method, *signer.key);
    if (verified) break;
  }
  return verified;
}

[[nodiscard]] Result<TimePoint> time_of(const json::object& answer, std::string_view name,
                                        TimePoint otherwise) {
  const std::string_view text = json_text(answer, name);
  if (text.empty()) return otherwise;
  const std::optional<TimePoint> time = parse_china_time(text);
  if (!time) return body_malformed(fmt::format("{} is not a time", name));
  return *time;
}

[[nodiscard]] Result<Money> sum_of(const json::object& answer, std::string_view name) {
  const std::string_view priced = json_text(answer, "trans_currency");
  POSTERN_ASSIGN_OR_RETURN(
      const core::Currency currency,
      read_currency(priced.empty() ? json_text(answer, "pay_currency") : priced));
  Result<Money> sum = Money::parse_major(json_text(answer, name), currency);
  if (!sum) return body_malformed(fmt::format("{} is not a sum of money", name));
  return sum;
}

[[nodiscard]] Result<QueryAnswer> read_trade(const Query& query, const json::object& answer,
                                             TimePoint now) {
  POSTERN_RETURN_IF_ERROR(
      check_names("out_trade_no", json_text(answer, "out_trade_no"), query.attempt.number));
  const std::string_view status = json_text(answer, "trade_status");
  const bool paid = status == "TRADE_SUCCESS" || status == "TRADE_FINISHED";
  if (!paid && status != "TRADE_CLOSED") return pending_answer(status);
  POSTERN_ASSIGN_OR_RETURN(const TimePoint paid_at, time_of(answer, "send_pay_date", now));
  if (!paid && json_text(answer, "send_pay_date").empty()) {
    return final_answer({Fact::close(query.attempt, now)}, status);
  }
  POSTERN_ASSIGN_OR_RETURN(std::string trade_no,
                           read_id(json_text(answer, "trade_no"), "trade_no"));
  POSTERN_ASSIGN_OR_RETURN(const Money total, sum_of(answer, "total_amount"));
  std::vector<Fact> facts = {Fact::payment(query.attempt, trade_no, total, paid_at)};
  // A paid trade is closed by refunding all of it.
  if (!paid) facts.push_back(Fact::refund_total(query.attempt, trade_no, total, now));
  return final_answer(std::move(facts), status);
}

[[nodiscard]] Result<QueryAnswer> read_refund(const Query& query, const json::object& answer,
                                              TimePoint now) {
  const std::string_view status = json_text(answer, "refund_status");
  // While the refund is unknown or not done the answer names nothing at all.
  if (status != "REFUND_SUCCESS")
    return pending_answer(status.empty() ? "no refund_status" : status);
  POSTERN_RETURN_IF_ERROR(
      check_names("out_trade_no", json_text(answer, "out_trade_no"), query.attempt.number));
  POSTERN_RETURN_IF_ERROR(
      check_names("out_request_no", json_text(answer, "out_request_no"), query.refund_number));
  POSTERN_ASSIGN_OR_RETURN(std::string trade_no,
                           read_id(json_text(answer, "trade_no"), "trade_no"));
  POSTERN_ASSIGN_OR_RETURN(const Money refunded, sum_of(answer, "refund_amount"));
  POSTERN_ASSIGN_OR_RETURN(const TimePoint at, time_of(answer, "gmt_refund_pay", now));
  return final_answer(
      {Fact::refund(query.attempt, std::move(trade_no), query.refund_number, refunded, at)},
      status);
}

}  // namespace

Result<QueryCall> alipay_query_call(const Query& query, const AlipaySettings& settings,
                                    const AlipayCaller& caller, const QueryStamp& stamp) {
  if (!settings.application_key) {
    return fault("application_key_missing", "set application_key, with which queries are signed");
  }
  const std::size_t path = caller.gateway.find('/', caller.gateway.find("://") + 3);
  if (path == std::string::npos) return fault("gateway_malformed");
  json::object content = {{"out_trade_no", query.attempt.number}};
  if (!query.refund_number.empty()) {
    content["out_request_no"] = query.refund_number;
    content["query_options"] = json::array({"gmt_refund_pay"});
  }
  Pairs pairs = {{"app_id", settings.app_id}, {"method", std::string(method_of(query))},
                 {"format", "JSON"},          {"charset", "utf-8"},
                 {"sign_type", "RSA2"},       {"timestamp", format_china_time(stamp.now)},
                 {"version", "1.0"},          {"biz_content", json::serialize(content)}};
  if (!caller.app_cert_sn.empty()) {
    pairs.emplace_back("app_cert_sn", caller.app_cert_sn);
    pairs.emplace_back("alipay_root_cert_sn", caller.root_cert_sn);
  }
  POSTERN_ASSIGN_OR_RETURN(const Fields fields, to_fields(pairs));
  POSTERN_ASSIGN_OR_RETURN(std::string sign,
                           sign_alipay_request(fields, *settings.application_key));
  pairs.emplace_back("sign", std::move(sign));
  QueryCall call{.origin = caller.gateway.substr(0, path), .request = {}};
  call.request.method = "POST";
  // The platform reads `charset` before the body, so it stands in the target too.
  call.request.target = caller.gateway.substr(path) + "?charset=utf-8";
  call.request.headers.add("Content-Type", "application/x-www-form-urlencoded;charset=utf-8");
  call.request.headers.add("Accept", "application/json");
  call.request.body = encode_form(pairs);
  return call;
}

Result<QueryAnswer> alipay_query_answer(const Query& query, const HttpResponse& response,
                                        const AlipaySettings& settings, TimePoint now) {
  if (response.code != 200) {
    return retryable("platform_unavailable", fmt::format("HTTP {}", response.code));
  }
  POSTERN_ASSIGN_OR_RETURN(const std::string_view part,
                           verified_part(response.body, method_of(query), settings, now));
  POSTERN_ASSIGN_OR_RETURN(const json::object answer, parse_json_object(part));
  const std::string_view code = json_text(answer, "code");
  const std::string_view sub_code = json_text(answer, "sub_code");
  if (code == "40004" && sub_code == "ACQ.TRADE_NOT_EXIST") return pending_answer(sub_code);
  if (code == "20000" || (code == "40004" && sub_code == "ACQ.SYSTEM_ERROR")) {
    return retryable("platform_unavailable", std::string(label(sub_code)));
  }
  if (code != "10000") {
    return rejected("query_refused", fmt::format("{} {}", label(code), label(sub_code)));
  }
  return query.refund_number.empty() ? read_trade(query, answer, now)
                                     : read_refund(query, answer, now);
}

}  // namespace postern::channel
