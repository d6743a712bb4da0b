// TLS 1.2 (RFC 5246) and 1.3 (RFC 8446) as a client, by OpenSSL through Asio. The server's
// certificate is checked as RFC 6125 asks: for the DNS names or addresses it lists; the common name
// of its subject counts for nothing.

#include "http/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace postern::http {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// At least 112 bits of security: RSA from 2048 bits, no RC4, no SHA-1 signatures.
constexpr int kSecurityLevel = 2;

class PlainStream final : public ClientStream {
 public:
  explicit PlainStream(tcp::socket socket) : socket_(std::move(socket)) {}

  tcp::socket& socket() override { return socket_; }
  Awaitable<std::string> handshake() override { co_return std::string(); }
  Awaitable<ReadResult> read_some(std::span<char> buffer) override {
    const auto [error, size] =
        co_await socket_.async_read_some(asio::buffer(buffer.data(), buffer.size()), kAwait);
    co_return ReadResult{error, size};
  }
  Awaitable<ErrorCode> write(std::string_view bytes) override {
    const auto [error, size] =
        co_await asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), kAwait);
    co_return error;
  }

 private:
  tcp::socket socket_;
};

class TlsStream final : public ClientStream {
 public:
  TlsStream(tcp::socket socket, ssl::context& context) : stream_(std::move(socket), context) {}

  [[nodiscard]] SSL* native() { return stream_.native_handle(); }
  tcp::socket& socket() override { return stream_.next_layer(); }
  Awaitable<std::string> handshake() override {
    const auto [error] = co_await stream_.async_handshake(ssl::stream_base::client, kAwait);
    const long verdict = ::SSL_get_verify_result(native());
    if (verdict != X509_V_OK) co_return ::X509_verify_cert_error_string(verdict);
    co_return error ? error.message() : std::string();
  }
  Awaitable<ReadResult> read_some(std::span<char> buffer) override {
    const auto [error, size] =
        co_await stream_.async_read_some(asio::buffer(buffer.data(), buffer.size()), kAwait);
    co_return ReadResult{error, size};
  }
  Awaitable<ErrorCode> write(std::string_view bytes) override {
    const auto [error, size] =
        co_await asio::async_write(stream_, asio::buffer(bytes.data(), bytes.size()), kAwait);
    co_return error;
  }

 private:
  ssl::stream<tcp::socket> stream_;
};

[[nodiscard]] bool set_expected_host(SSL* handle, const std::string& host) {
  X509_VERIFY_PARAM* const param = ::SSL_get0_param(handle);
  ::X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  error_code not_numeric;
  asio::ip::make_address(host, not_numeric);
  if (!not_numeric) return ::X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1;
  // An address may not be named in SNI (RFC 6066, section 3).
  return ::SSL_set_tlsext_host_name(handle, host.c_str()) == 1 &&
         ::X509_VERIFY_PARAM_set1_host(param, host.data(), host.size()) == 1;
}

}  // namespace

struct TlsClientContext::Impl {
  ssl::context context{ssl::context::tls_client};
};

TlsClientContext::TlsClientContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsClientContext::~TlsClientContext() = default;

Result<std::unique_ptr<TlsClientContext>> TlsClientContext::make(const std::string& ca_file) {
  auto impl = std::make_unique<Impl>();
  ssl::context& context = impl->context;
  SSL_CTX* const native = context.native_handle();
  error_code ec;
  context.set_verify_mode(ssl::verify_peer, ec);
  if (ec || ::SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) != 1) {
    return fault("tls_setup_failed", "TLS 1.2 is not to be had");
  }
  ::SSL_CTX_set_security_level(native, kSecurityLevel);
  static constexpr std::array<unsigned char, 9> kProtocols = {8,   'h', 't', 't', 'p',
                                                              '/', '1', '.', '1'};
  // Returns zero on success, unlike its neighbours.
  if (::SSL_CTX_set_alpn_protos(native, kProtocols.data(), kProtocols.size()) != 0) {
    return fault("tls_setup_failed", "ALPN");
  }
  if (ca_file.empty()) {
    context.set_default_verify_paths(ec);
    if (ec) return fault("tls_setup_failed", "the system's roots: " + ec.message());
  } else {
    context.load_verify_file(ca_file, ec);
    if (ec) {
      return fault("ca_file_unreadable",
                   ca_file + ": " + ec.message() + "; it must be a PEM file of certificates");
    }
  }
  return std::unique_ptr<TlsClientContext>(new TlsClientContext(std::move(impl)));
}

Result<std::unique_ptr<ClientStream>> TlsClientContext::wrap(tcp::socket socket,
                                                             const std::string& host) {
  ::ERR_clear_error();
  auto stream = std::make_unique<TlsStream>(std::move(socket), impl_->context);
  if (!set_expected_host(stream->native(), host)) {
    return fault("tls_setup_failed", "the host name cannot be checked");
  }
  return stream;
}

std::unique_ptr<ClientStream> plain_stream(tcp::socket socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

void ClientStream::close() {
  error_code ignored;
  socket().close(ignored);
}

}  // namespace postern::http
