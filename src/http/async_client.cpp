// An HTTP/1.1 client of one origin. Each request is a coroutine on the client's thread:
//
//   wait for a connection -> kept one, or: resolve, check, connect, TLS -> write -> read
//
// A deadline never interrupts a coroutine: it answers the request, closes the socket, and the
// coroutine ends by itself when its operation fails. Whatever happens later to an answered request
// is of no effect.

#include "http/async_client.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <deque>
#include <exception>
#include <future>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "http/client_wire.h"
#include "http/tls_stream.h"

namespace postern::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Reach = ClientFailure::Reach;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// Of one name; further ones are neither tried nor needed.
constexpr std::size_t kAddressesMax = 16;
constexpr std::size_t kReadBytes = std::size_t{8} * 1024;

[[nodiscard]] Error failure(std::string_view code, std::string detail) {
  return Error{ErrorClass::kRetryable, code, std::move(detail)};
}

[[nodiscard]] tcp::endpoint endpoint_of(const IpAddress& address, std::uint16_t port) {
  if (address.family == IpAddress::Family::kV6) {
    return {asio::ip::address_v6(address.bytes), port};
  }
  asio::ip::address_v4::bytes_type v4{};
  std::copy_n(address.bytes.begin(), v4.size(), v4.begin());
  return {asio::ip::address_v4(v4), port};
}

/// Whether a connection on which nothing is expected is still open and silent. Anything readable
/// means that the other side has closed it, or is about to.
[[nodiscard]] bool is_silent(tcp::socket& socket) {
  char byte = 0;
  // It cannot block: MSG_DONTWAIT.
  // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection)
  const ssize_t got = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/// Lets other threads post to an event loop that may be gone.
class Gate {
 public:
  explicit Gate(asio::io_context& context) : context_(&context) {}
  template <class Run>
  void post(Run run) {
    const std::scoped_lock lock(mutex_);
    if (context_ != nullptr) asio::post(*context_, std::move(run));
  }
  void shut() {
    const std::scoped_lock lock(mutex_);
    context_ = nullptr;
  }

 private:
  std::mutex mutex_;
  asio::io_context* context_;  // guarded by mutex_
};

}  // namespace

class ClientThread::Impl {
 public:
  Impl(Log& log, std::shared_ptr<Resolver> resolver)
      : log_(log),
        resolver_(resolver ? std::move(resolver) : std::make_shared<SystemResolver>()),
        context_(1),
        work_(asio::make_work_guard(context_)),
        gate_(std::make_shared<Gate>(context_)),
        thread_([this] { run(); }) {}
  ~Impl() {
    gate_->shut();
    // The clients are gone, so what is left are coroutines whose sockets are closed: they end.
    work_.reset();
    thread_.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] asio::io_context& context() { return context_; }
  [[nodiscard]] Resolver& resolver() { return *resolver_; }
  [[nodiscard]] const std::shared_ptr<Gate>& gate() { return gate_; }

 private:
  void run() {
    sigset_t all;
    sigfillset(&all);
    // Signals are for the thread that waits for them.
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    while (!context_.stopped()) {
      try {
        context_.run();
      } catch (const std::exception& exception) {
        log_.error("http_client_thread_threw", {{"what", exception.what()}});
      }
    }
  }

  Log& log_;
  const std::shared_ptr<Resolver> resolver_;
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  const std::shared_ptr<Gate> gate_;
  std::thread thread_;
};

ClientThread::ClientThread(Log& log, std::shared_ptr<Resolver> resolver)
    : impl_(std::make_unique<Impl>(log, std::move(resolver))) {}
ClientThread::~ClientThread() = default;

/// What a client does; kept alive by its coroutines. Client's thread only.
class AsyncClient::Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(ClientThread::Impl& thread, Options options, std::unique_ptr<TlsClientContext> tls)
      : options_(std::move(options)),
        host_field_(options_.origin.host_field()),
        tls_(std::move(tls)),
        thread_(thread) {}

  void start(const HttpRequest& request, Done done);
  /// Answers everything and closes every connection.
  void close();

 private:
  template <class T>
  using Awaitable = asio::awaitable<T>;
  using Stream = std::shared_ptr<ClientStream>;

  struct Exchange {
    Exchange(asio::io_context& context, std::string bytes_to_send, Done done_to_call)
        : bytes(std::move(bytes_to_send)),
          done(std::move(done_to_call)),
          deadline(context),
          connect_deadline(context),
          address_deadline(context),
          resolved(context) {}

    /// The first answer counts.
    void answer(ClientOutcome outcome) noexcept;
    /// Answers with what is known so far and ends whatever is under way.
    void give_up(std::string_view code, std::string detail);

    const std::string bytes;
    Done done;
    bool is_answered = false;
    bool is_connected = false;
    Reach reach = Reach::kNotSent;
    Stream stream;
    std::optional<ResponseReader> reader;
    asio::steady_timer deadline;
    asio::steady_timer connect_deadline;
    asio::steady_timer address_deadline;
    asio::steady_timer resolved;  ///< never expires; cancelled when `addresses` is there
    std::optional<Result<std::vector<IpAddress>>> addresses;
  };
  using ExchangePtr = std::shared_ptr<Exchange>;

  struct Kept {
    Kept(Stream kept, asio::io_context& context) : stream(std::move(kept)), timer(context) {}
    Stream stream;
    asio::steady_timer timer;
  };

  static Awaitable<void> run(std::shared_ptr<Pool> pool, ExchangePtr exchange);
  static Awaitable<ClientOutcome> perform(std::shared_ptr<Pool> pool, ExchangePtr exchange);
  static Awaitable<Result<void>> connect(std::shared_ptr<Pool> pool, ExchangePtr exchange);
  static Awaitable<Result<std::vector<IpAddress>>> resolve(std::shared_ptr<Pool> pool,
                                                           ExchangePtr exchange);
  static Awaitable<Result<tcp::socket>> reach_any(std::shared_ptr<Pool> pool, ExchangePtr exchange,
                                                  std::vector<IpAddress> addresses);
  static Awaitable<bool> write(ExchangePtr exchange);
  static Awaitable<ClientOutcome> read(ExchangePtr exchange);

  [[nodiscard]] Result<void> check(const std::vector<IpAddress>& addresses) const;
  void begin(const ExchangePtr& exchange);
  void finish(const ExchangePtr& exchange);
  void keep(Stream stream);
  [[nodiscard]] Stream take_kept();
  void drop(const std::shared_ptr<Kept>& kept);
  [[nodiscard]] asio::io_context& context() { return thread_.context(); }

  const Options options_;
  const std::string host_field_;
  const std::unique_ptr<TlsClientContext> tls_;  ///< null where the origin is http://
  ClientThread::Impl& thread_;

  std::list<ExchangePtr> active_;
  std::deque<ExchangePtr> queue_;
  std::vector<std::shared_ptr<Kept>> kept_;
  bool is_closed_ = false;
};

void AsyncClient::Pool::Exchange::answer(ClientOutcome outcome) noexcept {
  if (is_answered) return;
  is_answered = true;
  deadline.cancel();
  connect_deadline.cancel();
  std::exchange(done, nullptr)(std::move(outcome));
}

void AsyncClient::Pool::Exchange::give_up(std::string_view code, std::string detail) {
  if (is_answered) return;
  resolved.cancel();
  address_deadline.cancel();
  if (stream) stream->close();
  if (reader && reader->has_header()) {
    answer(reader->take());
  } else {
    answer(std::unexpected(ClientFailure{failure(code, std::move(detail)), reach}));
  }
}

void AsyncClient::Pool::start(const HttpRequest& request, Done done) {
  auto exchange =
      std::make_shared<Exchange>(context(), request_bytes(request, host_field_), std::move(done));
  if (is_closed_) return exchange->give_up("shutting_down", "the client is closed");
  const bool must_wait = active_.size() >= options_.connections_max;
  if (must_wait && queue_.size() >= options_.queue_max) {
    return exchange->give_up("queue_full", "too many requests wait for a connection");
  }
  exchange->deadline.expires_after(options_.exchange_timeout);
  exchange->deadline.async_wait([weak = weak_from_this(), exchange](error_code ec) {
    const std::shared_ptr<Pool> pool = weak.lock();
    if (ec || !pool) return;
    std::erase(pool->queue_, exchange);
    exchange->give_up("timed_out",
                      fmt::format("{}: no whole answer within {} ms", pool->host_field_,
                                  pool->options_.exchange_timeout.count()));
  });
  if (must_wait) {
    queue_.push_back(std::move(exchange));
  } else {
    begin(exchange);
  }
}

void AsyncClient::Pool::begin(const ExchangePtr& exchange) {
  active_.push_back(exchange);
  // Posted, since a row of requests that fail at once would otherwise nest.
  asio::post(context(), [pool = shared_from_this(), exchange] {
    asio::co_spawn(pool->context(), run(pool, exchange),
                   [pool, exchange](const std::exception_ptr& thrown) {
                     if (thrown) exchange->give_up("internal_error", "the client has failed");
                     pool->finish(exchange);
                   });
  });
}

void AsyncClient::Pool::finish(const ExchangePtr& exchange) {
  exchange->stream.reset();
  std::erase(active_, exchange);
  if (queue_.empty() || is_closed_) return;
  const ExchangePtr next = std::move(queue_.front());
  queue_.pop_front();
  begin(next);
}

asio::awaitable<void> AsyncClient::Pool::run(std::shared_ptr<Pool> pool, ExchangePtr exchange) {
  ClientOutcome outcome = co_await perform(pool, exchange);
  const bool is_reusable = !exchange->is_answered && outcome && exchange->reader->may_continue();
  // Kept before the answer is given: who sends the next request at once finds it.
  if (is_reusable) {
    pool->keep(std::move(exchange->stream));
  } else if (exchange->stream) {
    exchange->stream->close();
  }
  exchange->answer(std::move(outcome));
}

asio::awaitable<ClientOutcome> AsyncClient::Pool::perform(std::shared_ptr<Pool> pool,
                                                          ExchangePtr exchange) {
  exchange->stream = pool->take_kept();
  if (exchange->stream && co_await write(exchange)) co_return co_await read(exchange);
  // No kept connection, or it broke before the request was out: that cannot have been taken.
  if (!exchange->is_answered) {
    const Result<void> connected = co_await connect(pool, exchange);
    if (!connected) co_return std::unexpected(ClientFailure{connected.error(), Reach::kNotSent});
    if (co_await write(exchange)) co_return co_await read(exchange);
  }
  co_return std::unexpected(ClientFailure{
      failure("connection_lost", pool->host_field_ + ": lost before the request was out"),
      exchange->reach});
}

asio::awaitable<bool> AsyncClient::Pool::write(ExchangePtr exchange) {
  // From here on a deadline cannot tell how far the request has come.
  exchange->reach = Reach::kMaybeSent;
  const error_code error = co_await exchange->stream->write(exchange->bytes);
  if (!error) co_return true;
  // A write that fails, unlike one that is cut off here, has left bytes over.
  if (!exchange->is_answered) exchange->reach = Reach::kNotSent;
  co_return false;
}

asio::awaitable<ClientOutcome> AsyncClient::Pool::read(ExchangePtr exchange) {
  const auto failed = [](std::string_view code, std::string detail) {
    return std::unexpected(ClientFailure{failure(code, std::move(detail)), Reach::kMaybeSent});
  };
  ResponseReader& reader = exchange->reader.emplace(kResponseBytesMax);
  std::array<char, kReadBytes> buffer;
  while (true) {
    const auto [error, size] = co_await exchange->stream->read_some(buffer);
    if (exchange->is_answered) co_return failed("shutting_down", "answered before");
    if (error) {
      if (reader.has_header()) co_return reader.take();
      co_return failed("connection_lost", "no answer: " + error.message());
    }
    switch (reader.feed(std::string_view(buffer.data(), size))) {
      case ResponseReader::Progress::kNeedMore:
        break;
      case ResponseReader::Progress::kComplete:
      case ResponseReader::Progress::kCut:
        co_return reader.take();
      case ResponseReader::Progress::kMalformed:
        co_return failed("response_malformed", "what came is no HTTP answer");
    }
  }
}

asio::awaitable<Result<void>> AsyncClient::Pool::connect(std::shared_ptr<Pool> pool,
                                                         ExchangePtr exchange) {
  exchange->connect_deadline.expires_after(pool->options_.connect_timeout);
  exchange->connect_deadline.async_wait([weak = std::weak_ptr(pool), exchange](error_code ec) {
    const std::shared_ptr<Pool> alive = weak.lock();
    if (ec || !alive || exchange->is_connected) return;
    exchange->give_up("timed_out", fmt::format("{}: no connection within {} ms", alive->host_field_,
                                               alive->options_.connect_timeout.count()));
  });
  POSTERN_CHECK(exchange->reach == Reach::kNotSent);
  const auto addresses = co_await resolve(pool, exchange);
  if (!addresses) co_return std::unexpected(addresses.error());
  const Result<void> allowed = pool->check(*addresses);
  if (!allowed) co_return allowed;
  auto socket = co_await reach_any(pool, exchange, *addresses);
  if (!socket) co_return std::unexpected(std::move(socket).error());
  if (pool->tls_) {
    auto wrapped = pool->tls_->wrap(std::move(*socket), pool->options_.origin.host);
    if (!wrapped) co_return std::unexpected(std::move(wrapped).error());
    exchange->stream = std::move(*wrapped);
  } else {
    exchange->stream = plain_stream(std::move(*socket));
  }
  const std::string trouble = co_await exchange->stream->handshake();
  exchange->is_connected = true;
  exchange->connect_deadline.cancel();
  if (!trouble.empty()) {
    co_return std::unexpected(failure("tls_failed", pool->host_field_ + ": " + trouble));
  }
  if (exchange->is_answered) co_return std::unexpected(failure("timed_out", "answered before"));
  co_return Result<void>();
}

asio::awaitable<Result<std::vector<IpAddress>>> AsyncClient::Pool::resolve(
    std::shared_ptr<Pool> pool, ExchangePtr exchange) {
  const std::string& host = pool->options_.origin.host;
  if (const auto numeric = IpAddress::parse(host)) co_return std::vector{*numeric};
  exchange->resolved.expires_at(asio::steady_timer::time_point::max());
  // The resolver may answer when everything here is gone.
  pool->thread_.resolver().resolve(
      host, [weak = std::weak_ptr(exchange),
             gate = pool->thread_.gate()](Result<std::vector<IpAddress>> found) mutable {
        gate->post([weak = std::move(weak), found = std::move(found)]() mutable {
          const ExchangePtr waiting = weak.lock();
          if (!waiting) return;
          waiting->addresses = std::move(found);
          waiting->resolved.cancel();
        });
      });
  if (!exchange->is_answered) co_await exchange->resolved.async_wait(kAwait);
  if (exchange->is_answered || !exchange->addresses) {
    co_return std::unexpected(failure("timed_out", "answered before"));
  }
  co_return *std::exchange(exchange->addresses, std::nullopt);
}

Result<void> AsyncClient::Pool::check(const std::vector<IpAddress>& addresses) const {
  if (!options_.may_connect) return {};
  for (const IpAddress& address : addresses) {
    POSTERN_RETURN_IF_ERROR(options_.may_connect(address));
  }
  return {};
}

asio::awaitable<Result<tcp::socket>> AsyncClient::Pool::reach_any(
    std::shared_ptr<Pool> pool, ExchangePtr exchange, std::vector<IpAddress> addresses) {
  if (addresses.size() > kAddressesMax) addresses.resize(kAddressesMax);
  // One that swallows packets must leave time for the next.
  const auto share = pool->options_.connect_timeout / static_cast<int>(addresses.size());
  Error last = failure("connect_failed", pool->host_field_ + ": no address");
  for (const IpAddress& address : addresses) {
    const tcp::endpoint endpoint = endpoint_of(address, pool->options_.origin.port);
    exchange->stream = plain_stream(tcp::socket(pool->context()));
    exchange->address_deadline.expires_after(share);
    exchange->address_deadline.async_wait([stream = exchange->stream](error_code ec) {
      if (!ec) stream->close();
    });
    tcp::socket& socket = exchange->stream->socket();
    const auto [error] = co_await socket.async_connect(endpoint, kAwait);
    exchange->address_deadline.cancel();
    if (exchange->is_answered) co_return std::unexpected(failure("timed_out", "answered before"));
    if (!error && socket.is_open()) {
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      co_return std::move(socket);
    }
    last.detail = fmt::format("{} ({}): {}", pool->host_field_, address.text(),
                              error ? error.message() : "timed out");
  }
  co_return std::unexpected(std::move(last));
}

void AsyncClient::Pool::keep(Stream stream) {
  if (is_closed_) return stream->close();
  auto kept = std::make_shared<Kept>(std::move(stream), context());
  kept_.push_back(kept);
  kept->timer.expires_after(options_.idle_timeout);
  kept->timer.async_wait([weak = weak_from_this(), kept](error_code ec) {
    const std::shared_ptr<Pool> pool = weak.lock();
    if (!ec && pool) pool->drop(kept);
  });
  // Anything that arrives unasked is a farewell.
  kept->stream->socket().async_wait(
      tcp::socket::wait_read,
      [weak = weak_from_this(), weak_kept = std::weak_ptr(kept)](error_code ec) {
        const std::shared_ptr<Pool> pool = weak.lock();
        const std::shared_ptr<Kept> alive = weak_kept.lock();
        if (!ec && pool && alive) pool->drop(alive);
      });
}

void AsyncClient::Pool::drop(const std::shared_ptr<Kept>& kept) {
  // It may have been taken since the event came.
  if (std::erase(kept_, kept) == 0) return;
  kept->timer.cancel();
  kept->stream->close();
}

AsyncClient::Pool::Stream AsyncClient::Pool::take_kept() {
  while (!kept_.empty()) {
    const std::shared_ptr<Kept> kept = std::move(kept_.back());
    kept_.pop_back();
    kept->timer.cancel();
    error_code ignored;
    kept->stream->socket().cancel(ignored);
    if (is_silent(kept->stream->socket())) return kept->stream;
    kept->stream->close();
  }
  return nullptr;
}

void AsyncClient::Pool::close() {
  is_closed_ = true;
  // `done` may send again: that is answered at once and touches neither list.
  for (const ExchangePtr& exchange : active_) {
    exchange->give_up("shutting_down", "the client is closed");
  }
  for (const ExchangePtr& exchange : queue_) {
    exchange->give_up("shutting_down", "the client is closed");
  }
  queue_.clear();
  while (!kept_.empty()) drop(std::shared_ptr(kept_.back()));
}

AsyncClient::AsyncClient(ClientThread::Impl& thread, std::shared_ptr<Pool> pool)
    : thread_(thread), pool_(std::move(pool)) {}

Result<std::unique_ptr<AsyncClient>> AsyncClient::open(ClientThread& thread, Options options) {
  POSTERN_CHECK(options.connections_max > 0);
  std::unique_ptr<TlsClientContext> tls;
  if (options.origin.scheme == WebUrl::Scheme::kHttps) {
    POSTERN_ASSIGN_OR_RETURN(tls, TlsClientContext::make(options.ca_file));
  }
  auto pool = std::make_shared<Pool>(*thread.impl_, std::move(options), std::move(tls));
  return std::unique_ptr<AsyncClient>(new AsyncClient(*thread.impl_, std::move(pool)));
}

AsyncClient::~AsyncClient() {
  std::promise<void> closed;
  asio::dispatch(thread_.context(), [&] {
    pool_->close();
    closed.set_value();
  });
  closed.get_future().wait();
}

void AsyncClient::send(HttpRequest request, Done done) {
  asio::post(thread_.context(),
             [pool = pool_, request = std::move(request), done = std::move(done)]() mutable {
               pool->start(request, std::move(done));
             });
}

void AsyncClient::run(std::move_only_function<void()> task) {
  asio::post(thread_.context(), std::move(task));
}

}  // namespace postern::http
