#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

struct ssl_st;

namespace postern::http {

class TlsServerContext;

/// A socket without the type-erased executor, which costs an indirect call for each operation.
using Socket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

/// The bytes of one connection: those of its socket, or what TLS carries in them. Nothing blocks.
/// Private to this room. @thread one, on which SIGPIPE is blocked: OpenSSL writes without
/// MSG_NOSIGNAL
class Transport {
 public:
  enum class Outcome : unsigned char {
    kDone,
    kWantsRead,   ///< again once the socket is readable
    kWantsWrite,  ///< again once it is writable
    kEnd,         ///< the peer sends nothing more
    kFailed,      ///< nothing works any more
  };
  struct Moved {
    Outcome outcome;
    std::size_t size = 0;  ///< also where the outcome is not kDone: what was moved before
  };

  explicit Transport(Socket socket) : socket_(std::move(socket)) {}

  [[nodiscard]] Socket& socket() { return socket_; }
  [[nodiscard]] bool is_tls() const { return ssl_ != nullptr; }

  /// From here on TLS is spoken; handshake comes first. False: memory is short.
  [[nodiscard]] bool begin_tls(const TlsServerContext& context);
  /// kEnd: the peer left before it said a word.
  [[nodiscard]] Outcome handshake();
  /// Whether no byte of a handshake has arrived yet.
  [[nodiscard]] bool is_unspoken() const;
  /// Why it failed, in OpenSSL's words. They live for ever.
  [[nodiscard]] const char* failure() const { return failure_; }

  [[nodiscard]] Moved receive(std::span<char> buffer) {
    if (is_tls()) [[unlikely]]
      return receive_tls(buffer);
    return receive_raw(buffer);
  }
  /// What arrives, as it arrives: for bytes that are thrown away.
  [[nodiscard]] Moved receive_raw(std::span<char> buffer) {
    boost::system::error_code ec;
    const std::size_t size =
        socket_.receive(boost::asio::buffer(buffer.data(), buffer.size()), 0, ec);
    if (!ec) return {Outcome::kDone, size};
    if (ec == boost::asio::error::would_block) return {Outcome::kWantsRead};
    return {ec == boost::asio::error::eof ? Outcome::kEnd : Outcome::kFailed};
  }
  /// Sends the beginning of `bytes`, at least one unless the outcome says why not. What was not
  /// taken must be what the next call begins with.
  [[nodiscard]] Moved send(std::string_view bytes) {
    if (is_tls()) [[unlikely]]
      return send_tls(bytes);
    boost::system::error_code ec;
    const std::size_t size = socket_.send(boost::asio::buffer(bytes), 0, ec);
    if (!ec) return {size == bytes.size() ? Outcome::kDone : Outcome::kWantsWrite, size};
    return {ec == boost::asio::error::would_block ? Outcome::kWantsWrite : Outcome::kFailed};
  }

  /// Says that nothing more will be sent. False: the connection is gone.
  [[nodiscard]] bool finish_sending();
  void close();
  /// Closes with a reset, so that the peer is not left waiting for what it does not read.
  void reset();

 private:
  struct FreeTls {
    void operator()(ssl_st* ssl) const noexcept;
  };

  [[nodiscard]] Moved receive_tls(std::span<char> buffer);
  [[nodiscard]] Moved send_tls(std::string_view bytes);
  /// What a call that gave `returned` wants.
  [[nodiscard]] Outcome outcome_of(int returned);
  void say_goodbye();

  Socket socket_;
  std::unique_ptr<ssl_st, FreeTls> ssl_;
  const char* failure_ = "the peer left";
  bool is_broken_ = false;  ///< OpenSSL forbids to go on after a failure
};

}  // namespace postern::http
