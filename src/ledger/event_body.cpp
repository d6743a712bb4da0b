// The event's JSON (RFC 8259): fixed members in a fixed order, so they are written straight into
// the text. A tree of values to be serialised afterwards cost four times as much.
#include "ledger/event_body.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cstddef>
#include <utility>

namespace postern::ledger {
namespace {

constexpr std::size_t kBodyBytesUsual = 768;

/// Writes the members of objects one after the other; the commas come by themselves.
class JsonText {
 public:
  JsonText() : text_(kBodyBytesUsual, '\0') {}

  void begin(std::string_view name) {
    key(name);
    put('{');
  }
  void begin() { put('{'); }
  void end() { put('}'); }
  void member(std::string_view name, std::string_view value) {
    key(name);
    string(value);
  }
  void member(std::string_view name, std::int64_t value) {
    key(name);
    const fmt::format_int digits(value);
    append({digits.data(), digits.size()});
  }
  void truth(std::string_view name, bool value) {
    key(name);
    append(value ? "true" : "false");
  }
  void nothing(std::string_view name) {
    key(name);
    append("null");
  }

  [[nodiscard]] std::string take() {
    text_.resize(size_);
    return std::move(text_);
  }

 private:
  /// @param name  one of ours: nothing in it is escaped
  void key(std::string_view name) {
    if (text_[size_ - 1] != '{') put(',');
    quote(name);
    put(':');
  }

  void string(std::string_view value) {
    const bool plain = std::ranges::none_of(value, [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
    });
    if (plain) {
      quote(value);
    } else {
      append(boost::json::serialize(value));
    }
  }

  void quote(std::string_view text) {
    put('"');
    append(text);
    put('"');
  }

  void put(char c) { *extend(1) = c; }
  void append(std::string_view text) { std::ranges::copy(text, extend(text.size())); }

  /// Counts `size` further characters as written, and gives their place. Most are few, for which
  /// `std::string::append` costs more than copying them.
  [[nodiscard]] char* extend(std::size_t size) {
    if (text_.size() - size_ < size) text_.resize(2 * text_.size() + size);
    return text_.data() + std::exchange(size_, size_ + size);
  }

  std::string text_;  ///< longer than what is written
  std::size_t size_ = 0;
};

void write_money(JsonText& json, std::string_view name, const std::optional<core::Money>& sum) {
  if (!sum) return json.nothing(name);
  json.begin(name);
  json.member("minor", sum->minor());
  json.member("currency", sum->currency().code());
  json.end();
}

void write_order(JsonText& json, const core::OrderKey& key, const core::Order& order) {
  json.begin("order");
  json.member("merchant", key.merchant.text());
  json.member("merchant_order_id", key.id.text());
  json.member("state", core::name(order.state));
  json.member("dispute", core::name(order.dispute));
  json.truth("amount_checked", order.expected.has_value());
  write_money(json, "expected", order.expected);
  write_money(json, "paid", order.paid);
  write_money(json, "refunded", order.refunded);
  json.end();
}

void write_payment(JsonText& json, const core::Fact& fact) {
  json.begin("payment");
  json.member("channel_payment_id", fact.payment_id);
  json.member("number", fact.attempt.number);
  if (fact.kind == core::FactKind::kPayment) {
    write_money(json, "money", fact.money);
    json.member("paid_at", format_rfc3339(fact.occurred_at));
  }
  json.end();
}

void write_refund(JsonText& json, const core::Fact& fact) {
  json.begin("refund");
  if (!fact.refund_id.empty()) json.member("channel_refund_id", fact.refund_id);
  write_money(json, fact.kind == core::FactKind::kRefundTotal ? "total" : "money", fact.money);
  json.member("at", format_rfc3339(fact.occurred_at));
  json.end();
}

[[nodiscard]] bool is_about_refund(core::FactKind kind) {
  return kind == core::FactKind::kRefund || kind == core::FactKind::kRefundTotal ||
         kind == core::FactKind::kRefundFailure;
}

}  // namespace

std::string event_body(core::EventType type, std::int64_t sequence, TimePoint now,
                       const core::OrderKey& key, const core::Order& order, const core::Fact& fact,
                       const std::string& channel) {
  JsonText json;
  json.begin();
  json.member("type", core::name(type));
  json.member("timestamp", format_rfc3339(now));
  json.begin("data");
  json.member("sequence", sequence);
  json.member("account", fact.attempt.account.text());
  json.member("channel", channel);
  if (!fact.attempt.sub_merchant.empty()) json.member("sub_merchant", fact.attempt.sub_merchant);
  write_order(json, key, order);
  if (!fact.payment_id.empty()) write_payment(json, fact);
  if (is_about_refund(fact.kind)) write_refund(json, fact);
  json.member("source", core::name(fact.source));
  json.end();
  json.end();
  return json.take();
}

}  // namespace postern::ledger
