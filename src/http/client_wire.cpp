// HTTP/1.1 messages of a client (RFC 9112), written and read by Beast. The body goes into a buffer
// of fixed size: Beast's own string body would reserve whatever Content-Length claims.

#include "http/client_wire.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <vector>

#include "base/check.h"

namespace postern::http {
namespace {

namespace beast = boost::beast;
using boost::system::error_code;
using Parser = beast::http::response_parser<beast::http::buffer_body>;

constexpr std::uint32_t kHeaderBytesMax = 16 * 1024;
/// "100 Continue" and the like before the answer.
constexpr int kInterimResponsesMax = 8;
constexpr unsigned kSwitchingProtocols = 101;

}  // namespace

std::string request_bytes(const HttpRequest& request, std::string_view host_field) {
  beast::http::request<beast::http::string_body> message;
  message.version(11);
  message.method_string(request.method);
  message.target(request.target);
  message.set(beast::http::field::host, host_field);
  std::string_view block = request.headers.block();
  while (!block.empty()) {
    const std::string_view line = block.substr(0, block.find("\r\n"));
    const std::size_t colon = line.find(": ");
    message.insert(line.substr(0, colon), line.substr(colon + 2));
    block.remove_prefix(line.size() + 2);
  }
  message.body() = request.body;
  message.prepare_payload();

  std::string bytes;
  beast::http::request_serializer<beast::http::string_body> serializer(message);
  while (!serializer.is_done()) {
    error_code ec;
    std::size_t size = 0;
    serializer.next(ec, [&](error_code&, const auto& buffers) {
      for (const auto buffer : beast::buffers_range_ref(buffers)) {
        bytes.append(static_cast<const char*>(buffer.data()), buffer.size());
        size += buffer.size();
      }
    });
    POSTERN_CHECK(!ec);
    serializer.consume(size);
  }
  return bytes;
}

struct ResponseReader::State {
  explicit State(std::size_t max) : bytes_max(max), body(max) { start(); }

  void start() {
    parser.emplace();
    parser->eager(true);
    parser->header_limit(kHeaderBytesMax);
    // The body is cut where its buffer ends, however long it says it is.
    parser->body_limit(boost::none);
    parser->get().body().data = body.data();
    parser->get().body().size = body.size();
    parser->get().body().more = true;
  }
  [[nodiscard]] bool is_interim() const {
    const unsigned code = parser->get().result_int();
    return code / 100 == 1 && code != kSwitchingProtocols;
  }

  const std::size_t bytes_max;
  std::vector<char> body;
  std::optional<Parser> parser;
  std::string pending;  ///< received and not yet understood
  std::size_t bytes_seen = 0;
  int interim_responses = 0;
};

ResponseReader::ResponseReader(std::size_t bytes_max)
    : state_(std::make_unique<State>(bytes_max)) {}
ResponseReader::~ResponseReader() = default;

ResponseReader::Progress ResponseReader::feed(std::string_view bytes) {
  State& state = *state_;
  state.pending.append(bytes);
  state.bytes_seen += bytes.size();
  while (!state.pending.empty()) {
    error_code ec;
    const std::size_t used =
        state.parser->put(boost::asio::buffer(state.pending.data(), state.pending.size()), ec);
    state.pending.erase(0, used);
    if (ec && ec != beast::http::error::need_more) {
      return has_header() ? Progress::kCut : Progress::kMalformed;
    }
    if (state.parser->is_done()) {
      if (!state.is_interim()) return Progress::kComplete;
      if (++state.interim_responses > kInterimResponsesMax) return Progress::kMalformed;
      state.start();
    } else if (used == 0) {
      break;
    }
  }
  if (state.bytes_seen < state.bytes_max) return Progress::kNeedMore;
  return has_header() ? Progress::kCut : Progress::kMalformed;
}

bool ResponseReader::has_header() const {
  return state_->parser->is_header_done() && !state_->is_interim();
}

bool ResponseReader::may_continue() const {
  return state_->parser->is_done() && state_->parser->keep_alive() && state_->pending.empty() &&
         state_->parser->get().result_int() != kSwitchingProtocols;
}

HttpResponse ResponseReader::take() const {
  POSTERN_CHECK(has_header());
  const auto& message = state_->parser->get();
  HttpResponse response;
  response.code = message.result_int();
  for (const auto& field : message) {
    if (field.name() == beast::http::field::content_type) {
      response.content_type = field.value();
    } else {
      response.headers.emplace_back(field.name_string(), field.value());
    }
  }
  response.body.assign(state_->body.data(), state_->body.size() - message.body().size);
  return response;
}

}  // namespace postern::http
