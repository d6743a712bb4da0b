#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/message.h"
#include "base/metrics.h"
#include "http/server.h"

/// What the tests of the http room share: a client of raw bytes over a real socket, a handler that
/// remembers, and metrics that can be read.
namespace postern::http::testing {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Milliseconds = std::chrono::milliseconds;

/// Longer than anything takes, also under a sanitizer on a busy machine.
inline constexpr Milliseconds kPatience = 20s;

[[nodiscard]] inline bool eventually(const std::function<bool()>& condition,
                                     Milliseconds limit = kPatience) {
  for (Milliseconds waited{0}; waited < limit; waited += 2ms) {
    if (condition()) return true;
    ::usleep(2000);
  }
  return condition();
}

struct Reply {
  unsigned code = 0;
  std::string header;  ///< status line and fields
  std::string body;

  [[nodiscard]] bool has(std::string_view line) const {
    return header.find(std::string("\r\n").append(line).append("\r\n")) != std::string::npos;
  }
};

/// A TCP connection to the server under test that sends exactly the bytes it is told to.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_GE(fd_, 0);
    if (receive_buffer != 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ =
        ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(RawClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        is_connected_(other.is_connected_),
        unread_(std::move(other.unread_)) {}
  RawClient& operator=(RawClient&&) = delete;

  [[nodiscard]] bool is_connected() const { return is_connected_; }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  /// Closes with a reset instead of a FIN.
  void reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }

  /// The next reply; nothing where the connection ends or `limit` passes first.
  [[nodiscard]] std::optional<Reply> read_reply(Milliseconds limit = kPatience,
                                                bool is_body_expected = true) {
    std::size_t end = std::string::npos;
    while ((end = unread_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill(limit)) return std::nullopt;
    }
    Reply reply;
    reply.header = unread_.substr(0, end + 2);
    unread_.erase(0, end + 4);
    const char* digits = reply.header.c_str() + std::string_view("HTTP/1.1 ").size();
    std::from_chars(digits, digits + 3, reply.code);
    if (!is_body_expected || reply.code == 100) return reply;
    static constexpr std::string_view kLength = "\r\nContent-Length: ";
    const std::size_t length_at = reply.header.find(kLength);
    if (length_at == std::string::npos) return reply;
    std::size_t length = 0;
    const char* first = reply.header.c_str() + length_at + kLength.size();
    std::from_chars(first, reply.header.c_str() + reply.header.size(), length);
    while (unread_.size() < length) {
      if (!fill(limit)) return std::nullopt;
    }
    reply.body = unread_.substr(0, length);
    unread_.erase(0, length);
    return reply;
  }

  /// Whether the server has ended the connection, with nothing more to read.
  [[nodiscard]] bool is_closed_by_server(Milliseconds limit = kPatience) {
    return unread_.empty() && !fill(limit) && is_ended_;
  }
  /// Whatever arrives next; nothing where the connection ends or `limit` passes first.
  [[nodiscard]] std::optional<std::string> read_bytes(Milliseconds limit = kPatience) {
    if (unread_.empty() && !fill(limit)) return std::nullopt;
    return std::exchange(unread_, {});
  }
  [[nodiscard]] bool is_ended() const { return is_ended_; }
  /// Whether it was ended by a reset.
  [[nodiscard]] bool is_reset() const { return is_reset_; }
  /// Whether nothing arrives, and the connection stays open, for `time`.
  [[nodiscard]] bool is_silent_for(Milliseconds time) {
    return unread_.empty() && !fill(time) && !is_ended_;
  }

 private:
  bool fill(Milliseconds limit) {
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) return false;
    char buffer[16384];
    const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
    if (size <= 0) {
      is_ended_ = true;
      is_reset_ = size < 0;
      return false;
    }
    unread_.append(buffer, static_cast<std::size_t>(size));
    return true;
  }

  int fd_ = -1;
  bool is_connected_ = false;
  bool is_ended_ = false;
  bool is_reset_ = false;
  std::string unread_;
};

/// Remembers what it was given and answers by `answer`, on the I/O thread.
class RecordingHandler : public HttpHandler {
 public:
  std::function<void(const HttpRequest&, Responder)> answer = [](const HttpRequest& request,
                                                                 Responder respond) {
    respond({200, "text/plain", request.target + "|" + request.body, {}});
  };

  void handle(HttpRequest request, Responder respond) override {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    answer(request, std::move(respond));
  }

  [[nodiscard]] std::vector<HttpRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  [[nodiscard]] std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return requests_.size();
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    requests_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<HttpRequest> requests_;
};

/// Responders put aside, to be answered when the test says so. @thread any
class KeptResponders {
 public:
  void keep(Responder respond) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(respond));
    changed_.notify_all();
  }
  /// The one put aside first; waits for it.
  [[nodiscard]] Responder take() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [this] { return !kept_.empty(); })) {
      ADD_FAILURE() << "no request came";
      return [](const HttpResponse&) {};
    }
    Responder respond = std::move(kept_.front());
    kept_.erase(kept_.begin());
    return respond;
  }
  /// All there are, perhaps none.
  [[nodiscard]] std::vector<Responder> take_all() {
    const std::lock_guard lock(mutex_);
    return std::exchange(kept_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Responder> kept_;
};

/// Metrics that can be asked: "http_refused_total{callback,framing}" (the labels' values).
class ReadableMetrics final : public Metrics {
 public:
  Counter& counter(std::string_view name, std::string_view, Labels labels) override {
    return cell(name, labels);
  }
  Gauge& gauge(std::string_view name, std::string_view, Labels labels) override {
    return cell(name, labels);
  }
  Histogram& histogram(std::string_view name, std::string_view, Labels labels) override {
    return cell(name, labels);
  }
  [[nodiscard]] double value(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = cells_.find(key);
    return found == cells_.end() ? -1 : found->second->value.load();
  }

 private:
  struct Cell final : Counter, Gauge, Histogram {
    void add(double count) override { value.fetch_add(count); }
    void set(double level) override { value.store(level); }
    void observe(double sample) override { value.fetch_add(sample); }
    std::atomic<double> value = 0;
  };
  Cell& cell(std::string_view name, Labels labels) {
    std::string key(name);
    for (char separator = '{'; const auto& [label, text] : labels) {
      key.append(1, separator).append(text);
      separator = ',';
    }
    key.append("}");
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Cell>& entry = cells_[key];
    if (!entry) entry = std::make_unique<Cell>();
    return *entry;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Cell>> cells_;
};

/// Keeps the lines' event names.
class RecordingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField>) override {
    const std::lock_guard lock(mutex_);
    events_.emplace_back(event);
  }
  [[nodiscard]] std::size_t count(std::string_view event) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count(events_, event));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;
};

/// A server on a free port of the loopback interface, with a handler that remembers.
struct TestServer {
  explicit TestServer(Limits limits = {}, unsigned threads = 1) {
    auto started =
        Server::start({"test", {"127.0.0.1", 0}, limits, threads, nullptr}, handler, log, metrics);
    EXPECT_TRUE(started) << started.error().detail;
    server = std::move(started).value();
  }
  [[nodiscard]] std::uint16_t port() const { return server->port(); }
  [[nodiscard]] RawClient connect() const { return RawClient(port()); }
  [[nodiscard]] double refused(const std::string& reason) const {
    return metrics.value("http_refused_total{test," + reason + "}");
  }

  RecordingHandler handler;
  RecordingLog log;
  ReadableMetrics metrics;
  std::unique_ptr<Server> server;  // goes first
};

[[nodiscard]] inline std::string post(std::string_view target, std::string_view body,
                                      std::string_view fields = {}) {
  return std::string("POST ")
      .append(target)
      .append(" HTTP/1.1\r\nHost: pay.example\r\n")
      .append(fields)
      .append("Content-Length: ")
      .append(std::to_string(body.size()))
      .append("\r\n\r\n")
      .append(body);
}

}  // namespace postern::http::testing
