// What every vector's check shares: from expected.normalised to facts.
#include "tests/channel/vector_checks.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "channel/json.h"
#include "core/fact.h"
#include "tests/channel/messages.h"

namespace postern::channel {
namespace {

namespace json = boost::json;
using core::Fact;
using core::FactKind;

/// The statement in the words of expected.normalised, for the members that stand in it.
void check_payment(const json::object& expected, const Fact& payment) {
  EXPECT_EQ(payment.kind, FactKind::kPayment);
  EXPECT_EQ(payment.attempt.number, json_text(expected, "order"));
  ASSERT_TRUE(payment.money);
  if (const auto minor = json_integer(expected, "amount_minor")) {
    EXPECT_EQ(payment.money->minor(), *minor);
  }
  if (const std::string_view currency = json_text(expected, "currency"); !currency.empty()) {
    EXPECT_EQ(payment.money->currency().code(), currency);
  }
  EXPECT_FALSE(payment.payment_id.empty());
}

/// Alipay: a payment and the sum of all refunds so far.
void check_alipay_refund(const json::object& expected, const Statement& statement,
                         const Fields& content) {
  ASSERT_EQ(statement.facts.size(), 2U);
  check_payment(expected, statement.facts[0]);
  const Fact& refund = statement.facts[1];
  EXPECT_EQ(refund.kind, FactKind::kRefundTotal);
  EXPECT_EQ(refund.payment_id, statement.facts[0].payment_id);
  EXPECT_EQ(refund.money->minor(), json_integer(expected, "refunded_total_minor"));
  EXPECT_EQ(content.text("out_biz_no"), json_text(expected, "refund_no"));
  const bool all = refund.money == statement.facts[0].money;
  EXPECT_EQ(json_text(expected, "status"), all ? "refunded" : "partially_refunded");
}

/// WeChat Pay: one refund, by its own sum. @param total of the payment, out of the content
void check_single_refund(const json::object& expected, const Statement& statement,
                         std::int64_t total, std::string_view refund_no) {
  ASSERT_EQ(statement.facts.size(), 1U);
  const Fact& refund = statement.facts[0];
  const std::string_view status = json_text(expected, "status");
  const bool failed = status == "refund_closed" || status == "refund_failed";
  EXPECT_EQ(refund.kind, failed ? FactKind::kRefundFailure : FactKind::kRefund);
  EXPECT_EQ(refund.attempt.number, json_text(expected, "order"));
  EXPECT_EQ(refund.money->minor(), json_integer(expected, "refund_minor"));
  EXPECT_EQ(refund_no, json_text(expected, "refund_no"));
  if (!failed) {
    EXPECT_EQ(status, refund.money->minor() == total ? "refunded" : "partially_refunded");
  }
}

void check_status(const json::object& expected, const Statement& statement,
                  const VerifiedCallback& callback) {
  const std::string_view status = json_text(expected, "status");
  const auto* fields = std::get_if<Fields>(&callback.content());
  if (status == "paid") {
    ASSERT_EQ(statement.purpose, Statement::Purpose::kFacts);
    ASSERT_EQ(statement.facts.size(), 1U);
    check_payment(expected, statement.facts[0]);
  } else if (status == "pending" || status == "transfer_succeeded" || status == "ignore") {
    // A transfer pays money out: it says nothing about an order of ours.
    EXPECT_EQ(statement.purpose, Statement::Purpose::kNothing);
    EXPECT_FALSE(statement.message_key.empty());
  } else if (status == "closed" || status == "failed") {
    ASSERT_EQ(statement.facts.size(), 1U);
    EXPECT_EQ(statement.facts[0].kind, status == "closed" ? FactKind::kClose : FactKind::kFailure);
    EXPECT_EQ(statement.facts[0].attempt.number, json_text(expected, "order"));
  } else if (fields != nullptr && fields->find("trade_status")) {
    check_alipay_refund(expected, statement, *fields);
  } else if (fields != nullptr) {
    EXPECT_EQ(statement.purpose, Statement::Purpose::kToBeConfirmed);
    check_single_refund(expected, statement, std::stoll(std::string(fields->text("total_fee"))),
                        fields->text("out_refund_no"));
  } else {
    const json::object& plaintext = std::get<json::object>(callback.content())
                                        .at("resource")
                                        .as_object()
                                        .at("plaintext")
                                        .as_object();
    check_single_refund(expected, statement,
                        *json_integer(plaintext.at("amount").as_object(), "total"),
                        json_text(plaintext, "out_refund_no"));
  }
}

void check_normalised(const Vector& vector, const Channel& channel,
                      const VerifiedCallback& callback) {
  const Statement statement = must(channel.adapt(callback));
  const json::value& expected = vector.json.at("expected");
  const json::value* normalised = expected.as_object().if_contains("normalised");
  if (normalised == nullptr) return;
  if (normalised->is_object()) {
    check_status(normalised->get_object(), statement, callback);
    return;
  }
  const json::array& parts = normalised->as_array();
  ASSERT_EQ(statement.facts.size(), parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    check_payment(parts[i].as_object(), statement.facts[i]);
  }
}

}  // namespace

void check_callback(const Vector& vector, const Channel& channel, const MemberOf& member_of) {
  const Result<VerifiedCallback> callback = channel.verify(vector.request(), vector.now());
  if (!vector.text("expected", "business_verdict").empty()) {
    EXPECT_TRUE(is_identity_code(code_of(callback))) << code_of(callback);
    return;
  }
  if (!vector.valid()) {
    ASSERT_FALSE(callback);
    EXPECT_EQ(callback.error().error_class, ErrorClass::kRejected);
    EXPECT_FALSE(is_identity_code(callback.error().code)) << callback.error().code;
    return;
  }
  ASSERT_TRUE(callback) << callback.error().code << ": " << callback.error().detail;
  if (const json::object* decoded = vector.object("expected", "decoded")) {
    for (const auto& [name, value] : *decoded) {
      EXPECT_EQ(member_of(*callback, name), std::string_view(value.as_string())) << name;
    }
  }
  check_normalised(vector, channel, *callback);
}

std::string field_of(const VerifiedCallback& callback, std::string_view name) {
  return std::string(std::get<Fields>(callback.content()).text(name));
}

std::string part_of(const std::string& header, std::string_view name) {
  const std::size_t begin = header.find(fmt::format("{}=", name));
  if (begin == std::string::npos) return {};
  std::string value = header.substr(begin + name.size() + 1);
  value = value.substr(0, value.find(','));
  if (value.starts_with('"')) value = value.substr(1, value.size() - 2);
  return value;
}

}  // namespace postern::channel
