#pragma once

#include <boost/json/value.hpp>
#include <string_view>

#include "base/message.h"
#include "base/result.h"

namespace postern::admin {

[[nodiscard]] HttpResponse json_reply(unsigned code, const boost::json::value& value);

/// {"error":{"code":"order_exists","message":"what to do next"}}
[[nodiscard]] HttpResponse error_reply(unsigned code, std::string_view error_code,
                                       std::string_view message);

/// The reply for an error: kRejected is 409 where the order stands against it and 422 otherwise,
/// kRetryable is 503 with Retry-After, kFault is 500 without a detail.
[[nodiscard]] HttpResponse error_reply(const Error& error);

}  // namespace postern::admin
