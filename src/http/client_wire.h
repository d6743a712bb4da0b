#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/message.h"

/// Requests to bytes and bytes to responses, without a socket: the one place of the asynchronous
/// client that knows Beast. Private to this room.
namespace postern::http {

/// `request` as it is sent, with Host and Content-Length added.
[[nodiscard]] std::string request_bytes(const HttpRequest& request, std::string_view host_field);

/// Reads one response, up to a limit of bytes; interim ones (100 Continue) are passed over. Nothing
/// is inflated. @thread one
class ResponseReader {
 public:
  enum class Progress : unsigned char {
    kNeedMore,
    kComplete,   ///< the whole response
    kCut,        ///< the header is good; the rest is too long or malformed
    kMalformed,  ///< no response can be made of it
  };

  explicit ResponseReader(std::size_t bytes_max);
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  /// Not called again after any other answer than kNeedMore.
  [[nodiscard]] Progress feed(std::string_view bytes);
  /// Whether the code and the fields are known: from then on `take` is allowed.
  [[nodiscard]] bool has_header() const;
  /// Whether a further request may follow on this connection.
  [[nodiscard]] bool may_continue() const;
  /// The response with as much of its body as has come.
  [[nodiscard]] HttpResponse take() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace postern::http
