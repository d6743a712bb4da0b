#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/message.h"
#include "http/refusal.h"
#include "http/server.h"

/// The one place of the server that knows Beast: bytes to requests and responses to bytes, without
/// a socket.
namespace postern::http {

enum class Persistence : unsigned char { kKeepAlive, kClose };
enum class ReplyPart : unsigned char { kWhole, kHeaderOnly };

/// How the request wants to be answered.
struct ReplyForm {
  enum class Version : unsigned char { kHttp10, kHttp11 };
  Version version = Version::kHttp11;
  Persistence persistence = Persistence::kClose;
  ReplyPart part = ReplyPart::kWhole;

  friend bool operator==(const ReplyForm&, const ReplyForm&) = default;
};

/// Reads the requests of one connection, one after the other. @thread one
class RequestReader {
 public:
  enum class Progress : unsigned char { kNeedMore, kComplete, kRefused };
  struct Step {
    Progress progress = Progress::kNeedMore;
    std::size_t consumed = 0;  ///< of the bytes given; the others must be given again, with more
  };

  /// @param limits  outlives the reader
  explicit RequestReader(const Limits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /// Goes on with the request at hand. After kComplete call `take` before the next; after kRefused
  /// the reader is spent.
  [[nodiscard]] Step feed(std::string_view bytes);

  [[nodiscard]] Refusal refusal() const;
  /// Whether the header is complete and the body is not.
  [[nodiscard]] bool is_in_body() const;
  /// The room that the request at hand takes.
  [[nodiscard]] std::size_t bytes_held() const;
  /// Whether the sender waits for "100 Continue" before it sends the body.
  [[nodiscard]] bool awaits_continue() const;
  /// Of the request completed last, or at hand with its header complete.
  [[nodiscard]] ReplyForm reply_form() const;
  /// The completed request, without `peer`; makes ready for the next one.
  [[nodiscard]] HttpRequest take();

 private:
  class State;
  std::unique_ptr<State> state_;
};

/// Turns responses into bytes. Short responses without further fields are kept ready made, as a
/// platform is told one of few things many times. @thread one
class ReplyWriter {
 public:
  ReplyWriter();
  ~ReplyWriter();
  ReplyWriter(const ReplyWriter&) = delete;
  ReplyWriter& operator=(const ReplyWriter&) = delete;

  /// The bytes to send; valid until the next call.
  [[nodiscard]] std::string_view bytes(const HttpResponse& response, ReplyForm form);

 private:
  struct Entry;
  std::vector<Entry> entries_;
  std::string uncached_;
};

/// Whether `response` can be sent as it is: a final code, and no field that would break out of its
/// line or contradict the framing.
[[nodiscard]] bool is_sendable(const HttpResponse& response);

}  // namespace postern::http
