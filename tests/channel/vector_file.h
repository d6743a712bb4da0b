#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/message.h"

namespace postern::channel {

/// One vector of a file as tests/vectors/README.md describes it.
struct Vector {
  enum class Place : unsigned char { kCommitted, kShared };
  boost::json::object json;
  Place place = Place::kCommitted;

  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] std::string id() const { return text("id"); }
  /// A text of `group` ("request", "keys", "expected"); empty where it is absent.
  [[nodiscard]] std::string text(std::string_view group, std::string_view name) const;
  /// The first of `names` that `keys` has; empty where it has none.
  [[nodiscard]] std::string key(std::initializer_list<std::string_view> names) const;
  [[nodiscard]] const boost::json::object* object(std::string_view group,
                                                  std::string_view name) const;
  [[nodiscard]] std::string body() const;
  [[nodiscard]] HttpRequest request() const;
  [[nodiscard]] std::string response_header(std::string_view name) const;
  [[nodiscard]] TimePoint now() const;
  [[nodiscard]] bool valid() const { return text("expected", "verdict") == "valid"; }
  [[nodiscard]] std::optional<std::string> signing_text() const;
};

/// The vectors of our channels: committed ones, then those of shared/vectors beside the checkout
/// that are not committed. Aborts where a file cannot be read.
[[nodiscard]] const std::vector<Vector>& all_vectors();

/// Whether the folder with the shared vectors is there.
[[nodiscard]] bool has_shared_vectors();

/// Name for a parameterised test: the id with '_' for whatever GoogleTest does not take.
[[nodiscard]] std::string test_name(const Vector& vector);

}  // namespace postern::channel
