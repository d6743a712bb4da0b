// Whose order a WeChat Pay v3 message is about. Members by kind of merchant:
//
//   direct            mchid, appid
//   service provider  sp_mchid, sp_appid, sub_mchid, sub_appid (payments, refunds)
//                     mchid, appid, sub_mchid, sub_appid       (payscore, campus pay)
//   combined          combine_mchid, combine_appid, sub_orders[]{mchid, sub_mchid}
#include "channel/wechatpay_v3_identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "channel/account_settings.h"
#include "channel/json.h"
#include "channel/statement.h"

namespace postern::channel {
namespace {

namespace json = boost::json;

enum class Presence : unsigned char { kNeeded, kOptional };

/// An identifying member; empty where it is absent. A number or object in its place is an error,
/// since it must not pass for absent.
[[nodiscard]] Result<std::string_view> member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return std::string_view();
  if (!value->is_string()) return body_malformed(fmt::format("{} is not a text", name));
  return json_text(object, name);
}

[[nodiscard]] Result<void> check_merchant(const json::object& plaintext,
                                          const WechatpayV3Settings& settings, Presence presence) {
  bool found = false;
  for (const std::string_view name : {"sp_mchid", "mchid", "mch_id"}) {
    POSTERN_ASSIGN_OR_RETURN(const std::string_view mchid, member(plaintext, name));
    if (mchid.empty()) continue;
    if (mchid != settings.merchants.own) {
      return rejected("merchant_mismatch", fmt::format("{} is not this account's", name));
    }
    found = true;
  }
  if (found || presence == Presence::kOptional) return {};
  return rejected("merchant_mismatch", "the message names no merchant");
}

[[nodiscard]] Result<void> check_app(const json::object& plaintext,
                                     const WechatpayV3Settings& settings, Presence presence) {
  bool found = false;
  for (const std::string_view name : {"sp_appid", "appid"}) {
    POSTERN_ASSIGN_OR_RETURN(const std::string_view app_id, member(plaintext, name));
    if (app_id.empty()) continue;
    if (!holds(settings.app_ids, app_id)) {
      return rejected("app_mismatch", fmt::format("{} is not in `app_ids`", name));
    }
    found = true;
  }
  if (found || presence == Presence::kOptional) return {};
  return rejected("app_mismatch", "the message names no app");
}

[[nodiscard]] Result<std::string> check_sub_merchant(const json::object& plaintext,
                                                     const WechatpayV3Settings& settings,
                                                     Presence presence) {
  POSTERN_ASSIGN_OR_RETURN(const std::string_view provider, member(plaintext, "sp_mchid"));
  POSTERN_ASSIGN_OR_RETURN(const std::string_view sub_mchid, member(plaintext, "sub_mchid"));
  if (sub_mchid.empty() && provider.empty() && presence == Presence::kOptional) {
    return std::string();
  }
  // A service provider's message that hides its sub-merchant is no direct merchant's either.
  if (settings.merchants.subs.empty() && !provider.empty()) {
    return rejected("sub_merchant_mismatch",
                    "the message is a service provider's, but `sub_merchants` is empty");
  }
  return sub_merchant_of(settings.merchants, sub_mchid);
}

[[nodiscard]] Result<std::string> identify_combined(const json::object& plaintext,
                                                    const WechatpayV3Settings& settings) {
  POSTERN_ASSIGN_OR_RETURN(const std::string_view mchid, member(plaintext, "combine_mchid"));
  if (mchid != settings.merchants.own) {
    return rejected("merchant_mismatch", "combine_mchid is not this account's");
  }
  POSTERN_ASSIGN_OR_RETURN(const std::string_view app_id, member(plaintext, "combine_appid"));
  if (!holds(settings.app_ids, app_id)) {
    return rejected("app_mismatch", "combine_appid is not in `app_ids`");
  }
  const json::value* sub_orders = plaintext.if_contains("sub_orders");
  if (sub_orders == nullptr || !sub_orders->is_array()) {
    return body_malformed("sub_orders is not a list");
  }
  const bool any_ours = std::ranges::any_of(sub_orders->get_array(), [&](const json::value& one) {
    return one.is_object() && identify_sub_order(one.get_object(), settings).has_value();
  });
  if (!any_ours) {
    return rejected("sub_merchant_mismatch", "no sub-order is ours or of our `sub_merchants`");
  }
  return std::string();
}

}  // namespace

bool is_about_orders(std::string_view event_type, std::string_view original_type) {
  if (original_type == "profitsharing") return false;
  return event_type.starts_with("TRANSACTION.") || event_type.starts_with("REFUND.") ||
         event_type == "PAYSCORE.USER_PAID";
}

bool is_combined(const json::object& plaintext) {
  return plaintext.contains("combine_mchid") || plaintext.contains("sub_orders") ||
         plaintext.contains("combine_out_trade_no");
}

Result<std::string> identify_wechatpay_v3(const json::object& plaintext,
                                          std::string_view event_type,
                                          std::string_view original_type,
                                          const WechatpayV3Settings& settings) {
  if (!is_about_orders(event_type, original_type)) {
    if (original_type == "profitsharing" || event_type.starts_with("PROFITSHARING.") ||
        event_type.starts_with("MALL_")) {
      return std::string();
    }
    POSTERN_RETURN_IF_ERROR(check_merchant(plaintext, settings, Presence::kOptional));
    POSTERN_RETURN_IF_ERROR(check_app(plaintext, settings, Presence::kOptional));
    return check_sub_merchant(plaintext, settings, Presence::kOptional);
  }
  if (is_combined(plaintext)) return identify_combined(plaintext, settings);
  const Presence app =
      event_type.starts_with("TRANSACTION.") ? Presence::kNeeded : Presence::kOptional;
  POSTERN_RETURN_IF_ERROR(check_merchant(plaintext, settings, Presence::kNeeded));
  POSTERN_RETURN_IF_ERROR(check_app(plaintext, settings, app));
  return check_sub_merchant(plaintext, settings, Presence::kNeeded);
}

Result<std::string> identify_sub_order(const json::object& sub_order,
                                       const WechatpayV3Settings& settings) {
  POSTERN_ASSIGN_OR_RETURN(const std::string_view mchid, member(sub_order, "mchid"));
  POSTERN_ASSIGN_OR_RETURN(const std::string_view sub_mchid, member(sub_order, "sub_mchid"));
  return sub_merchant_of_part(settings.merchants, mchid, sub_mchid);
}

}  // namespace postern::channel
