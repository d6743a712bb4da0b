#include "http/worker.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <csignal>
#include <exception>
#include <utility>

#include "base/failpoint.h"

namespace postern::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

[[nodiscard]] std::unexpected<Error> bind_error(const tcp::endpoint& endpoint, error_code ec) {
  const std::string address = endpoint.address().to_string();
  const std::string where = endpoint.address().is_v6()
                                ? fmt::format("[{}]:{}", address, endpoint.port())
                                : fmt::format("{}:{}", address, endpoint.port());
  if (ec == asio::error::address_in_use) {
    return fault(
        "address_in_use",
        fmt::format("{} is taken; stop what listens there, or choose another port", where));
  }
  if (ec == asio::error::access_denied) {
    return fault(
        "address_not_available",
        fmt::format("{}: a port below 1024 needs CAP_NET_BIND_SERVICE; grant it, or choose "
                    "another port",
                    where));
  }
  return fault("address_not_available",
               fmt::format("{}: {}; choose an address of this host", where, ec.message()));
}

/// IPv4 addresses that reach an IPv6 socket look like IPv6 ones; a link-local one carries the name
/// of the interface. Neither is part of who the peer is.
[[nodiscard]] IpAddress plain(const asio::ip::address& address) {
  IpAddress result;
  if (address.is_v6()) {
    result.family = IpAddress::Family::kV6;
    result.bytes = address.to_v6().to_bytes();
    return result.unmapped();
  }
  std::ranges::copy(address.to_v4().to_bytes(), result.bytes.begin());
  return result;
}

[[nodiscard]] bool is_out_of_resources(error_code ec) {
  return ec == boost::system::errc::too_many_files_open ||
         ec == boost::system::errc::too_many_files_open_in_system ||
         ec == boost::system::errc::no_buffer_space || ec == boost::system::errc::not_enough_memory;
}

}  // namespace

Worker::Worker(Listener& listener)
    : listener_(listener),
      context_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      work_(asio::make_work_guard(context_)),
      mailbox_(std::make_shared<Mailbox>(context_, listener.in_flight(), [this] { deliver(); })),
      acceptor_(context_),
      tick_timer_(context_),
      accept_timer_(context_) {}

Worker::~Worker() {
  stop();
}

Result<std::unique_ptr<Worker>> Worker::bind(Listener& listener, const tcp::endpoint& endpoint,
                                             Sharing sharing) {
  std::unique_ptr<Worker> worker(new Worker(listener));
  Acceptor& acceptor = worker->acceptor_;
  error_code ec;
  acceptor.open(endpoint.protocol(), ec);
  if (ec) return bind_error(endpoint, ec);
  acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(false), ec);
  if (ec) return bind_error(endpoint, ec);
  if (const int on = 1;
      sharing == Sharing::kShared &&
      ::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) {
    return bind_error(endpoint, error_code(errno, boost::system::system_category()));
  }
  acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return bind_error(endpoint, ec);
  worker->port_ = acceptor.local_endpoint(ec).port();
  if (ec) return bind_error(endpoint, ec);
  return worker;
}

void Worker::start() {
  accept();
  await_tick();
  thread_ = std::thread([this] { run(); });
}

void Worker::run() {
  sigset_t all;
  sigfillset(&all);
  // Signals are for the thread that waits for them.
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  mailbox_->adopt_thread();
  while (!context_.stopped()) {
    try {
      context_.run();
    } catch (const std::exception& exception) {
      listener_.log().error("http_thread_threw",
                            {{"listener", listener_.options().name}, {"what", exception.what()}});
    }
  }
}

void Worker::stop() {
  mailbox_->close();
  context_.stop();
  if (thread_.joinable()) thread_.join();
  for (const auto& connection : std::exchange(connections_, {})) {
    listener_.release(connection->peer());
  }
  listener_.show_connections();
}

// ---------------------------------------------------------------------------------------------

void Worker::accept() {
  acceptor_.async_accept(
      peer_, [this](error_code ec, Socket socket) { on_accepted(ec, std::move(socket)); });
}

void Worker::on_accepted(error_code ec, Socket socket) {
  if (!acceptor_.is_open()) return;
  if (is_out_of_resources(ec)) {
    listener_.count_refused(Refusal::kDescriptors);
    accept_timer_.expires_after(kAcceptPause);
    accept_timer_.async_wait([this](error_code) {
      if (acceptor_.is_open()) accept();
    });
    return;
  }
  const IpAddress peer = plain(peer_.address());
  if (!ec && listener_.admit(peer)) {
    failpoint("accepted");
    auto connection = std::make_shared<Connection>(*this, std::move(socket), peer);
    connection->index = connections_.size();
    connections_.push_back(connection);
    connection->start();
  }
  accept();
}

void Worker::remove(Connection& connection) {
  listener_.release(connection.peer());
  const std::size_t index = connection.index;
  connections_.back()->index = index;
  // The last reference may be the one in the list.
  const std::shared_ptr<Connection> removed =
      std::exchange(connections_[index], std::move(connections_.back()));
  connections_.pop_back();
  if (is_draining_) check_drained();
}

// ---------------------------------------------------------------------------------------------

std::uint64_t Worker::tick_after(std::chrono::milliseconds delay) const {
  const auto ticks = (delay + kTick - std::chrono::milliseconds(1)) / kTick;
  // The tick at hand is partly over.
  return tick_ + static_cast<std::uint64_t>(ticks) + 1;
}

void Worker::await_tick() {
  // From now, not from the last one: after a pause of the process one tick is due and not many, or
  // every connection would be late at once.
  tick_timer_.expires_after(kTick);
  tick_timer_.async_wait([this](error_code ec) {
    if (!ec) on_tick();
  });
}

void Worker::on_tick() {
  ++tick_;
  // From the end: a connection that goes is replaced by the last one, which has been looked at.
  for (std::size_t i = connections_.size(); i-- > 0;) {
    const std::uint64_t deadline = connections_[i]->deadline_tick();
    if (deadline == 0 || deadline > tick_) continue;
    const std::shared_ptr<Connection> connection = connections_[i];
    connection->on_deadline();
  }
  listener_.show_connections();
  if (tick_ % kTicksPerReport == 0) listener_.log_refused();
  await_tick();
}

void Worker::deliver() {
  mailbox_->take(mail_);
  for (const auto& slot : mail_) {
    if (slot->connection() == nullptr) continue;
    const std::shared_ptr<Connection> connection = slot->connection()->shared_from_this();
    connection->on_reply(slot->take());
  }
  mail_.clear();
}

// ---------------------------------------------------------------------------------------------

void Worker::drain(std::move_only_function<void()> done) {
  asio::post(context_, [this, run = std::move(done)]() mutable {
    drained_ = std::move(run);
    begin_drain();
  });
}

void Worker::begin_drain() {
  is_draining_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  for (const auto& connection : std::vector(connections_)) connection->on_drain();
  check_drained();
}

void Worker::check_drained() {
  if (connections_.empty() && drained_) std::exchange(drained_, nullptr)();
}

}  // namespace postern::http
