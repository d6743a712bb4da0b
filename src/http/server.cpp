#include "http/server.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"
#include "http/listener.h"
#include "http/worker.h"

namespace postern::http {

class Server::Impl {
 public:
  Impl(Options options, HttpHandler& handler, Log& log, Metrics& metrics)
      : listener_(std::move(options), handler, log, metrics) {}

  ~Impl() {
    for (const auto& worker : workers_) worker->stop();
    listener_.log_refused();
    if (!workers_.empty()) {
      listener_.log().info("http_stopped", {{"listener", listener_.options().name}});
    }
  }

  [[nodiscard]] Result<void> start() {
    const Options& options = listener_.options();
    POSTERN_CHECK(options.threads > 0);
    boost::system::error_code ec;
    const auto address = boost::asio::ip::make_address(options.address.host, ec);
    if (ec) return rejected("address_malformed", options.address.host + " is no IP address");
    boost::asio::ip::tcp::endpoint endpoint(address, options.address.port);

    if (options.threads > 1 && endpoint.port() != 0) {
      // Sockets that share a port would also share it with another daemon, unnoticed.
      POSTERN_RETURN_IF_ERROR(Worker::bind(listener_, endpoint, Worker::Sharing::kAlone));
    }
    for (unsigned i = 0; i < options.threads; ++i) {
      const auto sharing = options.threads > 1 ? Worker::Sharing::kShared : Worker::Sharing::kAlone;
      POSTERN_ASSIGN_OR_RETURN(auto worker, Worker::bind(listener_, endpoint, sharing));
      endpoint.port(worker->port());
      workers_.push_back(std::move(worker));
    }
    for (const auto& worker : workers_) worker->start();
    listener_.log().info("http_listening", {{"listener", options.name},
                                            {"address", options.address.host},
                                            {"port", port()},
                                            {"threads", options.threads},
                                            {"tls", options.tls != nullptr}});
    return {};
  }

  [[nodiscard]] std::uint16_t port() const { return workers_.front()->port(); }

  void set_limits(const Limits& limits) { listener_.set_limits(limits); }

  void drain(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    if (!std::exchange(is_draining_, true)) {
      for (const auto& worker : workers_) {
        worker->drain([this] {
          const std::lock_guard done_lock(mutex_);
          ++drained_;
          all_drained_.notify_all();
        });
      }
    }
    all_drained_.wait_for(lock, limit, [this] { return drained_ == workers_.size(); });
    listener_.show_connections();
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_drained_;
  // Guarded by mutex_.
  std::size_t drained_ = 0;
  bool is_draining_ = false;

  Listener listener_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(Options options, HttpHandler& handler, Log& log,
                                              Metrics& metrics) {
  auto impl = std::make_unique<Impl>(std::move(options), handler, log, metrics);
  POSTERN_RETURN_IF_ERROR(impl->start());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::uint16_t Server::port() const {
  return impl_->port();
}

void Server::set_limits(const Limits& limits) {
  impl_->set_limits(limits);
}

void Server::drain(std::chrono::milliseconds limit) {
  impl_->drain(limit);
}

}  // namespace postern::http
