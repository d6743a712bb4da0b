#include "http/connection.h"

#include <boost/asio/buffer.hpp>
#include <chrono>
#include <exception>
#include <span>
#include <utility>

#include "base/failpoint.h"
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

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

Connection::Connection(Worker& worker, Socket socket, const asio::ip::address& peer)
    : worker_(worker),
      socket_(std::move(socket)),
      peer_(peer),
      peer_text_(peer.to_string()),
      slot_(std::make_shared<ReplySlot>(worker.mailbox(), *this)),
      reader_(worker.listener().limits()) {}

Connection::~Connection() {
  slot_->forget_connection();
}

void Connection::start() {
  error_code ec;
  socket_.non_blocking(true, ec);
  // An answer is one write; waiting for more to send would only delay pipelined ones.
  if (!ec) socket_.set_option(tcp::no_delay(true), ec);
  if (ec) return close();
  enter(Phase::kIdle);
  wait_readable();
}

void Connection::enter(Phase phase) {
  if (phase_ == phase && deadline_tick_ != 0) return;  // a deadline is for the whole phase
  phase_ = phase;
  const Limits& limits = worker_.listener().limits();
  switch (phase) {
    case Phase::kIdle:
      deadline_tick_ = worker_.tick_after(limits.idle_timeout);
      return;
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
    case Phase::kIdle:
    case Phase::kLingering:
      return close();
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
  if (phase_ != Phase::kIdle) return;
  // A request may have come that the event loop has not shown us yet.
  const std::string_view bytes = receive();
  if (phase_ != Phase::kIdle) return;
  if (bytes.empty()) return close();
  advance(bytes);
}

// Reading -------------------------------------------------------------------------------------

void Connection::wait_readable() {
  if (is_wait_pending_) return;
  is_wait_pending_ = true;
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code) {
    self->is_wait_pending_ = false;
    self->on_readable();
  });
}

void Connection::on_readable() {
  switch (phase_) {
    case Phase::kLingering:
      return discard();
    case Phase::kIdle:
    case Phase::kHeader:
    case Phase::kBody:
      break;
    case Phase::kHandling:
    case Phase::kWriting:
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

std::string_view Connection::receive() {
  error_code ec;
  const std::span<char> buffer = worker_.buffer();
  const std::size_t size = socket_.receive(asio::buffer(buffer.data(), buffer.size()), 0, ec);
  if (!ec) return {buffer.data(), size};
  if (ec == asio::error::would_block) {
    wait_readable();
  } else if (ec == asio::error::eof) {
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
  error_code ec;
  const std::size_t sent = socket_.send(asio::buffer(kContinue), 0, ec);
  if (sent == kContinue.size()) return true;
  // No room for 25 bytes: the peer does not read, so there is no use in an answer either.
  reset();
  return false;
}

// Handling ------------------------------------------------------------------------------------

Connection::Dispatched Connection::dispatch(std::string_view rest) {
  failpoint("received");
  Listener& listener = worker_.listener();
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

  request.peer = peer_text_;
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

// Answering -----------------------------------------------------------------------------------

Connection::Dispatched Connection::reply(const HttpResponse& response, bool has_rest) {
  Listener& listener = worker_.listener();
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
    wait_writable();
    return Dispatched::kPaused;
  }
  failpoint("replied");
  if (after_reply_ == Persistence::kKeepAlive) return Dispatched::kAnswered;
  if (has_rest) {
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
  wait_writable();
}

bool Connection::send(std::string_view bytes) {
  error_code ec;
  const std::size_t sent = socket_.send(asio::buffer(bytes), 0, ec);
  if (ec && ec != asio::error::would_block) {
    close();
    return false;
  }
  unsent_.assign(bytes.substr(sent));
  return true;
}

void Connection::wait_writable() {
  socket_.async_wait(tcp::socket::wait_write,
                     [self = shared_from_this()](error_code) { self->on_writable(); });
}

void Connection::on_writable() {
  if (phase_ != Phase::kWriting) return;
  error_code ec;
  const std::size_t sent = socket_.send(asio::buffer(unsent_), 0, ec);
  if (ec && ec != asio::error::would_block) return close();
  unsent_.erase(0, sent);
  if (!unsent_.empty()) return wait_writable();
  unsent_ = {};
  if (after_reply_ == Persistence::kClose) return linger();
  resume();
}

// Ending --------------------------------------------------------------------------------------

void Connection::linger() {
  error_code ec;
  socket_.shutdown(tcp::socket::shutdown_send, ec);
  if (ec) return close();
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
  slot_->forget_connection();
  error_code ignored;
  socket_.close(ignored);
  worker_.remove(*this);
}

void Connection::reset() {
  error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  close();
}

}  // namespace postern::http
