#include "tests/channel/vector_file.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>

#include "crypto/encoding.h"
#include "tests/channel/messages.h"

namespace postern::channel {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

[[nodiscard]] std::string string_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr || !value->is_string() ? std::string() : std::string(value->get_string());
}

[[nodiscard]] const json::object* object_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

void load(const fs::path& path, Vector::Place place, std::vector<Vector>& into,
          std::set<std::string>& seen) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const json::value& value : json::parse(text).as_object().at("vectors").as_array()) {
    Vector vector{value.as_object(), place};
    const std::string channel = vector.text("channel");
    const bool ours = channel.starts_with("alipay") || channel.starts_with("wechatpay-");
    if (ours && seen.insert(vector.id()).second) into.push_back(std::move(vector));
  }
}

[[nodiscard]] fs::path shared_folder() {
  return fs::path(POSTERN_SOURCE_DIR) / ".." / "shared" / "vectors";
}

}  // namespace

std::string Vector::text(std::string_view name) const {
  return string_of(json, name);
}

std::string Vector::text(std::string_view group, std::string_view name) const {
  const json::object* members = object_of(json, group);
  return members == nullptr ? std::string() : string_of(*members, name);
}

std::string Vector::key(std::initializer_list<std::string_view> names) const {
  for (const std::string_view name : names) {
    if (std::string found = text("keys", name); !found.empty()) return found;
  }
  return {};
}

const json::object* Vector::object(std::string_view group, std::string_view name) const {
  const json::object* members = object_of(json, group);
  return members == nullptr ? nullptr : object_of(*members, name);
}

std::string Vector::body() const {
  const std::string encoded = text("request", "body_base64");
  return encoded.empty() ? text("request", "body_utf8") : must(crypto::base64_decode(encoded));
}

HttpRequest Vector::request() const {
  HttpRequest request;
  request.method = text("request", "method");
  request.target = text("request", "url");
  request.body = body();
  if (const json::object* headers = object("request", "headers")) {
    for (const auto& [name, value] : *headers) {
      request.headers.add(name, std::string_view(value.as_string()));
    }
  }
  return request;
}

std::string Vector::response_header(std::string_view name) const {
  const json::object* headers = object("request", "response_headers");
  return headers == nullptr ? std::string() : string_of(*headers, name);
}

TimePoint Vector::now() const {
  const json::value* seconds = json.if_contains("now_unix");
  if (seconds == nullptr) return test_now();
  return TimePoint(std::chrono::seconds(seconds->as_int64()));
}

std::optional<std::string> Vector::signing_text() const {
  if (const std::string encoded = text("signing_string_base64"); !encoded.empty()) {
    return must(crypto::base64_decode(encoded));
  }
  const std::string plain = text("signing_string_utf8");
  return plain.empty() ? std::nullopt : std::optional(plain);
}

const std::vector<Vector>& all_vectors() {
  static const std::vector<Vector> vectors = [] {
    std::vector<Vector> loaded;
    std::set<std::string> seen;
    for (const char* name : {"alipay.json", "wechatpay_v2.json", "wechatpay_v3.json"}) {
      load(fs::path(POSTERN_SOURCE_DIR) / "tests" / "vectors" / name, Vector::Place::kCommitted,
           loaded, seen);
    }
    if (has_shared_vectors()) {
      for (const char* name :
           {"alipay.json", "wechatpay_v2.json", "wechatpay_v3.json", "generated.json"}) {
        load(shared_folder() / name, Vector::Place::kShared, loaded, seen);
      }
    }
    return loaded;
  }();
  return vectors;
}

bool has_shared_vectors() {
  return fs::exists(shared_folder() / "alipay.json");
}

std::string test_name(const Vector& vector) {
  std::string name = vector.id();
  std::ranges::replace_if(
      name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
}

}  // namespace postern::channel
