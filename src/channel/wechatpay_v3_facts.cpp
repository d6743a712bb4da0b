// What a decrypted WeChat Pay v3 message says about orders. Sums are whole fen as JSON integers,
// times RFC 3339 (payscore: "yyyyMMddHHmmss" in China).
#include "channel/wechatpay_v3_facts.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "channel/json.h"
#include "channel/statement.h"
#include "channel/wechatpay_v3_identity.h"
#include "core/fact.h"
#include "core/money.h"

namespace postern::channel {
namespace {

namespace json = boost::json;
using core::Fact;
using core::Money;

/// A message taken apart.
struct Message {
  const json::object& envelope;
  const json::object& plaintext;
  const WechatpayV3Settings& settings;
  TimePoint received_at;
  std::string key;      ///< of the statement
  std::string summary;  ///< of the statement
};

/// The time `name` of `object`, else the envelope's; a time that is there must be readable.
[[nodiscard]] Result<TimePoint> time_of(const Message& message, const json::object& object) {
  std::string_view text = json_text(object, "success_time");
  if (text.empty()) text = json_text(message.envelope, "create_time");
  if (text.empty()) return message.received_at;
  const std::optional<TimePoint> time = parse_rfc3339(text);
  if (!time) return body_malformed("success_time is not a time");
  return *time;
}

/// The sum `member` of the object `amount`, which also may name the currency.
[[nodiscard]] Result<Money> sum_of(const json::object& object, std::string_view member) {
  const json::object* amount = json_object(object, "amount");
  if (amount == nullptr) return body_malformed("amount is not an object");
  const std::optional<std::int64_t> minor = json_integer(*amount, member);
  if (!minor) return body_malformed(fmt::format("amount.{} is not an integer", member));
  const json::value* named = amount->if_contains("currency");
  if (named != nullptr && !named->is_string()) return body_malformed("currency is not a text");
  POSTERN_ASSIGN_OR_RETURN(const core::Currency currency,
                           read_currency(json_text(*amount, "currency")));
  return read_minor(*minor, currency);
}

[[nodiscard]] Result<std::string> id_of(const json::object& object, std::string_view member) {
  return read_id(json_text(object, member), member);
}

[[nodiscard]] Result<core::AttemptKey> attempt_of(const Message& message,
                                                  std::string_view number_member,
                                                  std::string sub_merchant) {
  POSTERN_ASSIGN_OR_RETURN(std::string number, id_of(message.plaintext, number_member));
  return core::AttemptKey{message.settings.account, std::move(sub_merchant), std::move(number)};
}

[[nodiscard]] Result<Fact> payment_of(const Message& message, const json::object& order,
                                      std::string_view total_member, std::string sub_merchant) {
  POSTERN_ASSIGN_OR_RETURN(std::string number, id_of(order, "out_trade_no"));
  POSTERN_ASSIGN_OR_RETURN(std::string payment_id, id_of(order, "transaction_id"));
  POSTERN_ASSIGN_OR_RETURN(const Money paid, sum_of(order, total_member));
  POSTERN_ASSIGN_OR_RETURN(const TimePoint at, time_of(message, order));
  return Fact::payment({message.settings.account, std::move(sub_merchant), std::move(number)},
                       std::move(payment_id), paid, at);
}

/// One order of a combined payment; an error says why it is left out.
[[nodiscard]] Result<Fact> sub_order_payment(const Message& message, const json::value& value) {
  const json::object* order = value.if_object();
  if (order == nullptr) return body_malformed("not an object");
  POSTERN_ASSIGN_OR_RETURN(std::string sub_merchant, identify_sub_order(*order, message.settings));
  if (json_text(*order, "trade_state") != "SUCCESS") return rejected("not_paid");
  return payment_of(message, *order, "total_amount", std::move(sub_merchant));
}

[[nodiscard]] Result<Statement> combined_statement(Message message) {
  const json::value* sub_orders = message.plaintext.if_contains("sub_orders");
  if (sub_orders == nullptr || !sub_orders->is_array()) {
    return body_malformed("sub_orders is not a list");
  }
  std::vector<Fact> facts;
  std::vector<std::string> left_out;
  bool any_readable = false;
  for (const json::value& one : sub_orders->get_array()) {
    Result<Fact> fact = sub_order_payment(message, one);
    any_readable = any_readable || fact || fact.error().code != "body_malformed";
    if (fact) {
      facts.push_back(std::move(*fact));
      continue;
    }
    const std::string_view number =
        one.is_object() ? json_text(one.get_object(), "out_trade_no") : std::string_view();
    left_out.push_back(fmt::format("{}: {}", label(number), fact.error().code));
    message.summary += fmt::format(", left out {}", left_out.back());
  }
  if (!any_readable) return body_malformed("no sub-order is readable");
  Statement statement =
      facts.empty()
          ? nothing_to_record(std::move(message.key), std::move(message.summary))
          : facts_to_record(std::move(facts), std::move(message.key), std::move(message.summary));
  statement.left_out = std::move(left_out);
  return statement;
}

[[nodiscard]] Result<Statement> transaction_statement(Message message, std::string_view event,
                                                      std::string sub_merchant) {
  if (is_combined(message.plaintext)) return combined_statement(std::move(message));
  const std::string_view state = json_text(message.plaintext, "trade_state");
  message.summary += fmt::format(" {}", label(state));
  const bool paid = ((event == "TRANSACTION.SUCCESS" || event == "TRANSACTION.INDUSTRY_SUCCESS") &&
                     state == "SUCCESS") ||
                    (event == "TRANSACTION.PAY_BACK" && state == "PAY_BACK" &&
                     !json_text(message.plaintext, "transaction_id").empty());
  const bool failed = (event == "TRANSACTION.FAIL" && state == "FAIL") ||
                      (event == "TRANSACTION.INDUSTRY_FAILED" && state == "PAY_FAIL");
  if (paid) {
    POSTERN_ASSIGN_OR_RETURN(
        Fact fact, payment_of(message, message.plaintext, "total", std::move(sub_merchant)));
    return facts_to_record({std::move(fact)}, std::move(message.key), std::move(message.summary));
  }
  if (failed) {
    POSTERN_ASSIGN_OR_RETURN(core::AttemptKey attempt,
                             attempt_of(message, "out_trade_no", std::move(sub_merchant)));
    POSTERN_ASSIGN_OR_RETURN(const TimePoint at, time_of(message, message.plaintext));
    return facts_to_record({Fact::failure(std::move(attempt), at)}, std::move(message.key),
                           std::move(message.summary));
  }
  return nothing_to_record(std::move(message.key), std::move(message.summary));
}

[[nodiscard]] Result<Statement> refund_statement(Message message, std::string_view event,
                                                 std::string sub_merchant) {
  const std::string_view state = json_text(message.plaintext, "refund_status");
  message.summary += fmt::format(" {}", label(state));
  const bool refunded = event == "REFUND.SUCCESS" && state == "SUCCESS";
  const bool failed = (event == "REFUND.ABNORMAL" && state == "ABNORMAL") ||
                      (event == "REFUND.CLOSED" && state == "CLOSED");
  if (!refunded && !failed) {
    return nothing_to_record(std::move(message.key), std::move(message.summary));
  }
  POSTERN_ASSIGN_OR_RETURN(core::AttemptKey attempt,
                           attempt_of(message, "out_trade_no", std::move(sub_merchant)));
  POSTERN_ASSIGN_OR_RETURN(std::string payment_id, id_of(message.plaintext, "transaction_id"));
  POSTERN_ASSIGN_OR_RETURN(std::string refund_id, id_of(message.plaintext, "refund_id"));
  POSTERN_ASSIGN_OR_RETURN(const Money sum, sum_of(message.plaintext, "refund"));
  POSTERN_ASSIGN_OR_RETURN(const TimePoint at, time_of(message, message.plaintext));
  Fact fact = refunded ? Fact::refund(std::move(attempt), std::move(payment_id),
                                      std::move(refund_id), sum, at)
                       : Fact::refund_failure(std::move(attempt), std::move(payment_id),
                                              std::move(refund_id), sum, at);
  return facts_to_record({std::move(fact)}, std::move(message.key), std::move(message.summary));
}

/// The transaction by which a payscore order was paid, if it was one; nullptr otherwise.
[[nodiscard]] const json::object* only_transaction(const json::object& collection) {
  const json::value* details = collection.if_contains("details");
  if (details == nullptr || !details->is_array() || details->get_array().size() != 1) {
    return nullptr;
  }
  const json::object* only = details->get_array().front().if_object();
  return only == nullptr || json_text(*only, "transaction_id").empty() ? nullptr : only;
}

[[nodiscard]] Result<Statement> payscore_statement(Message message, std::string sub_merchant) {
  const json::object* collection = json_object(message.plaintext, "collection");
  const std::string_view state = json_text(message.plaintext, "state");
  message.summary += fmt::format(" {}", label(state));
  if (collection == nullptr || state != "DONE" || json_text(*collection, "state") != "USER_PAID") {
    return nothing_to_record(std::move(message.key), std::move(message.summary));
  }
  POSTERN_ASSIGN_OR_RETURN(core::AttemptKey attempt,
                           attempt_of(message, "out_order_no", std::move(sub_merchant)));
  const std::optional<std::int64_t> minor = json_integer(*collection, "paid_amount");
  if (!minor) return body_malformed("collection.paid_amount is not an integer");
  POSTERN_ASSIGN_OR_RETURN(const core::Currency currency, read_currency(""));
  POSTERN_ASSIGN_OR_RETURN(const Money paid, read_minor(*minor, currency));
  const json::object* paid_by = only_transaction(*collection);
  POSTERN_ASSIGN_OR_RETURN(std::string payment_id, paid_by == nullptr
                                                       ? id_of(message.plaintext, "order_id")
                                                       : id_of(*paid_by, "transaction_id"));
  POSTERN_ASSIGN_OR_RETURN(TimePoint at, time_of(message, message.plaintext));
  if (paid_by != nullptr && !json_text(*paid_by, "paid_time").empty()) {
    const auto paid_at = parse_china_time_compact(json_text(*paid_by, "paid_time"));
    if (!paid_at) return body_malformed("paid_time is not a time");
    at = *paid_at;
  }
  return facts_to_record({Fact::payment(std::move(attempt), std::move(payment_id), paid, at)},
                         std::move(message.key), std::move(message.summary));
}

}  // namespace

Result<Statement> wechatpay_v3_statement(const VerifiedCallback& callback,
                                         const WechatpayV3Settings& settings) {
  const auto* envelope = std::get_if<json::object>(&callback.content());
  const json::object* resource = envelope == nullptr ? nullptr : json_object(*envelope, "resource");
  const json::object* plaintext =
      resource == nullptr ? nullptr : json_object(*resource, "plaintext");
  if (plaintext == nullptr) return body_malformed("this is not a WeChat Pay v3 message");
  const std::string_view event = callback.event_type();
  const std::string_view original_type = json_text(*resource, "original_type");
  POSTERN_ASSIGN_OR_RETURN(std::string sub_merchant,
                           identify_wechatpay_v3(*plaintext, event, original_type, settings));
  Message message{*envelope,
                  *plaintext,
                  settings,
                  callback.received_at(),
                  callback.message_id(),
                  std::string(label(event))};
  if (!is_about_orders(event, original_type)) {
    return nothing_to_record(std::move(message.key), std::move(message.summary));
  }
  if (event == "PAYSCORE.USER_PAID") {
    return payscore_statement(std::move(message), std::move(sub_merchant));
  }
  if (event.starts_with("REFUND.")) {
    return refund_statement(std::move(message), event, std::move(sub_merchant));
  }
  return transaction_statement(std::move(message), event, std::move(sub_merchant));
}

}  // namespace postern::channel
