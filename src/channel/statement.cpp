#include "channel/statement.h"

#include "base/check.h"
#include "base/id.h"

namespace postern::channel {

std::unexpected<Error> body_malformed(std::string_view why) {
  return rejected("body_malformed", std::string(why));
}

Result<std::string> read_id(std::string_view text, std::string_view name) {
  if (!is_id_text(text)) {
    return body_malformed(std::string(name) + " is not 1 to 128 bytes without control characters");
  }
  return std::string(text);
}

Result<core::Currency> read_currency(std::string_view code) {
  Result<core::Currency> currency = core::Currency::parse(code.empty() ? "CNY" : code);
  if (!currency) return body_malformed("the currency is unknown");
  return currency;
}

Result<core::Money> read_minor(std::int64_t minor, core::Currency currency) {
  if (minor < 0) return body_malformed("a sum of money is negative");
  return core::Money::of(minor, currency);
}

std::string_view label(std::string_view word) {
  constexpr std::size_t kLabelBytesMax = 64;
  if (word.empty()) return "(none)";
  return word.size() <= kLabelBytesMax && is_id_text(word) ? word : "(unreadable)";
}

Statement nothing_to_record(std::string message_key, std::string summary) {
  POSTERN_CHECK(!message_key.empty());
  Statement statement;
  statement.purpose = Statement::Purpose::kNothing;
  statement.message_key = std::move(message_key);
  statement.summary = std::move(summary);
  return statement;
}

Statement facts_to_record(std::vector<core::Fact> facts, std::string message_key,
                          std::string summary) {
  POSTERN_CHECK(!facts.empty());
  Statement statement;
  statement.purpose = Statement::Purpose::kFacts;
  statement.facts = std::move(facts);
  statement.message_key = std::move(message_key);
  statement.summary = std::move(summary);
  return statement;
}

}  // namespace postern::channel
