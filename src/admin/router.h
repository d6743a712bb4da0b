#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/current.h"
#include "base/message.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/secret.h"

namespace postern::admin {

/// The query of a URL, decoded; each name once.
class Query {
 public:
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  Query() = default;
  explicit Query(Pairs pairs) : pairs_(std::move(pairs)) {}

  /// Checks that nothing but `names` was given, each at most once. @errors query_malformed
  [[nodiscard]] Result<void> allow(std::initializer_list<std::string_view> names) const;
  /// Nothing where it was not given.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;

 private:
  Pairs pairs_;
};

/// One request, taken apart.
struct Call {
  HttpRequest request;
  std::vector<std::string> captures;  ///< what stood for each {} of the pattern, decoded
  Query query;
};

/// Finds the resource for a request, after it has checked the key.
///
/// Everything below /v1 needs the key, whether it is there or not, so that a stranger learns
/// nothing from the difference; the rest is open to whoever reaches the listener. The key is
/// compared in constant time. Every reply carries headers that forbid browsers to store, sniff or
/// frame it.
///
/// Lifetime: outlives the server that calls it. Resources are added before that server starts.
/// @thread any
class Router final : public HttpHandler {
 public:
  /// Must not block.
  using Handler = std::move_only_function<void(Call, Responder) const>;

  Router(const Secret& key, Metrics& metrics);
  ~Router() override;

  /// Another key, for requests from now on. @thread any
  void set_key(const Secret& key);

  /// @param pattern  such as "/v1/orders/{}"
  void add(std::string_view method, std::string_view pattern, Handler handler);

  void handle(HttpRequest request, Responder respond) override;

 private:
  struct Route;
  struct Target;

  [[nodiscard]] bool has_key(const HttpRequest& request) const;
  [[nodiscard]] static Responder finished(const Route* route, Responder respond);

  Current<std::string> key_digest_;  ///< empty: there is no key, and none is right
  Metrics& metrics_;
  Counter& unauthorized_;
  std::vector<std::unique_ptr<Route>> routes_;
};

}  // namespace postern::admin
