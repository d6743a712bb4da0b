// An HTTP/1.1 client on Beast. Every step is an asynchronous operation of a tcp_stream with a
// deadline, run to its end by the caller's thread: blocking calls could not be timed out.

#include "http/client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <utility>

#include "http/known_server.h"

namespace postern::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using Message = beast::http::request<beast::http::string_body>;
using Parser = beast::http::response_parser<beast::http::string_body>;

constexpr std::uint64_t kResponseBytesMax = 16 * 1024 * 1024;
/// "100 Continue" and the like before the answer.
constexpr int kInterimResponsesMax = 8;

[[nodiscard]] std::string host_field(const std::string& host, std::uint16_t port) {
  std::string field = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != 80) field += ":" + std::to_string(port);
  return field;
}

[[nodiscard]] Message make_message(const HttpRequest& request, const std::string& host) {
  Message message;
  message.version(11);
  message.method_string(request.method);
  message.target(request.target);
  std::string_view block = request.headers.block();
  while (!block.empty()) {
    const std::string_view line = block.substr(0, block.find("\r\n"));
    const std::size_t colon = line.find(": ");
    message.insert(line.substr(0, colon), line.substr(colon + 2));
    block.remove_prefix(line.size() + 2);
  }
  if (message.find(beast::http::field::host) == message.end()) {
    message.set(beast::http::field::host, host);
  }
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

[[nodiscard]] HttpResponse make_response(Parser::value_type&& message) {
  HttpResponse response;
  response.code = message.result_int();
  for (const auto& field : message) {
    if (field.name() == beast::http::field::content_type) {
      response.content_type = field.value();
    } else {
      response.headers.emplace_back(field.name_string(), field.value());
    }
  }
  response.body = std::move(message.body());
  return response;
}

}  // namespace

class BlockingClient::Impl {
 public:
  Impl(std::string host, std::uint16_t port, std::chrono::milliseconds timeout,
       std::optional<ClientTls> tls)
      : host_(std::move(host)),
        port_(port),
        host_field_(host_field(host_, port)),
        timeout_(timeout),
        tls_(std::move(tls)),
        resolver_(context_) {}

  [[nodiscard]] Result<HttpResponse> send(const HttpRequest& request);

 private:
  /// `is_sent_in_vain`: the connection ended before any byte of an answer.
  struct Failure {
    Error error;
    bool is_sent_in_vain = false;
  };
  using Outcome = std::expected<HttpResponse, Failure>;

  [[nodiscard]] Result<void> connect();
  [[nodiscard]] Result<void> shake_hands();
  [[nodiscard]] Outcome exchange(Message& message);
  template <class Stream>
  [[nodiscard]] Outcome exchange_on(Stream& stream, Message& message);
  void disconnect() {
    tls_stream_.reset();
    stream_.reset();
  }
  [[nodiscard]] Error error_of(error_code ec) const;
  /// Runs what has been started to its end.
  void run() {
    context_.restart();
    context_.run();
  }

  const std::string host_;
  const std::uint16_t port_;
  const std::string host_field_;
  const std::chrono::milliseconds timeout_;
  const std::optional<ClientTls> tls_;
  std::unique_ptr<KnownServer> server_;  ///< made with the first connection under TLS
  asio::io_context context_;
  tcp::resolver resolver_;
  std::optional<beast::tcp_stream> stream_;
  std::optional<asio::ssl::stream<beast::tcp_stream&>> tls_stream_;
  beast::flat_buffer buffer_;
};

Error BlockingClient::Impl::error_of(error_code ec) const {
  const std::string where = host_field_ + ": " + ec.message();
  if (ec == beast::error::timeout) return Error{ErrorClass::kRetryable, "timed_out", where};
  const bool is_http_error =
      ec.category() == make_error_code(beast::http::error::end_of_stream).category();
  if (is_http_error && ec != beast::http::error::end_of_stream &&
      ec != beast::http::error::partial_message) {
    return Error{ErrorClass::kRetryable, "response_malformed", where};
  }
  return Error{ErrorClass::kRetryable, "connection_lost", where};
}

Result<void> BlockingClient::Impl::connect() {
  const auto failed = [&](error_code ec) -> Result<void> {
    disconnect();
    if (ec == beast::error::timeout) return std::unexpected(error_of(ec));
    return retryable("connect_failed", host_field_ + ": " + ec.message());
  };
  error_code ec;
  tcp::resolver::results_type endpoints =
      resolver_.resolve(host_, std::to_string(port_), tcp::resolver::numeric_service, ec);
  if (ec) return failed(ec);
  buffer_.clear();
  stream_.emplace(context_);
  stream_->expires_after(timeout_);
  stream_->async_connect(endpoints, [&](error_code result, const tcp::endpoint&) { ec = result; });
  run();
  if (ec) return failed(ec);
  stream_->socket().set_option(tcp::no_delay(true), ec);
  if (ec) return failed(ec);
  return tls_ ? shake_hands() : Result<void>();
}

Result<void> BlockingClient::Impl::shake_hands() {
  if (!server_) {
    POSTERN_ASSIGN_OR_RETURN(server_, KnownServer::make(*tls_));
  }
  tls_stream_.emplace(*stream_, server_->context());
  error_code ec;
  tls_stream_->async_handshake(asio::ssl::stream_base::client,
                               [&](error_code result) { ec = result; });
  run();
  if (!ec) return {};
  disconnect();
  if (ec == beast::error::timeout) return std::unexpected(error_of(ec));
  return rejected("tls_failed", host_field_ + ": " + ec.message());
}

BlockingClient::Impl::Outcome BlockingClient::Impl::exchange(Message& message) {
  return tls_stream_ ? exchange_on(*tls_stream_, message) : exchange_on(*stream_, message);
}

template <class Stream>
BlockingClient::Impl::Outcome BlockingClient::Impl::exchange_on(Stream& stream, Message& message) {
  const auto failed = [&](error_code ec, bool in_vain) {
    disconnect();
    return std::unexpected(Failure{error_of(ec), in_vain && ec != beast::error::timeout});
  };
  stream_->expires_after(timeout_);
  error_code ec;
  // The answer is read also where the request could not be written whole: a server that refuses a
  // large body says so before it has read it.
  beast::http::async_write(stream, message, [&](error_code result, std::size_t) { ec = result; });
  run();
  if (ec == beast::error::timeout) return failed(ec, false);

  for (int i = 0; i < kInterimResponsesMax; ++i) {
    Parser parser;
    parser.body_limit(kResponseBytesMax);
    parser.skip(message.method() == beast::http::verb::head);
    beast::http::async_read(stream, buffer_, parser,
                            [&](error_code result, std::size_t) { ec = result; });
    run();
    if (ec) return failed(ec, i == 0 && !parser.got_some() && buffer_.size() == 0);
    if (parser.get().result_int() / 100 == 1) continue;
    if (!parser.keep_alive()) disconnect();
    return make_response(parser.release());
  }
  return failed(make_error_code(beast::http::error::bad_status), false);
}

Result<HttpResponse> BlockingClient::Impl::send(const HttpRequest& request) {
  Message message = make_message(request, host_field_);
  const bool is_kept = stream_.has_value();
  if (!is_kept) POSTERN_RETURN_IF_ERROR(connect());
  Outcome outcome = exchange(message);
  if (!outcome && is_kept && outcome.error().is_sent_in_vain) {
    POSTERN_RETURN_IF_ERROR(connect());
    outcome = exchange(message);
  }
  if (!outcome) return std::unexpected(std::move(outcome).error().error);
  return std::move(outcome).value();
}

BlockingClient::BlockingClient(std::string host, std::uint16_t port,
                               std::chrono::milliseconds timeout, std::optional<ClientTls> tls)
    : impl_(std::make_unique<Impl>(std::move(host), port, timeout, std::move(tls))) {}
BlockingClient::~BlockingClient() = default;

Result<HttpResponse> BlockingClient::send(const HttpRequest& request) {
  return impl_->send(request);
}

}  // namespace postern::http
