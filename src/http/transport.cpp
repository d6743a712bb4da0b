// The server's side of TLS by OpenSSL, which reads and writes the socket itself.

#include "http/transport.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "http/tls_pem.h"
#include "http/tls_server.h"

namespace postern::http {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

/// An error that another call left behind would be taken for this one's.
void forget_errors() {
  if (::ERR_peek_error() != 0) ::ERR_clear_error();
}

}  // namespace

void Transport::FreeTls::operator()(ssl_st* ssl) const noexcept {
  ::SSL_free(ssl);
}

bool Transport::begin_tls(const TlsServerContext& context) {
  forget_errors();
  ssl_.reset(context.open(socket_.native_handle()));
  return ssl_ != nullptr;
}

bool Transport::is_unspoken() const {
  return ::BIO_number_read(::SSL_get_rbio(ssl_.get())) == 0;
}

Transport::Outcome Transport::outcome_of(int returned) {
  switch (::SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return Outcome::kWantsRead;
    case SSL_ERROR_WANT_WRITE:
      return Outcome::kWantsWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Outcome::kEnd;
    default:
      is_broken_ = true;
      failure_ = ::ERR_peek_error() == 0 ? "connection lost" : take_tls_reason();
      return Outcome::kFailed;
  }
}

Transport::Outcome Transport::handshake() {
  forget_errors();
  const int returned = ::SSL_do_handshake(ssl_.get());
  if (returned == 1) return Outcome::kDone;
  const Outcome outcome = outcome_of(returned);
  if (outcome != Outcome::kFailed && outcome != Outcome::kEnd) return outcome;
  is_broken_ = true;
  return is_unspoken() ? Outcome::kEnd : Outcome::kFailed;
}

Transport::Moved Transport::receive_tls(std::span<char> buffer) {
  forget_errors();
  std::size_t size = 0;
  const int returned = ::SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &size);
  if (returned == 1) return {Outcome::kDone, size};
  return {outcome_of(returned)};
}

Transport::Moved Transport::send_tls(std::string_view bytes) {
  forget_errors();
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    std::size_t size = 0;
    const int returned =
        ::SSL_write_ex(ssl_.get(), bytes.data() + sent, bytes.size() - sent, &size);
    if (returned != 1) return {outcome_of(returned), sent};
    sent += size;
  }
  return {Outcome::kDone, sent};
}

void Transport::say_goodbye() {
  if (!is_tls() || is_broken_ || ::SSL_is_init_finished(ssl_.get()) != 1) return;
  forget_errors();
  // Where there is no room for it the peer is told by the end of the stream alone.
  ::SSL_shutdown(ssl_.get());
  ::ERR_clear_error();
  is_broken_ = true;
}

bool Transport::finish_sending() {
  say_goodbye();
  error_code ec;
  socket_.shutdown(tcp::socket::shutdown_send, ec);
  return !ec;
}

void Transport::close() {
  say_goodbye();
  error_code ignored;
  socket_.close(ignored);
}

void Transport::reset() {
  is_broken_ = true;
  error_code ignored;
  socket_.set_option(boost::asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

}  // namespace postern::http
