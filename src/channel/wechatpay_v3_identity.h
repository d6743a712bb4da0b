#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "channel/wechatpay_v3_settings.h"

namespace postern::channel {

/// Whether a message is about orders of ours, so that facts may come from it.
/// @param original_type  of the resource: profit sharing also comes as TRANSACTION.SUCCESS
[[nodiscard]] bool is_about_orders(std::string_view event_type, std::string_view original_type);

/// Whether a decrypted payment carries several orders of one checkout.
[[nodiscard]] bool is_combined(const boost::json::object& plaintext);

/// Checks that a decrypted message is about us, and says which sub-merchant it is about.
///
/// - About orders: the merchant (sp_mchid, else mchid) is ours. A direct account refuses messages
///   that name a service provider or sub-merchant; a service provider's account demands a
///   sub-merchant out of its list. Payments name an app of ours.
/// - Combined: combine_mchid and combine_appid are ours, and at least one sub-order passes
///   `identify_sub_order`; the others are left out later, so that a bad part spoils only itself.
/// - Of other kinds: whichever of those members are there, are ours. Profit sharing and shopping
///   malls are told about other merchants' sales, so there they are not looked at.
///
/// @return the sub-merchant's number, empty where there is none, and for a combined payment
/// @errors merchant_mismatch, app_mismatch, sub_merchant_mismatch, body_malformed
[[nodiscard]] Result<std::string> identify_wechatpay_v3(const boost::json::object& plaintext,
                                                        std::string_view event_type,
                                                        std::string_view original_type,
                                                        const WechatpayV3Settings& settings);

/// The sub-merchant of one order of a combined payment; empty where the order is our own. Its mchid
/// is ours or in the list, and so is its sub_mchid if it has one.
/// @errors sub_merchant_mismatch, body_malformed
[[nodiscard]] Result<std::string> identify_sub_order(const boost::json::object& sub_order,
                                                     const WechatpayV3Settings& settings);

}  // namespace postern::channel
