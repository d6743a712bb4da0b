// What an Alipay notification says about an order. Sums are yuan with two decimals, times are
// "yyyy-MM-dd HH:mm:ss" in China, gmt_refund with milliseconds.
#include "channel/alipay_facts.h"

#include <fmt/format.h>

#include <initializer_list>
#include <optional>
#include <string>

#include "base/clock.h"
#include "channel/statement.h"
#include "core/fact.h"
#include "core/money.h"

namespace postern::channel {
namespace {

using core::Fact;
using core::Money;

/// The first of the times `names` that the message gives. A time that is given but cannot be read
/// is an error, not a reason to take the next one.
[[nodiscard]] Result<TimePoint> first_time(const Fields& fields,
                                           std::initializer_list<std::string_view> names,
                                           TimePoint otherwise) {
  for (const std::string_view name : names) {
    const std::string_view text = fields.text(name);
    if (text.empty()) continue;
    const std::optional<TimePoint> time = parse_china_time(text);
    if (!time) return body_malformed(fmt::format("{} is not a time", name));
    return *time;
  }
  return otherwise;
}

/// As `read_id`, and without '&': Alipay's signed text does not escape it, so a text with '&' could
/// be two fields that somebody merged into one.
[[nodiscard]] Result<std::string> read_alipay_id(const Fields& fields, std::string_view name) {
  POSTERN_ASSIGN_OR_RETURN(std::string id, read_id(fields.text(name), name));
  if (id.find('&') != std::string::npos) return body_malformed(fmt::format("{} holds '&'", name));
  return id;
}

[[nodiscard]] Result<Money> read_sum(const Fields& fields, std::string_view name,
                                     core::Currency currency) {
  Result<Money> sum = Money::parse_major(fields.text(name), currency);
  if (!sum) return body_malformed(fmt::format("{} is not a sum of money", name));
  return sum;
}

/// total_amount and refund_fee are in the currency the trade was priced in.
[[nodiscard]] Result<core::Currency> currency_of(const Fields& fields) {
  const std::string_view pricing = fields.text("trans_currency");
  return read_currency(pricing.empty() ? fields.text("pay_currency") : pricing);
}

/// The cumulative refund; nothing where the message names none, or zero.
[[nodiscard]] Result<std::optional<Money>> refunded_sum(const Fields& fields) {
  if (fields.text("refund_fee").empty()) return std::nullopt;
  POSTERN_ASSIGN_OR_RETURN(const core::Currency currency, currency_of(fields));
  POSTERN_ASSIGN_OR_RETURN(const Money sum, read_sum(fields, "refund_fee", currency));
  return sum.minor() > 0 ? std::optional(sum) : std::nullopt;
}

/// What the facts of one paid trade are made from.
struct Trade {
  core::AttemptKey attempt;
  std::string trade_no;
  Money total;
  std::optional<Money> refunded;  ///< cumulative, above zero
  TimePoint paid_at;
  TimePoint refunded_at;
};

[[nodiscard]] Result<Trade> read_trade(const Fields& fields, core::AttemptKey attempt,
                                       TimePoint received_at) {
  POSTERN_ASSIGN_OR_RETURN(std::string trade_no, read_alipay_id(fields, "trade_no"));
  POSTERN_ASSIGN_OR_RETURN(const core::Currency currency, currency_of(fields));
  POSTERN_ASSIGN_OR_RETURN(const Money total, read_sum(fields, "total_amount", currency));
  POSTERN_ASSIGN_OR_RETURN(const std::optional<Money> refunded, refunded_sum(fields));
  // gmt_create comes before notify_time, because it is the same in every message about a trade.
  POSTERN_ASSIGN_OR_RETURN(
      const TimePoint paid_at,
      first_time(fields, {"gmt_payment", "gmt_create", "notify_time"}, received_at));
  POSTERN_ASSIGN_OR_RETURN(const TimePoint refunded_at,
                           first_time(fields, {"gmt_refund", "notify_time"}, received_at));
  return Trade{std::move(attempt), std::move(trade_no), total, refunded, paid_at, refunded_at};
}

[[nodiscard]] std::vector<Fact> payment_and_refunds(Trade trade) {
  std::vector<Fact> facts;
  facts.push_back(Fact::payment(trade.attempt, trade.trade_no, trade.total, trade.paid_at));
  if (trade.refunded) {
    facts.push_back(Fact::refund_total(std::move(trade.attempt), std::move(trade.trade_no),
                                       *trade.refunded, trade.refunded_at));
  }
  return facts;
}

[[nodiscard]] Result<Statement> closed_statement(const Fields& fields, core::AttemptKey attempt,
                                                 TimePoint received_at, std::string message_key,
                                                 std::string summary) {
  POSTERN_ASSIGN_OR_RETURN(const std::optional<Money> refunded, refunded_sum(fields));
  if (!refunded && fields.text("gmt_payment").empty()) {
    POSTERN_ASSIGN_OR_RETURN(const TimePoint closed_at,
                             first_time(fields, {"gmt_close", "notify_time"}, received_at));
    return facts_to_record({Fact::close(std::move(attempt), closed_at)}, std::move(message_key),
                           std::move(summary));
  }
  POSTERN_ASSIGN_OR_RETURN(Trade trade, read_trade(fields, std::move(attempt), received_at));
  if (!refunded) trade.refunded = trade.total;
  Statement statement = facts_to_record(payment_and_refunds(std::move(trade)),
                                        std::move(message_key), std::move(summary));
  if (!refunded) {
    statement.purpose = Statement::Purpose::kToBeConfirmed;
    statement.summary += ": paid, then closed, but the message names no refunded sum";
  }
  return statement;
}

}  // namespace

Result<Statement> alipay_statement(const Fields& fields, const AccountName& account,
                                   std::string_view sub_merchant, TimePoint received_at) {
  const std::string_view notify_type = fields.text("notify_type");
  const std::string_view trade_status = fields.text("trade_status");
  std::string message_key(fields.text("notify_id"));
  std::string summary(label(notify_type));
  if (!trade_status.empty()) summary.append(" ").append(label(trade_status));
  const bool paid = trade_status == "TRADE_SUCCESS" || trade_status == "TRADE_FINISHED";
  const bool closed = trade_status == "TRADE_CLOSED";
  if (notify_type != "trade_status_sync" || (!paid && !closed)) {
    return nothing_to_record(std::move(message_key), std::move(summary));
  }
  POSTERN_ASSIGN_OR_RETURN(std::string out_trade_no, read_alipay_id(fields, "out_trade_no"));
  core::AttemptKey attempt{account, std::string(sub_merchant), std::move(out_trade_no)};
  if (closed) {
    return closed_statement(fields, std::move(attempt), received_at, std::move(message_key),
                            std::move(summary));
  }
  POSTERN_ASSIGN_OR_RETURN(Trade trade, read_trade(fields, std::move(attempt), received_at));
  return facts_to_record(payment_and_refunds(std::move(trade)), std::move(message_key),
                         std::move(summary));
}

}  // namespace postern::channel
