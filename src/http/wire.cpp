// HTTP/1.1 messages, read and written by Beast (RFC 9112).
//
// Reading goes in steps: the header block as one piece, then the body as it comes; of a chunked
// body each chunk's line as one piece, then its data. Before a piece is given to Beast,
// http/framing.h has seen all of its bytes, and before the body is read it has seen the fields that
// say how long the body is. The parser writes straight into the HttpRequest: Beast's own container
// of fields would cost an allocation and a copy for each of them.

#include "http/wire.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/span.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/container_hash/hash.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "base/check.h"
#include "http/framing.h"

namespace postern::http {
namespace {

namespace beast = boost::beast;
using boost::system::error_code;

/// A body is given this much room before any of it has arrived, however long it says it is.
constexpr std::size_t kBodyReserveMax = 4096;

constexpr std::size_t kHeaderFieldsUsual = 12;

class Parser final : public beast::http::basic_parser<true> {
 public:
  Parser(const Limits& limits, HttpRequest& request) : limits_(limits), request_(request) {
    header_limit(static_cast<std::uint32_t>(limits.header_bytes_max + 1));
    body_limit(limits.body_bytes_max);
  }

  [[nodiscard]] std::optional<Refusal> refusal() const { return refusal_; }
  [[nodiscard]] bool awaits_continue() const { return awaits_continue_; }
  [[nodiscard]] ReplyForm reply_form() const { return form_; }
  [[nodiscard]] std::uint64_t chunk_left() const { return chunk_left_; }

 private:
  using Verb = beast::http::verb;
  using FieldName = beast::http::field;
  using Text = beast::string_view;

  void refuse(Refusal refusal, error_code& ec) {
    refusal_ = refusal;
    ec = beast::http::error::bad_value;
  }

  void on_request_impl(Verb verb, Text method, Text target, int version, error_code& ec) override {
    if (target.size() > limits_.target_bytes_max) return refuse(Refusal::kTargetTooLong, ec);
    head_.version =
        version == 10 ? framing::Head::Version::kHttp10 : framing::Head::Version::kHttp11;
    head_.target = target;
    form_.version = version == 10 ? ReplyForm::Version::kHttp10 : ReplyForm::Version::kHttp11;
    form_.part = verb == Verb::head ? ReplyPart::kHeaderOnly : ReplyPart::kWhole;
    request_.method.assign(method);
  }

  void on_field_impl(FieldName field, Text name, Text value, error_code& ec) override {
    // Trailer fields come here too; they were not there when the request was judged.
    if (is_header_judged_) return;
    if (++fields_ > limits_.header_fields_max) return refuse(Refusal::kHeaderTooLarge, ec);
    if (field == FieldName::content_length) head_.content_length.add(value);
    if (field == FieldName::transfer_encoding) head_.transfer_encoding.add(value);
    if (field == FieldName::host) head_.host.add(value);
    if (field == FieldName::expect) head_.expect.add(value);
    request_.headers.add(name, value);
  }

  void on_header_impl(error_code& ec) override {
    is_header_judged_ = true;
    if (!framing::is_unambiguous(head_)) return refuse(Refusal::kFraming, ec);
    const auto target = framing::origin_form(head_);
    if (!target) return refuse(Refusal::kFraming, ec);
    request_.target.assign(*target);
    const framing::Expectation expectation = framing::expectation(head_);
    if (expectation == framing::Expectation::kUnknown) {
      return refuse(Refusal::kExpectationUnknown, ec);
    }
    awaits_continue_ = expectation == framing::Expectation::kContinue;
    form_.persistence = keep_alive() ? Persistence::kKeepAlive : Persistence::kClose;
    head_ = {};  // its views end with the caller's buffer
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    if (length) request_.body.reserve(std::min<std::uint64_t>(*length, kBodyReserveMax));
  }

  std::size_t on_body_impl(Text bytes, error_code&) override {
    request_.body.append(bytes);
    return bytes.size();
  }

  void on_chunk_header_impl(std::uint64_t size, Text, error_code&) override { chunk_left_ = size; }

  std::size_t on_chunk_body_impl(std::uint64_t left, Text bytes, error_code&) override {
    request_.body.append(bytes);
    chunk_left_ = left - bytes.size();
    return bytes.size();
  }

  void on_response_impl(int, Text, int, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  const Limits& limits_;
  HttpRequest& request_;
  framing::Head head_;
  ReplyForm form_;
  std::size_t fields_ = 0;
  std::uint64_t chunk_left_ = 0;
  std::optional<Refusal> refusal_;
  bool is_header_judged_ = false;
  bool awaits_continue_ = false;
};

[[nodiscard]] Refusal refusal_of(error_code ec) {
  if (ec == beast::http::error::body_limit) return Refusal::kBodyTooLarge;
  if (ec == beast::http::error::header_limit) return Refusal::kHeaderTooLarge;
  return Refusal::kFraming;
}

}  // namespace

class RequestReader::State {
 public:
  explicit State(const Limits& limits) : limits_(limits) {}

  Step feed(std::string_view bytes);
  HttpRequest take();

  [[nodiscard]] std::size_t bytes_held() const {
    return request_.headers.block().capacity() + request_.target.capacity() +
           request_.body.capacity();
  }

  enum class Stage : unsigned char {
    kHeader,
    kBody,
    kFirstChunkLine,
    kChunkLine,
    kChunkData,
    kComplete,
    kRefused,
  };
  Stage stage = Stage::kHeader;
  Refusal refusal = Refusal::kFraming;
  ReplyForm form;
  std::optional<Parser> parser;

 private:
  /// Each takes what it can of `bytes`, moves the stage on, and returns how much that was; 0 with
  /// an unchanged stage means that more bytes are needed.
  std::size_t step(std::string_view bytes);
  std::size_t read_header(std::string_view bytes);
  std::size_t read_chunk_line(std::string_view bytes, framing::ChunkPlace place);
  std::size_t put(std::string_view bytes);
  void refuse(Refusal why) {
    stage = Stage::kRefused;
    refusal = why;
  }

  const Limits& limits_;
  HttpRequest request_;
  std::size_t scanned_ = 0;  ///< of the header block at hand
};

std::size_t RequestReader::State::put(std::string_view bytes) {
  error_code ec;
  const std::size_t used = parser->put(boost::asio::buffer(bytes), ec);
  if (ec && ec != beast::http::error::need_more) {
    refuse(parser->refusal().value_or(refusal_of(ec)));
  }
  return used;
}

std::size_t RequestReader::State::read_header(std::string_view bytes) {
  const framing::Scan scan = framing::scan_header(bytes, scanned_, limits_.header_bytes_max);
  switch (scan.verdict) {
    case framing::Verdict::kIncomplete:
      scanned_ = bytes.size();
      return 0;
    case framing::Verdict::kMalformed:
      refuse(Refusal::kFraming);
      return 0;
    case framing::Verdict::kTooLarge:
      refuse(Refusal::kHeaderTooLarge);
      return 0;
    case framing::Verdict::kWhole:
      break;
  }
  scanned_ = 0;
  parser.emplace(limits_, request_);
  // The block holds the fields' lines as they are kept, but for a blank that a sender left out.
  request_.headers.reserve(kHeaderFieldsUsual, scan.size);
  const std::size_t used = put(bytes.substr(0, scan.size));
  if (stage == Stage::kRefused) return used;
  // What we take for the whole header must be that for Beast, to the byte.
  if (used != scan.size || !parser->is_header_done()) {
    refuse(Refusal::kFraming);
    return used;
  }
  form = parser->reply_form();
  if (parser->is_done()) {
    stage = Stage::kComplete;
  } else {
    stage = parser->chunked() ? Stage::kFirstChunkLine : Stage::kBody;
  }
  return used;
}

std::size_t RequestReader::State::read_chunk_line(std::string_view bytes,
                                                  framing::ChunkPlace place) {
  const framing::Scan scan = framing::scan_chunk_line(bytes, place);
  switch (scan.verdict) {
    case framing::Verdict::kIncomplete:
      return 0;
    case framing::Verdict::kMalformed:
      refuse(Refusal::kFraming);
      return 0;
    case framing::Verdict::kTooLarge:
      refuse(Refusal::kHeaderTooLarge);
      return 0;
    case framing::Verdict::kWhole:
      break;
  }
  const std::size_t used = put(bytes.substr(0, scan.size));
  if (stage == Stage::kRefused) return used;
  if (used != scan.size) {
    refuse(Refusal::kFraming);
  } else {
    stage = parser->is_done() ? Stage::kComplete : Stage::kChunkData;
  }
  return used;
}

std::size_t RequestReader::State::step(std::string_view bytes) {
  switch (stage) {
    case Stage::kHeader:
      return read_header(bytes);
    case Stage::kFirstChunkLine:
      return read_chunk_line(bytes, framing::ChunkPlace::kFirst);
    case Stage::kChunkLine:
      return read_chunk_line(bytes, framing::ChunkPlace::kLater);
    case Stage::kBody: {
      const std::size_t used = put(bytes);
      if (parser->is_done()) stage = Stage::kComplete;
      return used;
    }
    case Stage::kChunkData: {
      const std::size_t used = put(bytes);
      if (stage == Stage::kChunkData && parser->chunk_left() == 0) stage = Stage::kChunkLine;
      return used;
    }
    case Stage::kComplete:
    case Stage::kRefused:
      break;
  }
  return 0;
}

RequestReader::Step RequestReader::State::feed(std::string_view bytes) {
  std::size_t consumed = 0;
  while (consumed < bytes.size() && stage != Stage::kComplete && stage != Stage::kRefused) {
    const Stage before = stage;
    const std::size_t used = step(bytes.substr(consumed));
    consumed += used;
    if (used == 0 && stage == before) break;
  }
  if (stage == Stage::kComplete) return {Progress::kComplete, consumed};
  if (stage == Stage::kRefused) return {Progress::kRefused, consumed};
  return {Progress::kNeedMore, consumed};
}

HttpRequest RequestReader::State::take() {
  POSTERN_CHECK(stage == Stage::kComplete);
  stage = Stage::kHeader;
  parser.reset();
  return std::exchange(request_, {});
}

RequestReader::RequestReader(const Limits& limits) : state_(std::make_unique<State>(limits)) {}
RequestReader::~RequestReader() = default;

RequestReader::Step RequestReader::feed(std::string_view bytes) {
  return state_->feed(bytes);
}
Refusal RequestReader::refusal() const {
  return state_->refusal;
}
ReplyForm RequestReader::reply_form() const {
  return state_->form;
}
HttpRequest RequestReader::take() {
  return state_->take();
}

bool RequestReader::is_in_body() const {
  switch (state_->stage) {
    case State::Stage::kHeader:
    case State::Stage::kComplete:
    case State::Stage::kRefused:
      return false;
    case State::Stage::kBody:
    case State::Stage::kFirstChunkLine:
    case State::Stage::kChunkLine:
    case State::Stage::kChunkData:
      return true;
  }
  return false;
}

std::size_t RequestReader::bytes_held() const {
  return state_->bytes_held();
}

bool RequestReader::awaits_continue() const {
  return is_in_body() && state_->parser->awaits_continue();
}

// ---------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kEntries = 64;
constexpr std::size_t kCachedBodyBytesMax = 512;
constexpr std::size_t kCachedContentTypeBytesMax = 64;
/// A larger buffer is given back after use.
constexpr std::size_t kUncachedBytesKept = 16 * 1024;

[[nodiscard]] bool may_have_body(unsigned code) {
  return code != 204 && code != 304;
}

/// Appends `response` to `out` as Beast's serialiser writes it.
void serialise(const HttpResponse& response, ReplyForm form, std::string& out) {
  namespace http = beast::http;
  using Body = http::span_body<const char>;
  const unsigned version = form.version == ReplyForm::Version::kHttp10 ? 10 : 11;
  http::response<Body> message(http::int_to_status(response.code), version);
  message.result(response.code);
  if (!response.content_type.empty()) {
    message.set(http::field::content_type, response.content_type);
  }
  for (const auto& [name, value] : response.headers) message.insert(name, value);
  message.keep_alive(form.persistence == Persistence::kKeepAlive);
  if (may_have_body(response.code)) {
    message.content_length(response.body.size());
    message.body() = Body::value_type(response.body.data(), response.body.size());
  }
  http::serializer<false, Body> serializer(message);
  serializer.split(form.part == ReplyPart::kHeaderOnly);
  error_code ec;
  do {
    serializer.next(ec, [&](error_code&, const auto& buffers) {
      std::size_t size = 0;
      for (const boost::asio::const_buffer buffer : beast::buffers_range_ref(buffers)) {
        out.append(static_cast<const char*>(buffer.data()), buffer.size());
        size += buffer.size();
      }
      serializer.consume(size);
    });
    if (form.part == ReplyPart::kHeaderOnly && serializer.is_header_done()) return;
  } while (!ec && !serializer.is_done());
}

[[nodiscard]] bool is_token(std::string_view text) {
  const auto is_tchar = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  };
  return !text.empty() && std::ranges::all_of(text, is_tchar);
}

[[nodiscard]] bool is_field_value(std::string_view text) {
  return std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

/// Whether the field belongs to the server, which knows the framing.
[[nodiscard]] bool is_ours(std::string_view name) {
  using beast::http::field;
  const field known = beast::http::string_to_field(name);
  return known == field::connection || known == field::content_length ||
         known == field::transfer_encoding;
}

}  // namespace

struct ReplyWriter::Entry {
  unsigned code = 0;  ///< 0: unused
  ReplyForm form;
  std::string content_type, body, bytes;
};

ReplyWriter::ReplyWriter() : entries_(kEntries) {}
ReplyWriter::~ReplyWriter() = default;

std::string_view ReplyWriter::bytes(const HttpResponse& response, ReplyForm form) {
  if (!response.headers.empty() || response.body.size() > kCachedBodyBytesMax ||
      response.content_type.size() > kCachedContentTypeBytesMax) {
    uncached_.clear();
    if (uncached_.capacity() > kUncachedBytesKept) uncached_.shrink_to_fit();
    serialise(response, form, uncached_);
    return uncached_;
  }
  // One place for each response: an unusual one displaces another and costs its making, no more.
  std::size_t hash = std::hash<std::string_view>{}(response.body);
  boost::hash_combine(hash, response.code);
  boost::hash_combine(hash, static_cast<unsigned>(form.persistence));
  boost::hash_combine(hash, static_cast<unsigned>(form.version));
  boost::hash_combine(hash, static_cast<unsigned>(form.part));
  Entry& entry = entries_[hash % entries_.size()];
  if (entry.code != response.code || entry.form != form || entry.body != response.body ||
      entry.content_type != response.content_type) {
    entry.bytes.clear();
    serialise(response, form, entry.bytes);
    entry.code = response.code;
    entry.form = form;
    entry.content_type = response.content_type;
    entry.body = response.body;
  }
  return entry.bytes;
}

bool is_sendable(const HttpResponse& response) {
  if (response.code < 200 || response.code > 599) return false;
  if (!is_field_value(response.content_type)) return false;
  return std::ranges::all_of(response.headers, [](const auto& field) {
    return is_token(field.first) && !is_ours(field.first) && is_field_value(field.second);
  });
}

}  // namespace postern::http
