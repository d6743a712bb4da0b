// JSON (RFC 8259), read by Boost.JSON. Its own parser keeps the last of two members of one name;
// others keep the first. A signed text in which a name stands twice therefore means different
// things to different readers, and is refused here. So the events of Boost's parser pass through a
// handler of ours, which watches names and limits and lets Boost's value_stack build the values.
#include "channel/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_stack.hpp>
#include <cmath>
#include <string>
#include <vector>

namespace postern::channel {
namespace {

namespace json = boost::json;

class Handler {
 public:
  static constexpr std::size_t max_object_size = kJsonMembersMax;
  static constexpr std::size_t max_array_size = kJsonValuesMax;
  static constexpr std::size_t max_key_size = kJsonBytesMax;
  static constexpr std::size_t max_string_size = kJsonBytesMax;

  [[nodiscard]] json::value release() { return stack_.release(); }
  [[nodiscard]] bool duplicate() const { return duplicate_; }

  bool on_document_begin(json::error_code& /*error*/) {
    stack_.reset();
    return true;
  }
  bool on_document_end(json::error_code& /*error*/) { return true; }

  bool on_object_begin(json::error_code& /*error*/) {
    open_.push_back(names_.size());
    return true;
  }
  bool on_object_end(std::size_t size, json::error_code& error) {
    const auto begin = names_.begin() + static_cast<std::ptrdiff_t>(open_.back());
    std::sort(begin, names_.end());
    if (std::adjacent_find(begin, names_.end()) != names_.end()) {
      duplicate_ = true;
      return stop(error);
    }
    names_.erase(begin, names_.end());
    open_.pop_back();
    stack_.push_object(size);
    return count(error);
  }
  bool on_array_begin(json::error_code& /*error*/) { return true; }
  bool on_array_end(std::size_t size, json::error_code& error) {
    stack_.push_array(size);
    return count(error);
  }

  bool on_key_part(json::string_view part, std::size_t /*size*/, json::error_code& /*error*/) {
    name_.append(part.data(), part.size());
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t /*size*/, json::error_code& /*error*/) {
    name_.append(part.data(), part.size());
    names_.push_back(std::move(name_));
    name_.clear();
    stack_.push_key(part);
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t /*size*/, json::error_code& /*error*/) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t /*size*/, json::error_code& error) {
    stack_.push_string(part);
    return count(error);
  }
  bool on_number_part(json::string_view /*part*/, json::error_code& /*error*/) { return true; }
  bool on_int64(std::int64_t number, json::string_view text, json::error_code& error) {
    // "-0" equals 0 for some readers and is a float for others.
    if (number == 0 && text.starts_with('-')) return stop(error);
    stack_.push_int64(number);
    return count(error);
  }
  bool on_uint64(std::uint64_t number, json::string_view /*text*/, json::error_code& error) {
    stack_.push_uint64(number);
    return count(error);
  }
  bool on_double(double number, json::string_view /*text*/, json::error_code& error) {
    // Boost reads 1e400 as infinity and 0e400 as not-a-number, which JSON has no words for.
    if (!std::isfinite(number)) return stop(error);
    stack_.push_double(number);
    return count(error);
  }
  bool on_bool(bool value, json::error_code& error) {
    stack_.push_bool(value);
    return count(error);
  }
  bool on_null(json::error_code& error) {
    stack_.push_null();
    return count(error);
  }
  bool on_comment_part(json::string_view /*part*/, json::error_code& error) { return stop(error); }
  bool on_comment(json::string_view /*part*/, json::error_code& error) { return stop(error); }

 private:
  /// Ends the parse; which error is set does not matter, since the caller names it.
  static bool stop(json::error_code& error) {
    error = json::error::syntax;
    return false;
  }
  bool count(json::error_code& error) { return ++values_ <= kJsonValuesMax || stop(error); }

  json::value_stack stack_;
  std::string name_;                ///< what has been read of a name that came in parts
  std::vector<std::string> names_;  ///< of all objects that are still open
  std::vector<std::size_t> open_;   ///< where in `names_` each of them begins
  std::size_t values_ = 0;
  bool duplicate_ = false;
};

[[nodiscard]] bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

Result<json::object> parse_json_object(std::string_view text) {
  if (text.size() > kJsonBytesMax) return rejected("body_malformed", "the JSON text is too long");
  json::parse_options options;
  options.max_depth = kJsonDepthMax;
  json::basic_parser<Handler> parser(options);
  json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (parser.handler().duplicate()) return rejected("key_duplicate");
  if (error || !parser.done()) return rejected("body_malformed", "this is not JSON");
  if (!is_blank(text.substr(used))) return rejected("body_malformed", "text follows the JSON");
  json::value value = parser.handler().release();
  if (!value.is_object()) return rejected("body_malformed", "the JSON is not an object");
  return std::move(value.get_object());
}

std::string_view json_text(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return {};
  return {value->get_string().data(), value->get_string().size()};
}

const json::object* json_object(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

std::optional<std::int64_t> json_integer(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  // A number over int64 is held as uint64, one with fraction or exponent as double.
  const std::int64_t* number = value == nullptr ? nullptr : value->if_int64();
  if (number == nullptr) return std::nullopt;
  return *number;
}

}  // namespace postern::channel
