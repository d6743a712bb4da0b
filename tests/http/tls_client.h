#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "http/tls_server.h"
#include "tests/http/support.h"
#include "tests/support/tls_identities.h"

namespace postern::http::testing {

/// How a client of the tests behaves.
struct TlsClientOptions {
  int version_min = TLS1_2_VERSION;
  int version_max = 0;                                 ///< 0: the newest
  const postern::testing::Issued* identity = nullptr;  ///< shown where the server asks
  std::string protocols = "\x08http/1.1";              ///< ALPN; empty: none
  std::size_t piece = 0;                               ///< bytes sent at once; 0: all there are
};

/// OpenSSL over a RawClient-like socket: what it sends can be cut into pieces, and every wait has a
/// limit. It takes any certificate, and shows which.
class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, const TlsClientOptions& options = {})
      : piece_(options.piece), raw_(port), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_security_level(context_, 0);  // it is the server that shall refuse
    SSL_CTX_set_min_proto_version(context_, options.version_min);
    SSL_CTX_set_max_proto_version(context_, options.version_max);
    SSL_CTX_set_options(context_, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (options.identity != nullptr) {
      SSL_CTX_use_certificate(context_, options.identity->native());
      SSL_CTX_use_PrivateKey(context_, options.identity->native_key());
    }
    ssl_ = SSL_new(context_);
    if (!options.protocols.empty()) {
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(options.protocols.data()),
                          static_cast<unsigned>(options.protocols.size()));
    }
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_);
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  [[nodiscard]] SSL* native() { return ssl_; }
  [[nodiscard]] RawClient& raw() { return raw_; }

  /// Whether the handshake went well, as far as this side can tell.
  [[nodiscard]] bool shake_hands() {
    while (true) {
      const int returned = SSL_do_handshake(ssl_);
      if (!flush() && returned != 1) return false;
      if (returned == 1) return true;
      if (SSL_get_error(ssl_, returned) != SSL_ERROR_WANT_READ || !fill(kPatience)) return false;
    }
  }
  bool send(std::string_view bytes) {
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0 && flush();
  }
  /// The first bytes of the handshake, for the test to send; shake_hands goes on from there.
  [[nodiscard]] std::string hello() {
    SSL_do_handshake(ssl_);
    return outgoing();
  }
  /// Says close_notify.
  bool finish_sending() {
    SSL_shutdown(ssl_);
    return flush();
  }

  [[nodiscard]] std::optional<Reply> read_reply(Milliseconds limit = kPatience) {
    while (true) {
      const std::size_t end = unread_.find("\r\n\r\n");
      if (end != std::string::npos) {
        Reply reply;
        reply.header = unread_.substr(0, end + 2);
        reply.code = static_cast<unsigned>(std::stoul(reply.header.substr(9, 3)));
        static constexpr std::string_view kLength = "\r\nContent-Length: ";
        const std::size_t at = reply.header.find(kLength);
        const std::size_t size =
            at == std::string::npos ? 0 : std::stoul(reply.header.substr(at + kLength.size()));
        if (unread_.size() >= end + 4 + size) {
          reply.body = unread_.substr(end + 4, size);
          unread_.erase(0, end + 4 + size);
          return reply;
        }
      }
      if (!read_some(limit)) return std::nullopt;
    }
  }
  /// Whether the server ends the connection, with nothing more to read.
  [[nodiscard]] bool is_closed_by_server(Milliseconds limit = kPatience) {
    return unread_.empty() && !read_some(limit) && is_ended_;
  }
  /// Whether it said close_notify before.
  [[nodiscard]] bool is_goodbye_said() const {
    return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0 && !is_ended_before_goodbye_;
  }

 private:
  bool read_some(Milliseconds limit) {
    char buffer[16384];
    while (true) {
      const int size = SSL_read(ssl_, buffer, sizeof buffer);
      if (size > 0) {
        unread_.append(buffer, static_cast<std::size_t>(size));
        return true;
      }
      if (SSL_get_error(ssl_, size) != SSL_ERROR_WANT_READ) {
        is_ended_ = true;
        return false;
      }
      flush();
      if (!fill(limit)) return false;
    }
  }
  [[nodiscard]] std::string outgoing() {
    std::string bytes(BIO_ctrl_pending(SSL_get_wbio(ssl_)), '\0');
    if (!bytes.empty()) {
      BIO_read(SSL_get_wbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
    }
    return bytes;
  }
  bool flush() {
    const std::string bytes = outgoing();
    if (piece_ == 0) return raw_.send(bytes);
    for (std::size_t at = 0; at < bytes.size(); at += piece_) {
      if (!raw_.send(std::string_view(bytes).substr(at, piece_))) return false;
      ::usleep(200);
    }
    return true;
  }
  bool fill(Milliseconds limit) {
    const std::optional<std::string> bytes = raw_.read_bytes(limit);
    if (!bytes) {
      is_ended_ = raw_.is_ended();
      is_ended_before_goodbye_ = is_ended_;
      return false;
    }
    BIO_write(SSL_get_rbio(ssl_), bytes->data(), static_cast<int>(bytes->size()));
    return true;
  }

  const std::size_t piece_;
  RawClient raw_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  std::string unread_;
  bool is_ended_ = false;
  bool is_ended_before_goodbye_ = false;
};

/// A server with a certificate of its own, on a free port.
struct TlsTestServer {
  explicit TlsTestServer(Limits limits = {}, unsigned threads = 1, std::string client_ca = {})
      : TlsTestServer(postern::testing::Issued({}, nullptr), limits, threads,
                      std::move(client_ca)) {}
  TlsTestServer(const postern::testing::Issued& identity, Limits limits, unsigned threads,
                const std::string& client_ca)
      : context(make_context(identity, client_ca)) {
    auto started =
        Server::start({"test", {"127.0.0.1", 0}, limits, threads, context}, handler, log, metrics);
    EXPECT_TRUE(started) << started.error().detail;
    server = std::move(started).value();
  }
  [[nodiscard]] static std::shared_ptr<TlsServerContext> make_context(
      const postern::testing::Issued& identity, const std::string& client_ca) {
    auto made = TlsIdentity::make(identity.certificate(), Secret(identity.key()), client_ca);
    EXPECT_TRUE(made) << made.error().detail;
    auto context = TlsServerContext::make(*made, made->not_before());
    EXPECT_TRUE(context);
    return *context;
  }
  [[nodiscard]] std::uint16_t port() const { return server->port(); }
  [[nodiscard]] double refused(const std::string& reason) const {
    return metrics.value("http_refused_total{test," + reason + "}");
  }
  [[nodiscard]] double connections() const { return metrics.value("http_connections{test}"); }

  const std::shared_ptr<TlsServerContext> context;
  RecordingHandler handler;
  RecordingLog log;
  ReadableMetrics metrics;
  std::unique_ptr<Server> server;  // goes first
};

}  // namespace postern::http::testing
