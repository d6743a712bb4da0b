// Replies are JSON (RFC 8259), snake_case; an error is one object that names its code and says what
// to do next.
#include "admin/reply.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace postern::admin {

namespace json = boost::json;

HttpResponse json_reply(unsigned code, const json::value& value) {
  return {.code = code,
          .content_type = "application/json",
          .body = json::serialize(value) + "\n",
          .headers = {}};
}

HttpResponse error_reply(unsigned code, std::string_view error_code, std::string_view message) {
  return json_reply(
      code, json::object({{"error", json::object({{"code", error_code}, {"message", message}})}}));
}

HttpResponse error_reply(const Error& error) {
  switch (error.error_class) {
    case ErrorClass::kRejected: {
      const bool conflict = error.code == "order_exists" || error.code == "attempt_taken";
      return error_reply(conflict ? 409 : 422, error.code, error.detail);
    }
    case ErrorClass::kRetryable: {
      HttpResponse reply =
          error_reply(503, error.code, error.detail + "; the same request may be sent again");
      reply.headers.emplace_back("Retry-After", "1");
      return reply;
    }
    case ErrorClass::kFault:
      break;
  }
  return error_reply(500, "internal_error", "something is wrong inside Postern; see its log");
}

}  // namespace postern::admin
