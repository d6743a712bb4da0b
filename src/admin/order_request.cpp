#include "admin/order_request.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>

#include "channel/json.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

[[nodiscard]] std::unexpected<Error> malformed(std::string detail) {
  return rejected("request_malformed", std::move(detail));
}

/// `where` names the object in messages: "the order", "attempts[2]".
[[nodiscard]] Result<void> allow_only(const json::object& object, std::string_view where,
                                      std::initializer_list<std::string_view> names) {
  for (const auto& member : object) {
    if (std::ranges::find(names, std::string_view(member.key())) != names.end()) continue;
    std::string known;
    for (const std::string_view name : names) {
      known += known.empty() ? "" : ", ";
      known += name;
    }
    return malformed(std::string(where) + " may have only " + known);
  }
  return {};
}

[[nodiscard]] Result<std::optional<std::string>> id_text(const json::object& object,
                                                         std::string_view name,
                                                         std::string_view where) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return std::nullopt;
  const json::string* text = value->if_string();
  if (text == nullptr || !is_id_text(std::string_view(*text))) {
    return malformed(std::string(name) + " of " + std::string(where) +
                     " is a text of 1 to 128 bytes without control characters");
  }
  return std::string(*text);
}

[[nodiscard]] Result<std::string> needed_id_text(const json::object& object, std::string_view name,
                                                 std::string_view where) {
  POSTERN_ASSIGN_OR_RETURN(std::optional<std::string> text, id_text(object, name, where));
  if (!text) return malformed(std::string(where) + " needs " + std::string(name));
  return std::move(*text);
}

[[nodiscard]] Result<core::Money> parse_expected(const json::object& order) {
  const json::object* expected = channel::json_object(order, "expected");
  if (expected == nullptr) {
    return malformed(R"(the order needs "expected": {"minor": 8800, "currency": "CNY"})");
  }
  POSTERN_RETURN_IF_ERROR(allow_only(*expected, "expected", {"minor", "currency"}));
  const std::optional<std::int64_t> minor = channel::json_integer(*expected, "minor");
  if (!minor || *minor <= 0) {
    return malformed("minor of expected is a whole number of minor units above zero, such as 8800");
  }
  const Result<core::Currency> currency =
      core::Currency::parse(channel::json_text(*expected, "currency"));
  if (!currency) {
    return rejected("currency_unknown",
                    "currency of expected is an ISO 4217 code in capitals, such as CNY");
  }
  return core::Money::of(*minor, *currency);
}

[[nodiscard]] Result<core::AttemptKey> parse_attempt(const json::value& value, std::string where,
                                                     const MerchantName& merchant,
                                                     const Accounts& accounts) {
  const json::object* attempt = value.if_object();
  if (attempt == nullptr) {
    return malformed(where + R"( is an object such as {"account": "alipay", "number": "T1001"})");
  }
  POSTERN_RETURN_IF_ERROR(allow_only(*attempt, where, {"account", "sub_merchant", "number"}));
  POSTERN_ASSIGN_OR_RETURN(const std::string name, needed_id_text(*attempt, "account", where));
  POSTERN_ASSIGN_OR_RETURN(std::string number, needed_id_text(*attempt, "number", where));
  POSTERN_ASSIGN_OR_RETURN(std::optional<std::string> sub_merchant,
                           id_text(*attempt, "sub_merchant", where));
  const auto account = accounts.find(name);
  if (account == accounts.end() || account->second.merchant != merchant) {
    return rejected("account_unknown",
                    where + ": merchant " + merchant.text() + " has no account of that name");
  }
  if (sub_merchant && account->second.sub_merchants == SubMerchants::kNone) {
    return malformed(where + ": the account lists no sub-merchants, so leave sub_merchant out");
  }
  return core::AttemptKey{.account = AccountName::trusted(name),
                          .sub_merchant = std::move(sub_merchant).value_or(""),
                          .number = std::move(number)};
}

[[nodiscard]] Result<std::vector<core::AttemptKey>> parse_attempts(const json::value& value,
                                                                   const MerchantName& merchant,
                                                                   const Accounts& accounts) {
  const json::array* list = value.if_array();
  if (list == nullptr || list->empty() || list->size() > kAttemptsMax) {
    return malformed("attempts is a list of 1 to " + std::to_string(kAttemptsMax) +
                     "; leave it out to number the order alike on all accounts");
  }
  std::vector<core::AttemptKey> attempts;
  for (std::size_t i = 0; i < list->size(); ++i) {
    POSTERN_ASSIGN_OR_RETURN(
        core::AttemptKey attempt,
        parse_attempt((*list)[i], "attempts[" + std::to_string(i) + "]", merchant, accounts));
    if (std::ranges::find(attempts, attempt) != attempts.end()) {
      return malformed("attempts[" + std::to_string(i) + "] stands there twice");
    }
    attempts.push_back(std::move(attempt));
  }
  return attempts;
}

/// One attempt per account of the merchant, numbered like the order.
[[nodiscard]] Result<std::vector<core::AttemptKey>> attempts_alike(const core::OrderKey& key,
                                                                   const Accounts& accounts) {
  std::vector<core::AttemptKey> attempts;
  for (const auto& [name, account] : accounts) {
    if (account.merchant != key.merchant) continue;
    if (account.sub_merchants == SubMerchants::kListed) {
      return rejected("attempts_needed", "account " + name +
                                             " collects for several sub-merchants: write attempts "
                                             "with account, sub_merchant and number");
    }
    attempts.push_back(
        {.account = AccountName::trusted(name), .sub_merchant = {}, .number = key.id.text()});
  }
  if (attempts.empty()) {
    return rejected("merchant_unknown",
                    "merchant " + key.merchant.text() + " has no account in the configuration");
  }
  if (attempts.size() > kAttemptsMax) {
    return rejected("attempts_needed",
                    "the merchant has more accounts than one order may have attempts: write "
                    "attempts with those that matter");
  }
  return attempts;
}

}  // namespace

Result<ledger::Registering> parse_order_request(std::string_view body, const Accounts& accounts) {
  const Result<json::object> order = channel::parse_json_object(body);
  if (!order) return malformed("the body is one JSON object in UTF-8 that names no member twice");
  constexpr std::string_view kWhere = "the order";
  POSTERN_RETURN_IF_ERROR(
      allow_only(*order, kWhere, {"merchant", "merchant_order_id", "expected", "attempts"}));
  POSTERN_ASSIGN_OR_RETURN(std::string id, needed_id_text(*order, "merchant_order_id", kWhere));
  POSTERN_ASSIGN_OR_RETURN(std::optional<std::string> merchant,
                           id_text(*order, "merchant", kWhere));
  const core::OrderKey key{
      MerchantName::trusted(std::move(merchant).value_or(std::string(kDefaultMerchant))),
      MerchantOrderId::trusted(std::move(id))};
  POSTERN_ASSIGN_OR_RETURN(const core::Money expected, parse_expected(*order));
  const json::value* attempts = order->if_contains("attempts");
  POSTERN_ASSIGN_OR_RETURN(std::vector<core::AttemptKey> keys,
                           attempts == nullptr ? attempts_alike(key, accounts)
                                               : parse_attempts(*attempts, key.merchant, accounts));
  return ledger::Registering{.key = key, .expected = expected, .attempts = std::move(keys)};
}

}  // namespace postern::admin
