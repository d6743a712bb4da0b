#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "http/client.h"
#include "tests/functional/site.h"

namespace postern::functional {

/// What came back from the admin listener.
struct Answer {
  unsigned code = 0;
  std::string text;
  boost::json::object body;  ///< empty where it is not JSON
};

/// Talks to a running gateway over HTTP. @thread one at a time
class Visitor {
 public:
  Visitor(std::uint16_t callback_port, std::uint16_t admin_port)
      : callbacks_("127.0.0.1", callback_port, kTimeout),
        admin_("127.0.0.1", admin_port, kTimeout) {}

  [[nodiscard]] Result<HttpResponse> try_send(const HttpRequest& request) {
    return callbacks_.send(request);
  }
  [[nodiscard]] HttpResponse send(const HttpRequest& request) {
    return callbacks_.send(request).value();
  }

  Answer admin(std::string method, std::string target, std::string body = {},
               std::string_view key = kApiKey) {
    HttpRequest request{.method = std::move(method), .target = std::move(target)};
    if (!key.empty()) request.headers.add("Authorization", "Bearer " + std::string(key));
    if (!body.empty()) request.headers.add("Content-Type", "application/json");
    request.body = std::move(body);
    const HttpResponse response = admin_.send(request).value();
    Answer answer{.code = response.code, .text = response.body, .body = {}};
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(answer.text, error);
    if (!error && value.is_object()) answer.body = value.as_object();
    return answer;
  }
  Answer get(std::string target) { return admin("GET", std::move(target)); }
  unsigned register_order(const std::string& number, std::int64_t minor = 8800) {
    return admin("POST", "/v1/orders", order_body(number, minor)).code;
  }
  /// The order's state, or an empty text where there is no such order.
  std::string order_state(const std::string& number) {
    const Answer answer = get("/v1/orders/" + number);
    if (answer.code != 200) return {};
    return std::string(answer.body.at("order").as_object().at("state").as_string());
  }
  /// How many of `list` the order has: "facts", "events", ...
  std::size_t count(const std::string& number, std::string_view list) {
    const Answer answer = get("/v1/orders/" + number);
    return answer.code == 200 ? answer.body.at(list).as_array().size() : 0;
  }
  /// What `list` of `target` holds once it is not empty, for what is written behind an answer.
  boost::json::array eventually_listed(const std::string& target, std::string_view list) {
    boost::json::array rows;
    for (int i = 0; i < 1000 && rows.empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      rows = get(target).body.at(list).as_array();
    }
    return rows;
  }

 private:
  static constexpr std::chrono::milliseconds kTimeout{20'000};
  http::BlockingClient callbacks_;
  http::BlockingClient admin_;
};

}  // namespace postern::functional
