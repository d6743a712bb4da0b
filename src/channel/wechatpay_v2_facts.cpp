// What a WeChat Pay v2 message says about orders. Sums are fen as digits (in sub_order_list as JSON
// integers), times "yyyyMMddHHmmss" or, in refund notices, "yyyy-MM-dd HH:mm:ss", in China.
#include "channel/wechatpay_v2_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "channel/json.h"
#include "channel/statement.h"
#include "core/fact.h"
#include "core/money.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"

namespace postern::channel {
namespace {

namespace json = boost::json;
using core::Fact;
using core::Money;

[[nodiscard]] Result<TimePoint> compact_time(std::string_view text, TimePoint otherwise) {
  if (text.empty()) return otherwise;
  const std::optional<TimePoint> time = parse_china_time_compact(text);
  if (!time) return body_malformed("time_end is not a time");
  return *time;
}

/// Names a message that has no id of its own, leaving out what differs between copies.
[[nodiscard]] std::string content_key(const Fields& fields) {
  std::string text;
  for (const std::uint16_t index : fields.by_name()) {
    const Fields::Pair& field = fields.pairs()[index];
    if (field.first == "sign" || field.first == "nonce_str") continue;
    text += fmt::format("{}={}\n", field.first, field.second);
  }
  return crypto::hex_encode(crypto::digest(crypto::DigestAlgorithm::kSha256, text));
}

[[nodiscard]] Result<Statement> payment_statement(const Fields& fields, const AccountName& account,
                                                  std::string sub_merchant, TimePoint received_at) {
  const std::string_view result = fields.text("result_code");
  const std::string_view state = fields.text("trade_state");
  if (result != "SUCCESS" || (!state.empty() && state != "SUCCESS")) {
    return nothing_to_record(content_key(fields), fmt::format("result_code {} {}", label(result),
                                                              label(fields.text("err_code"))));
  }
  POSTERN_ASSIGN_OR_RETURN(std::string number,
                           read_id(fields.text("out_trade_no"), "out_trade_no"));
  POSTERN_ASSIGN_OR_RETURN(std::string payment_id,
                           read_id(fields.text("transaction_id"), "transaction_id"));
  POSTERN_ASSIGN_OR_RETURN(const Money paid, read_fee_v2(fields, "total_fee", "fee_type"));
  POSTERN_ASSIGN_OR_RETURN(const TimePoint at, compact_time(fields.text("time_end"), received_at));
  core::AttemptKey attempt{account, std::move(sub_merchant), std::move(number)};
  return facts_to_record({Fact::payment(std::move(attempt), std::move(payment_id), paid, at)},
                         content_key(fields), "result_code SUCCESS");
}

[[nodiscard]] Result<Statement> refund_statement(const Fields& fields, const AccountName& account,
                                                 std::string sub_merchant, TimePoint received_at) {
  POSTERN_ASSIGN_OR_RETURN(std::string number,
                           read_id(fields.text("out_trade_no"), "out_trade_no"));
  POSTERN_ASSIGN_OR_RETURN(std::string payment_id,
                           read_id(fields.text("transaction_id"), "transaction_id"));
  POSTERN_ASSIGN_OR_RETURN(std::string refund_id, read_id(fields.text("refund_id"), "refund_id"));
  POSTERN_ASSIGN_OR_RETURN(const Money sum, read_fee_v2(fields, "refund_fee", "refund_fee_type"));
  const std::string_view state = fields.text("refund_status");
  TimePoint at = received_at;
  if (const std::string_view text = fields.text("success_time"); !text.empty()) {
    const std::optional<TimePoint> time = parse_china_time(text);
    if (!time) return body_malformed("success_time is not a time");
    at = *time;
  }
  std::string key = fmt::format("{} {}", refund_id, label(state));
  std::string summary = fmt::format("refund_status {}", label(state));
  const bool refunded = state == "SUCCESS";
  if (!refunded && state != "CHANGE" && state != "REFUNDCLOSE") {
    return nothing_to_record(std::move(key), std::move(summary));
  }
  core::AttemptKey attempt{account, std::move(sub_merchant), std::move(number)};
  Fact fact = refunded ? Fact::refund(std::move(attempt), std::move(payment_id),
                                      std::move(refund_id), sum, at)
                       : Fact::refund_failure(std::move(attempt), std::move(payment_id),
                                              std::move(refund_id), sum, at);
  Statement statement = facts_to_record({std::move(fact)}, std::move(key), std::move(summary));
  statement.purpose = Statement::Purpose::kToBeConfirmed;
  return statement;
}

[[nodiscard]] Result<json::array> sub_orders_of(const Fields& fields) {
  POSTERN_ASSIGN_OR_RETURN(json::object list, parse_json_object(fields.text("sub_order_list")));
  json::value* orders = list.if_contains("order_list");
  if (orders == nullptr || !orders->is_array()) return body_malformed("order_list is not a list");
  // A list that is shorter than it says was cut somewhere, so nothing in it is beyond doubt.
  const std::optional<std::int64_t> announced = json_integer(list, "order_num");
  if (announced && *announced != static_cast<std::int64_t>(orders->get_array().size())) {
    return body_malformed("order_num differs from the length of order_list");
  }
  return std::move(orders->get_array());
}

[[nodiscard]] Result<std::string> sub_merchant_of_order(const json::object& order,
                                                        const Merchants& merchants) {
  return sub_merchant_of_part(merchants, json_text(order, "mch_id"),
                              json_text(order, "sub_mch_id"));
}

/// One order of a combined payment; an error says why it is left out.
[[nodiscard]] Result<Fact> sub_order_payment(const json::value& value, const AccountName& account,
                                             const Merchants& merchants, TimePoint received_at) {
  const json::object* order = value.if_object();
  if (order == nullptr) return body_malformed("not an object");
  POSTERN_ASSIGN_OR_RETURN(std::string sub_merchant, sub_merchant_of_order(*order, merchants));
  POSTERN_ASSIGN_OR_RETURN(std::string number,
                           read_id(json_text(*order, "out_trade_no"), "out_trade_no"));
  POSTERN_ASSIGN_OR_RETURN(std::string payment_id,
                           read_id(json_text(*order, "transaction_id"), "transaction_id"));
  const std::optional<std::int64_t> minor = json_integer(*order, "total_fee");
  if (!minor) return body_malformed("total_fee is not an integer");
  POSTERN_ASSIGN_OR_RETURN(const core::Currency currency,
                           read_currency(json_text(*order, "fee_type")));
  POSTERN_ASSIGN_OR_RETURN(const Money paid, read_minor(*minor, currency));
  POSTERN_ASSIGN_OR_RETURN(const TimePoint at,
                           compact_time(json_text(*order, "time_end"), received_at));
  return Fact::payment({account, std::move(sub_merchant), std::move(number)}, std::move(payment_id),
                       paid, at);
}

[[nodiscard]] Result<Statement> combined_statement(const Fields& fields, const AccountName& account,
                                                   const Merchants& merchants,
                                                   TimePoint received_at) {
  std::string summary = fmt::format("combined, result_code {}", label(fields.text("result_code")));
  if (fields.text("result_code") != "SUCCESS") {
    return nothing_to_record(content_key(fields), std::move(summary));
  }
  POSTERN_ASSIGN_OR_RETURN(const json::array orders, sub_orders_of(fields));
  std::vector<Fact> facts;
  std::vector<std::string> left_out;
  for (const json::value& order : orders) {
    Result<Fact> fact = sub_order_payment(order, account, merchants, received_at);
    if (fact) {
      facts.push_back(std::move(*fact));
      continue;
    }
    const std::string_view number =
        order.is_object() ? json_text(order.get_object(), "out_trade_no") : std::string_view();
    left_out.push_back(fmt::format("{}: {}", label(number), fact.error().code));
    summary += fmt::format(", left out {}", left_out.back());
  }
  if (facts.empty()) return body_malformed("no sub-order of ours is readable");
  Statement statement = facts_to_record(std::move(facts), content_key(fields), std::move(summary));
  statement.left_out = std::move(left_out);
  return statement;
}

}  // namespace

Result<Money> read_fee_v2(const Fields& fields, std::string_view name,
                          std::string_view currency_name) {
  POSTERN_ASSIGN_OR_RETURN(const core::Currency currency,
                           read_currency(fields.text(currency_name)));
  Result<Money> sum = Money::parse_minor(fields.text(name), currency);
  if (!sum) return body_malformed(fmt::format("{} is not a sum of money", name));
  return sum;
}

bool is_combined_v2(const Fields& fields) {
  return fields.find("combine_mch_id") || fields.find("sub_order_list") ||
         fields.find("combine_out_trade_no");
}

Result<void> check_combined_v2(const Fields& fields, const Merchants& merchants) {
  // A failed checkout may come without the list; nothing is recorded of it then.
  if (fields.text("result_code") != "SUCCESS") return {};
  POSTERN_ASSIGN_OR_RETURN(const json::array orders, sub_orders_of(fields));
  const bool any_ours = std::ranges::any_of(orders, [&](const json::value& order) {
    return order.is_object() && sub_merchant_of_order(order.get_object(), merchants).has_value();
  });
  if (any_ours) return {};
  return rejected("sub_merchant_mismatch", "no sub-order is ours or of our `sub_merchants`");
}

Result<Statement> wechatpay_v2_statement(const VerifiedCallback& callback,
                                         const AccountName& account, const Merchants& merchants) {
  const auto* fields = std::get_if<Fields>(&callback.content());
  if (fields == nullptr) return body_malformed("this is not a WeChat Pay v2 message");
  const TimePoint received_at = callback.received_at();
  if (is_combined_v2(*fields) && callback.trust() == Trust::kSigned) {
    return combined_statement(*fields, account, merchants, received_at);
  }
  POSTERN_ASSIGN_OR_RETURN(std::string sub_merchant,
                           sub_merchant_of(merchants, fields->text("sub_mch_id")));
  switch (callback.trust()) {
    case Trust::kSigned:
      return payment_statement(*fields, account, std::move(sub_merchant), received_at);
    case Trust::kEncrypted:
      return refund_statement(*fields, account, std::move(sub_merchant), received_at);
  }
  return body_malformed("this is not a WeChat Pay v2 message");
}

}  // namespace postern::channel
