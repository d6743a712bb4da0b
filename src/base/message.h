#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern {

/// Header fields in the order received, kept as one block of "Name: value\r\n" lines, so that the
/// block can be stored as evidence without another copy.
class Headers {
 public:
  /// Makes room for fields of so many bytes in all.
  void reserve(std::size_t fields, std::size_t bytes);
  /// `name` and `value` hold neither CR nor LF (the HTTP parser has refused them).
  void add(std::string_view name, std::string_view value);
  /// The value of the only field called `name`, compared without case; nothing where there is none
  /// *or several*: a field that counts must not be ambiguous.
  [[nodiscard]] std::optional<std::string_view> only(std::string_view name) const;
  /// The values of all fields called `name`, in order.
  [[nodiscard]] std::vector<std::string_view> all(std::string_view name) const;
  [[nodiscard]] const std::string& block() const { return block_; }
  [[nodiscard]] std::string take_block() && { return std::move(block_); }
  /// Reads back a block made by `add`.
  [[nodiscard]] static Headers from_block(std::string_view block);

 private:
  struct Field {
    std::uint32_t name_begin, name_size, value_begin, value_size;
  };
  std::string block_;
  std::vector<Field> fields_;
};

/// One HTTP request, owned. `target` is as received: path and query, not decoded.
struct HttpRequest {
  std::string method;
  std::string target;
  Headers headers;
  std::string body;
  std::string peer;  ///< address of the connection's other end, without port
};

/// One HTTP response. `content_type` may be empty where `body` is.
struct HttpResponse {
  unsigned code = 200;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  ///< further fields
};

/// Gives the answer to one request: called exactly once, from any thread.
using Responder = std::move_only_function<void(HttpResponse)>;

/// Takes requests. `handle` must not block. @thread any I/O thread, several at once
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual void handle(HttpRequest request, Responder respond) = 0;
};

}  // namespace postern
