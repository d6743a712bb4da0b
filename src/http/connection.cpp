#include "http/connection.h"

#include <chrono>
#include <exception>
#include <span>
#include <utility>

#include "base/failpoint.h"
#include "http/proxy_protocol.h"
#include "http/worker.h"

namespace postern::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// How long, and for how many bytes, the peer of a refused request may go on sending. Closing a
/// socket with unread bytes resets the connection, and the peer may lose our answer by that.
/// @source RFC 9112, section 9.6
constexpr std::chrono::milliseconds kLingerTime{1000};
constexpr std::size_t kLingerBytesMax = 1024 * 1024;
/// How often one readable socket is read before the others have their turn.
constexpr int kReadsPerTurn = 4;

/// The first byte of a ClientHello. @source RFC 8446, section 5.1
constexpr char kHandshakeRecord = 22;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

Connection::Connection(Worker& worker, Socket socket, const IpAddress& peer)
    : worker_(worker),
      transport_(std::move(socket)),
      peer_(peer),
      peer_text_(peer.text()),
      slot_(std::make_shared<ReplySlot>(worker.mailbox(), *this)),
      reader_(worker.listener().limits()) {}

Connection::~Connection() {
  slot_->forget_connection();
  hold(0);
}

void Connection::start() {
  error_code ec;
  transport_.socket().non_blocking(true, ec);
  // An answer is one write; waiting for more to send would only delay pipelined ones.
  if (!ec) transport_.socket().set_option(tcp::no_delay(true), ec);
  if (ec) return close();
  enter(worker_.listener().peers().from == PeerFrom::kProxyProtocol ? Phase::kProxyHeader
                                                                    : first_of_request());
  wait_readable();
}

Connection::Phase Connection::first_of_request() const {
  return worker_.listener().options().tls ? Phase::kHandshake : Phase::kIdle;
}

void Connection::enter(Phase phase) {
  if (phase_ == phase && deadline_tick_ != 0) return;  // a deadline is for the whole phase
  phase_ = phase;
  const Limits& limits = worker_.listener().limits();
  switch (phase) {
    case Phase::kIdle:
      deadline_tick_ = worker_.tick_after(limits.idle_timeout);
      return;
    case Phase::kProxyHeader:
    case Phase::kHandshake:
    case Phase::kHeader:
      deadline_tick_ = worker_.tick_after(limits.header_timeout);
      return;
    case Phase::kBody:
      deadline_tick_ = worker_.tick_after(limits.body_timeout);
      return;
    case Phase::kWriting:
      deadline_tick_ = worker_.tick_after(limits.write_timeout);
      return;
    case Phase::kLingering:
      deadline_tick_ = worker_.tick_after(kLingerTime);
      return;
    case Phase::kHandling:
    case Phase::kClosed:
      deadline_tick_ = 0;
      return;
  }
}

void Connection::on_deadline() {
  switch (phase_) {
    case Phase::kHandshake:
      if (!transport_.is_tls() || transport_.is_unspoken()) return close();
      return on_handshake_failed("not done in time");
    case Phase::kIdle:
    case Phase::kLingering:
      return close();
    case Phase::kProxyHeader:
      return pending_.empty() ? close() : refuse_proxy_header();
    case Phase::kHeader:
      return refuse(Refusal::kHeaderTimeout);
    case Phase::kBody:
      return refuse(Refusal::kBodyTimeout);
    case Phase::kWriting:
      worker_.listener().count_refused(Refusal::kWriteTimeout);
      return reset();
    case Phase::kHandling:
    case Phase::kClosed:
      return;
  }
}

void Connection::on_drain() {
  if (phase_ == Phase::kLingering) return close();
  if (phase_ == Phase::kProxyHeader) {
    // It may have come, and a request behind it.
    read_proxy_header();
    if (phase_ == Phase::kProxyHeader) close();
    if (phase_ == Phase::kClosed) return;
  }
  if (phase_ == Phase::kHandshake) {
    // One that has begun goes on, since a request may be right behind it.
    shake_hands();
    if (phase_ == Phase::kHandshake && transport_.is_unspoken()) close();
    return;
  }
  if (phase_ != Phase::kIdle) return;
  // A request may have come that the event loop has not shown us yet.
  const std::string_view bytes = receive();
  if (phase_ != Phase::kIdle) return;
  if (bytes.empty()) return close();
  advance(bytes);
}

// TLS -----------------------------------------------------------------------------------------

void Connection::shake_hands() {
  if (!transport_.is_tls()) {
    // OpenSSL would wait for five bytes before it says that this is something else.
    char first = kHandshakeRecord;
    error_code ec;
    transport_.socket().receive(asio::buffer(&first, 1), tcp::socket::message_peek, ec);
    if (first != kHandshakeRecord) return on_handshake_failed("not TLS");
  }
  // With the first byte and no sooner: who only connects costs no memory for TLS.
  if (!transport_.is_tls() && !transport_.begin_tls(*worker_.listener().options().tls)) {
    return close();
  }
  const Transport::Outcome outcome = transport_.handshake();
  switch (outcome) {
    case Transport::Outcome::kDone:
      enter(Phase::kIdle);
      // The first request may have come along.
      return worker_.is_draining() ? on_drain() : on_readable();
    case Transport::Outcome::kWantsRead:
      return wait_readable();
    case Transport::Outcome::kWantsWrite:
      return wait_writable();
    case Transport::Outcome::kEnd:
      return close();
    case Transport::Outcome::kFailed:
      return on_handshake_failed(transport_.failure());
  }
}

void Connection::on_handshake_failed(const char* why) {
  worker_.listener().count_handshake_failed(why);
  linger();  // so that the peer can read OpenSSL's alert
}

// Reading -------------------------------------------------------------------------------------

bool Connection::wait_for(Transport::Outcome outcome) {
  switch (outcome) {
    case Transport::Outcome::kWantsRead:
      wait_readable();
      return true;
    case Transport::Outcome::kWantsWrite:
      wait_writable();
      return true;
    case Transport::Outcome::kDone:
    case Transport::Outcome::kEnd:
    case Transport::Outcome::kFailed:
      return false;
  }
  return false;
}

void Connection::wait_readable() {
  if (is_wait_pending_) return;
  is_wait_pending_ = true;
  transport_.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code) {
    self->is_wait_pending_ = false;
    self->on_readable();
  });
}

void Connection::on_readable() {
  switch (phase_) {
    case Phase::kHandshake:
      return shake_hands();
    case Phase::kLingering:
      return discard();
    case Phase::kWriting:
      // TLS may have to hear something before it can go on writing.
      if (transport_.is_tls()) flush();
      return;
    case Phase::kProxyHeader:
      return read_proxy_header();
    case Phase::kIdle:
    case Phase::kHeader:
    case Phase::kBody:
      break;
    case Phase::kHandling:
    case Phase::kClosed:
      return;  // read when its turn comes
  }
  for (int turn = 0; turn < kReadsPerTurn; ++turn) {
    const std::string_view bytes = receive();
    if (bytes.empty()) return;
    const bool may_be_more = bytes.size() == worker_.buffer().size();
    if (pending_.empty()) {
      advance(bytes);
    } else {
      std::string all = std::exchange(pending_, {});
      advance(all.append(bytes));
    }
    if (!may_be_more || phase_ != Phase::kBody) return;
  }
}

void Connection::read_proxy_header() {
  Socket& socket = transport_.socket();
  error_code ec;
  const std::span<char> buffer = worker_.buffer();
  const std::size_t seen =
      socket.receive(asio::buffer(buffer.data(), buffer.size()), tcp::socket::message_peek, ec);
  if (ec == asio::error::would_block) return wait_readable();
  // A check that only connects says nothing.
  if (ec) return pending_.empty() ? close() : refuse_proxy_header();
  const std::size_t had = pending_.size();
  pending_.append(buffer.data(), seen);
  const ProxyHeader header = parse_proxy_header(pending_);
  // No byte behind the header is taken: what follows may be for another layer.
  std::size_t taken = seen;
  switch (header.progress) {
    case ProxyHeader::Progress::kMalformed:
      return refuse_proxy_header();
    case ProxyHeader::Progress::kNeedMore:
      break;
    case ProxyHeader::Progress::kComplete:
      taken = header.size - had;
      break;
  }
  if (socket.receive(asio::buffer(buffer.data(), taken), 0, ec) != taken || ec) return close();
  if (header.progress == ProxyHeader::Progress::kComplete) {
    pending_ = {};
    if (header.source) {
      if (!worker_.listener().admit_named(*header.source)) return close();
      peer_ = *header.source;
      peer_text_ = peer_.text();
    }
    enter(first_of_request());
  }
  wait_readable();
}

void Connection::refuse_proxy_header() {
  worker_.listener().count_refused(Refusal::kProxyHeader);
  close();
}

std::string_view Connection::receive() {
  const std::span<char> buffer = worker_.buffer();
  const auto [outcome, size] =
      phase_ == Phase::kLingering ? transport_.receive_raw(buffer) : transport_.receive(buffer);
  if (outcome == Transport::Outcome::kDone) [[likely]]
    return {buffer.data(), size};
  if (wait_for(outcome)) return {};
  if (outcome == Transport::Outcome::kEnd) {
    on_end_of_stream();
  } else {
    close();
  }
  return {};
}

void Connection::on_end_of_stream() {
  if (phase_ == Phase::kHeader || phase_ == Phase::kBody) return refuse(Refusal::kTruncated);
  close();
}

void Connection::advance(std::string_view bytes) {
  while (!bytes.empty()) {
    const RequestReader::Step step = reader_.feed(bytes);
    bytes.remove_prefix(step.consumed);
    switch (step.progress) {
      case RequestReader::Progress::kNeedMore:
        return await_bytes(bytes);
      case RequestReader::Progress::kRefused:
        return refuse(reader_.refusal());
      case RequestReader::Progress::kComplete:
        if (dispatch(bytes) == Dispatched::kPaused) return;
    }
  }
  enter(Phase::kIdle);
  wait_readable();
}

void Connection::await_bytes(std::string_view rest) {
  keep(rest);
  if (hold(pending_.capacity() + reader_.bytes_held()) == Held::kTooMuch) {
    return refuse(Refusal::kBytesHeld);
  }
  if (!reader_.is_in_body()) {
    enter(Phase::kHeader);
  } else {
    enter(Phase::kBody);
    if (reader_.awaits_continue() && !std::exchange(is_continue_sent_, true) && !send_continue()) {
      return;
    }
  }
  wait_readable();
}

bool Connection::send_continue() {
  if (transport_.send(kContinue).outcome == Transport::Outcome::kDone) return true;
  // No room for 25 bytes: the peer does not read, so there is no use in an answer either.
  reset();
  return false;
}

// Handling ------------------------------------------------------------------------------------

Connection::Dispatched Connection::dispatch(std::string_view rest) {
  failpoint("received");
  Listener& listener = worker_.listener();
  hold(reader_.bytes_held());
  HttpRequest request = reader_.take();
  form_ = reader_.reply_form();
  is_continue_sent_ = false;
  enter(Phase::kHandling);

  std::atomic<std::size_t>& in_flight = *listener.in_flight();
  if (in_flight.fetch_add(1, std::memory_order_relaxed) >=
      listener.limits().requests_in_flight_max) {
    in_flight.fetch_sub(1, std::memory_order_relaxed);
    listener.count_refused(Refusal::kRequestsInFlight);
    const Dispatched done =
        reply({refusal_code(Refusal::kRequestsInFlight), {}, {}, {}}, !rest.empty());
    if (done == Dispatched::kPaused) keep(rest);
    return done;
  }

  request.peer = peer_of(request);
  slot_->begin();
  try {
    listener.handler().handle(std::move(request), Responder(ReplyHandle(slot_)));
  } catch (const std::exception& exception) {
    // The responder went with the exception, which is an answer of 500.
    listener.log().error("http_handler_threw",
                         {{"listener", listener.options().name}, {"what", exception.what()}});
  }
  if (!slot_->end()) {
    keep(rest);
    return Dispatched::kPaused;
  }
  const Dispatched done = reply(slot_->take(), !rest.empty());
  if (done == Dispatched::kPaused) keep(rest);
  return done;
}

void Connection::on_reply(HttpResponse response) {
  if (phase_ != Phase::kHandling) return;
  if (reply(response, !pending_.empty()) == Dispatched::kAnswered) resume();
}

void Connection::resume() {
  const std::string bytes = std::exchange(pending_, {});
  advance(bytes);
}

Connection::Held Connection::hold(std::size_t bytes) {
  Listener& listener = worker_.listener();
  // Without a change nothing is written to what all threads share.
  if (bytes != held_) {
    listener.hold(static_cast<std::ptrdiff_t>(bytes) - static_cast<std::ptrdiff_t>(held_));
    held_ = bytes;
  }
  return bytes > Limits::kBytesFree && listener.holds_too_much() ? Held::kTooMuch
                                                                 : Held::kWithinLimit;
}

std::string Connection::peer_of(const HttpRequest& request) const {
  const PeerRule& rule = worker_.listener().peers();
  if (!rule.trusts(peer_)) return peer_text_;
  return http::peer_of(rule, peer_, request.headers).text();
}

// Answering -----------------------------------------------------------------------------------

Connection::Dispatched Connection::reply(const HttpResponse& response, bool has_rest) {
  Listener& listener = worker_.listener();
  hold(0);
  // While draining, the last request that was read is the one that is told.
  if (worker_.is_draining() && !has_rest) form_.persistence = Persistence::kClose;
  after_reply_ = form_.persistence;
  if (is_sendable(response)) {
    listener.count_reply(response.code);
    if (!send(worker_.replies().bytes(response, form_))) return Dispatched::kPaused;
  } else {
    listener.log().error("http_reply_not_sendable",
                         {{"listener", listener.options().name}, {"code", response.code}});
    listener.count_reply(500);
    if (!send(worker_.replies().bytes({500, {}, {}, {}}, form_))) return Dispatched::kPaused;
  }
  if (!unsent_.empty()) {
    enter(Phase::kWriting);
    return Dispatched::kPaused;
  }
  failpoint("replied");
  if (after_reply_ == Persistence::kKeepAlive) return Dispatched::kAnswered;
  // The peer of a TLS connection may have said goodbye, which is unread.
  if (has_rest || transport_.is_tls()) {
    linger();
  } else {
    close();
  }
  return Dispatched::kPaused;
}

void Connection::refuse(Refusal refusal) {
  Listener& listener = worker_.listener();
  listener.count_refused(refusal);
  listener.count_reply(refusal_code(refusal));
  pending_ = {};
  after_reply_ = Persistence::kClose;
  const ReplyForm form;  // HTTP/1.1, close
  if (!send(worker_.replies().bytes({refusal_code(refusal), {}, {}, {}}, form))) return;
  if (unsent_.empty()) return linger();
  enter(Phase::kWriting);
}

bool Connection::send(std::string_view bytes) {
  const auto [outcome, sent] = transport_.send(bytes);
  if (outcome == Transport::Outcome::kDone) [[likely]]
    return true;
  if (!wait_for(outcome)) {
    close();
    return false;
  }
  unsent_.assign(bytes.substr(sent));
  return true;
}

void Connection::wait_writable() {
  if (is_write_wait_pending_) return;
  is_write_wait_pending_ = true;
  transport_.socket().async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code) {
    self->is_write_wait_pending_ = false;
    self->on_writable();
  });
}

void Connection::on_writable() {
  if (phase_ == Phase::kWriting) return flush();
  // TLS may have to say something before it can go on reading.
  if (transport_.is_tls()) on_readable();
}

void Connection::flush() {
  const auto [outcome, sent] = transport_.send(unsent_);
  unsent_.erase(0, sent);
  if (outcome != Transport::Outcome::kDone) {
    if (!wait_for(outcome)) close();
    return;
  }
  unsent_ = {};
  if (after_reply_ == Persistence::kClose) return linger();
  resume();
}

// Ending --------------------------------------------------------------------------------------

void Connection::linger() {
  if (!transport_.finish_sending()) return close();
  enter(Phase::kLingering);
  discard();
}

void Connection::discard() {
  while (discarded_ < kLingerBytesMax) {
    const std::string_view bytes = receive();
    if (bytes.empty()) return;
    discarded_ += bytes.size();
  }
  close();
}

void Connection::close() {
  if (phase_ == Phase::kClosed) return;
  enter(Phase::kClosed);
  hold(0);
  slot_->forget_connection();
  transport_.close();
  worker_.remove(*this);
}

void Connection::reset() {
  transport_.reset();
  close();
}

}  // namespace postern::http
