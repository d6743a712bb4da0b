#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/ip_address.h"
#include "http/reply_slot.h"
#include "http/transport.h"
#include "http/wire.h"

namespace postern::http {

class Worker;

/// One connection: reads a request, has it handled, writes the answer, and begins again.
///
/// While it waits it holds no buffer unless part of a request has arrived: it waits for the socket
/// to be readable and then reads into its worker's buffer. @thread its worker's
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Worker& worker, Socket socket, const IpAddress& peer);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// The answer has come by mail.
  void on_reply(HttpResponse response);
  /// The deadline has passed.
  void on_deadline();
  /// The server drains: a connection that waits for a request is closed, unless one has arrived.
  void on_drain();

  /// The tick at which `on_deadline` is due; 0: none.
  [[nodiscard]] std::uint64_t deadline_tick() const { return deadline_tick_; }
  /// The connection's other end, or whom a PROXY header has named in its place.
  [[nodiscard]] const IpAddress& peer() const { return peer_; }

  /// Kept by the worker: where in its list of connections this one is.
  std::size_t index = 0;

 private:
  enum class Phase : unsigned char {
    kProxyHeader,  ///< before anything else, where a proxy speaks the PROXY protocol
    kHandshake,    ///< TLS is not up yet
    kIdle,         ///< between requests
    kHeader,       ///< part of a header has arrived
    kBody,         ///< the header has, the body has not
    kHandling,     ///< the handler has the request
    kWriting,      ///< the answer did not fit into the socket's buffer
    kLingering,  ///< all is said; what the peer still sends is thrown away, so that it can read it
    kClosed,
  };
  enum class Dispatched : unsigned char { kAnswered, kPaused };

  void shake_hands();
  void on_handshake_failed(const char* why);

  void wait_readable();
  void on_readable();
  void wait_writable();
  void on_writable();
  void flush();
  /// Waits for what the transport wants; false where it is past waiting for.
  [[nodiscard]] bool wait_for(Transport::Outcome outcome);
  /// Reads into the worker's buffer; empty where there is nothing to go on with.
  [[nodiscard]] std::string_view receive();
  void on_end_of_stream();
  /// Takes the PROXY header off the socket, to the byte, and goes on with what follows it.
  void read_proxy_header();
  void refuse_proxy_header();

  /// Goes through `bytes`, the next ones of the stream, request by request, as far as it can.
  void advance(std::string_view bytes);
  void await_bytes(std::string_view rest);
  [[nodiscard]] Dispatched dispatch(std::string_view rest);
  void resume();
  void keep(std::string_view rest) { pending_.assign(rest); }
  /// Tells the listener how much of a request is held here now.
  enum class Held : unsigned char { kWithinLimit, kTooMuch };
  Held hold(std::size_t bytes);
  [[nodiscard]] std::string peer_of(const HttpRequest& request) const;

  /// Sends the answer; kPaused where not all of it could be sent, or the connection ends.
  [[nodiscard]] Dispatched reply(const HttpResponse& response, bool has_rest);
  void refuse(Refusal refusal);
  /// What of `bytes` the socket did not take waits in unsent_. False: the connection is closed.
  [[nodiscard]] bool send(std::string_view bytes);
  [[nodiscard]] bool send_continue();

  void linger();
  void discard();
  void close();
  void reset();
  /// Where a connection stands before its first request.
  [[nodiscard]] Phase first_of_request() const;
  void enter(Phase phase);

  Worker& worker_;
  Transport transport_;
  IpAddress peer_;
  std::string peer_text_;
  const std::shared_ptr<ReplySlot> slot_;

  RequestReader reader_;
  std::string pending_;  ///< read, and not yet taken by reader_
  std::string unsent_;
  ReplyForm form_;  ///< of the request being handled
  std::uint64_t deadline_tick_ = 0;
  std::size_t discarded_ = 0;
  std::size_t held_ = 0;  ///< bytes of requests, as told to the listener
  Phase phase_ = Phase::kIdle;
  Persistence after_reply_ = Persistence::kKeepAlive;
  bool is_wait_pending_ = false;
  bool is_write_wait_pending_ = false;
  bool is_continue_sent_ = false;
};

}  // namespace postern::http
