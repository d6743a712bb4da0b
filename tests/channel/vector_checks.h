#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "channel/channel.h"
#include "tests/channel/vector_file.h"

namespace postern::channel {

/// The value of a member of a verified callback's content.
using MemberOf = std::function<std::string(const VerifiedCallback&, std::string_view)>;

/// Runs a callback through a channel and checks all that the vector expects of it: verdict,
/// refusal for another's message, decoded members, and the facts of expected.normalised.
void check_callback(const Vector& vector, const Channel& channel, const MemberOf& member_of);

/// For channels whose content is a list of fields.
[[nodiscard]] std::string field_of(const VerifiedCallback& callback, std::string_view name);

/// The value of "name=" in an Authorization header; empty where it is absent.
[[nodiscard]] std::string part_of(const std::string& header, std::string_view name);

/// Checks for each channel and kind of vector; each makes GoogleTest expectations.
void check_alipay_notify(const Vector& vector);
void check_alipay_return(const Vector& vector);
void check_alipay_response(const Vector& vector);
void check_alipay_cert_sn(const Vector& vector);
void check_alipay_decrypt(const Vector& vector);
void check_alipay_v3_response(const Vector& vector);
void check_alipay_v3_outbound(const Vector& vector);
void check_wechatpay_v3_notify(const Vector& vector);
void check_wechatpay_v3_response(const Vector& vector);
void check_wechatpay_v3_decrypt(const Vector& vector);
void check_wechatpay_v3_primitive(const Vector& vector);
void check_wechatpay_v3_outbound(const Vector& vector);
void check_wechatpay_v2_notify(const Vector& vector);
void check_wechatpay_v2_decrypt(const Vector& vector);

}  // namespace postern::channel
