// Questions to WeChat Pay (API v2) and its answers: flat, signed XML. Sums are fen as digits, times
// "yyyyMMddHHmmss" or, of refunds, "yyyy-MM-dd HH:mm:ss", in China.
#include "channel/wechatpay_v2_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <pugixml.hpp>
#include <sstream>
#include <string_view>
#include <utility>

#include "channel/statement.h"
#include "channel/wechatpay_v2_facts.h"
#include "channel/wechatpay_v2_signature.h"
#include "channel/xml.h"
#include "core/money.h"

namespace postern::channel {
namespace {

using core::Fact;
using core::Money;

/// Refunds of one payment that an answer may list.
constexpr int kRefundsMax = 50;

[[nodiscard]] std::string to_xml(const Fields& fields) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("xml");
  for (const auto& [name, value] : fields.pairs()) {
    root.append_child(std::string(name).c_str())
        .append_child(pugi::node_pcdata)
        .set_value(std::string(value).c_str());
  }
  std::ostringstream text;
  document.save(text, "", pugi::format_raw | pugi::format_no_declaration);
  return text.str();
}

[[nodiscard]] Result<void> check_identity(const Query& query, const Fields& answer,
                                          const WechatpayV2Settings& settings) {
  if (answer.text("mch_id") != settings.merchants.own) return rejected("merchant_mismatch");
  if (!holds(settings.app_ids, answer.text("appid"))) return rejected("app_mismatch");
  POSTERN_ASSIGN_OR_RETURN(const std::string sub,
                           sub_merchant_of(settings.merchants, answer.text("sub_mch_id")));
  if (sub == query.attempt.sub_merchant) return {};
  return rejected("answer_about_another", "the answer names another sub-merchant");
}

/// The key to sign with.
[[nodiscard]] Result<const Secret*> key_at(const SymmetricKeys& keys, TimePoint now) {
  for (std::size_t i = 0; i < keys.texts.size(); ++i) {
    if (keys.windows[i].holds(now)) return &keys.texts[i];
  }
  return fault("key_not_in_force", "no API key of the account counts now");
}

[[nodiscard]] Result<QueryAnswer> read_order(const Query& query, const Fields& answer,
                                             TimePoint now) {
  POSTERN_RETURN_IF_ERROR(
      check_names("out_trade_no", answer.text("out_trade_no"), query.attempt.number));
  const std::string_view state = answer.text("trade_state");
  if (state == "CLOSED" || state == "REVOKED") {
    return final_answer({Fact::close(query.attempt, now)}, state);
  }
  if (state != "SUCCESS" && state != "REFUND") return pending_answer(state);
  POSTERN_ASSIGN_OR_RETURN(std::string payment_id,
                           read_id(answer.text("transaction_id"), "transaction_id"));
  POSTERN_ASSIGN_OR_RETURN(const Money paid, read_fee_v2(answer, "total_fee", "fee_type"));
  const std::optional<TimePoint> at = parse_china_time_compact(answer.text("time_end"));
  if (!at && !answer.text("time_end").empty()) return body_malformed("time_end is not a time");
  return final_answer({Fact::payment(query.attempt, std::move(payment_id), paid, at.value_or(now))},
                      state);
}

/// Which of the listed refunds is the one that was asked about.
[[nodiscard]] std::optional<int> place_of(std::string_view refund_number, const Fields& answer) {
  for (int i = 0; i < kRefundsMax; ++i) {
    if (answer.text(fmt::format("out_refund_no_{}", i)) == refund_number) return i;
  }
  return std::nullopt;
}

[[nodiscard]] Result<QueryAnswer> read_refund(const Query& query, const Fields& answer,
                                              TimePoint now) {
  POSTERN_RETURN_IF_ERROR(
      check_names("out_trade_no", answer.text("out_trade_no"), query.attempt.number));
  const std::optional<int> place = place_of(query.refund_number, answer);
  if (!place) return rejected("answer_about_another", "the answer does not list the refund");
  const std::string_view status = answer.text(fmt::format("refund_status_{}", *place));
  const bool failed = status == "REFUNDCLOSE" || status == "CHANGE";
  if (status != "SUCCESS" && !failed) return pending_answer(status);
  POSTERN_ASSIGN_OR_RETURN(std::string payment_id,
                           read_id(answer.text("transaction_id"), "transaction_id"));
  POSTERN_ASSIGN_OR_RETURN(std::string refund_id,
                           read_id(answer.text(fmt::format("refund_id_{}", *place)), "refund_id"));
  POSTERN_ASSIGN_OR_RETURN(const Money sum,
                           read_fee_v2(answer, fmt::format("refund_fee_{}", *place), "fee_type"));
  const std::string_view text = answer.text(fmt::format("refund_success_time_{}", *place));
  const std::optional<TimePoint> at = parse_china_time(text);
  if (!at && !text.empty()) return body_malformed("refund_success_time is not a time");
  return final_answer({failed ? Fact::refund_failure(query.attempt, std::move(payment_id),
                                                     std::move(refund_id), sum, at.value_or(now))
                              : Fact::refund(query.attempt, std::move(payment_id),
                                             std::move(refund_id), sum, at.value_or(now))},
                      status);
}

}  // namespace

Result<QueryCall> wechatpay_v2_query_call(const Query& query, const WechatpayV2Settings& settings,
                                          const WechatpayV2Caller& caller,
                                          const QueryStamp& stamp) {
  const WechatpayV2SignType type = settings.sign_types.front();
  Fields fields;
  POSTERN_RETURN_IF_ERROR(fields.add("appid", settings.app_ids.front()));
  POSTERN_RETURN_IF_ERROR(fields.add("mch_id", settings.merchants.own));
  if (!query.attempt.sub_merchant.empty()) {
    POSTERN_RETURN_IF_ERROR(fields.add("sub_mch_id", query.attempt.sub_merchant));
  }
  POSTERN_RETURN_IF_ERROR(fields.add("nonce_str", stamp.nonce));
  if (query.refund_number.empty()) {
    POSTERN_RETURN_IF_ERROR(fields.add("out_trade_no", query.attempt.number));
  } else {
    POSTERN_RETURN_IF_ERROR(fields.add("out_refund_no", query.refund_number));
  }
  POSTERN_RETURN_IF_ERROR(fields.add("sign_type", name(type)));
  POSTERN_ASSIGN_OR_RETURN(const Secret* key, key_at(settings.api_keys, stamp.now));
  POSTERN_ASSIGN_OR_RETURN(const std::string sign, sign_wechatpay_v2(fields, type, *key));
  POSTERN_RETURN_IF_ERROR(fields.add("sign", sign));
  QueryCall call{.origin = caller.origin, .request = {}};
  call.request.method = "POST";
  call.request.target = query.refund_number.empty() ? "/pay/orderquery" : "/pay/refundquery";
  call.request.headers.add("Content-Type", "text/xml; charset=utf-8");
  call.request.body = to_xml(fields);
  return call;
}

Result<QueryAnswer> wechatpay_v2_query_answer(const Query& query, const HttpResponse& response,
                                              const WechatpayV2Settings& settings, TimePoint now) {
  if (response.code != 200) {
    return retryable("platform_unavailable", fmt::format("HTTP {}", response.code));
  }
  POSTERN_ASSIGN_OR_RETURN(const Fields answer, parse_flat_xml(response.body, "xml"));
  if (answer.text("return_code") != "SUCCESS") {
    return rejected("query_refused",
                    fmt::format("return_code {}", label(answer.text("return_code"))));
  }
  POSTERN_ASSIGN_OR_RETURN(
      const WechatpayV2Match match,
      verify_wechatpay_v2(answer, settings.api_keys.texts, settings.sign_types));
  if (!settings.api_keys.windows[match.key_index].holds(now)) {
    return rejected("signature_not_verified", "the API key that signed this does not count now");
  }
  if (answer.text("result_code") != "SUCCESS") {
    const std::string_view code = answer.text("err_code");
    if (code == "ORDERNOTEXIST" || code == "REFUNDNOTEXIST") return pending_answer(code);
    if (code == "SYSTEMERROR") return retryable("platform_unavailable", std::string(code));
    return rejected("query_refused", fmt::format("err_code {}", label(code)));
  }
  POSTERN_RETURN_IF_ERROR(check_identity(query, answer, settings));
  return query.refund_number.empty() ? read_order(query, answer, now)
                                     : read_refund(query, answer, now);
}

}  // namespace postern::channel
