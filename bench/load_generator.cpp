// Signed callbacks for distinct orders over kept-alive connections. Without a rate a closed loop:
// each connection sends its next callback when the last one was acked. With a rate, callbacks are
// sent when they are due, on any connection that is free, and a callback's latency counts from
// when it was due. Measures a window after a warm-up, in which it also reads the processor time of
// the daemon, and prints one JSON object.
//
// One thread, so that on a small machine it leaves the cores to the daemon.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <deque>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/system.h"
#include "bench/bench_order.h"
#include "bench/callback_cache.h"

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using postern::MonotonicTime;

struct Options {
  std::string cache;
  std::size_t count = 0;
  std::uint16_t port = 0;
  std::string from;
  unsigned connections = 256;
  std::size_t first = 0;
  double rate = 0;  // callbacks a second; 0: as many as are acked
  std::string acks;
  double warmup_seconds = 2;
  double seconds = 10;
  long pid = 0;
};

/// User and system time of a whole process, in microseconds.
[[nodiscard]] double processor_time_us(long pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(file, line);
  // The second field is the command in brackets and may hold blanks; utime is the 14th.
  std::istringstream rest(line.substr(line.rfind(')') + 1));
  std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
  if (fields.size() < 13) return 0;
  const double ticks = std::stod(fields[11]) + std::stod(fields[12]);
  return ticks * 1e6 / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// Resident memory of a process at its highest, in MiB.
[[nodiscard]] double memory_high_mib(long pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024.0;
  }
  return 0;
}

class Connection;

/// What all connections share.
struct Run {
  const postern::bench::CallbackCache& cache;
  const postern::SystemClock clock;
  std::size_t count;
  std::size_t next = 0;
  bool measuring = false;
  bool stopped = false;
  std::size_t acked = 0;
  std::size_t not_acked = 0;
  std::string first_trouble;
  std::vector<MonotonicTime> latencies;
  std::vector<std::pair<std::size_t, MonotonicTime>> ack_times;  ///< kept with a rate only
  std::function<void()> out_of_callbacks;
  // With a rate: what is due and finds no connection free waits.
  bool is_paced = false;
  std::deque<MonotonicTime> due;
  std::vector<Connection*> free;

  void trouble(std::string what) {
    if (stopped) return;
    ++not_acked;
    if (first_trouble.empty()) first_trouble = std::move(what);
  }
};

class Connection {
 public:
  Connection(asio::io_context& io, Run& run) : socket_(io), run_(run) {}

  /// @param from  address to call from; empty: the system's choice
  void start(const tcp::endpoint& daemon, const std::string& from) {
    if (!from.empty()) {
      error_code error;
      socket_.open(daemon.protocol(), error);
      if (!error) socket_.bind({asio::ip::make_address(from), 0}, error);
      if (error) return run_.trouble("bind: " + error.message());
    }
    socket_.async_connect(daemon, [this](const error_code& error) {
      if (error) return run_.trouble("connect: " + error.message());
      socket_.set_option(tcp::no_delay(true));
      next();
    });
  }

  /// Sends the callback that was due at `due`.
  void send(MonotonicTime due) {
    if (run_.stopped) return;
    if (run_.next == run_.count) return run_.out_of_callbacks();
    index_ = run_.next++;
    parser_.emplace();
    parser_->eager(true);
    filled_ = 0;
    due_at_ = due;
    asio::async_write(socket_, asio::buffer(run_.cache.request(index_)),
                      [this](const error_code& error, std::size_t) {
                        if (error) return run_.trouble("write: " + error.message());
                        read();
                      });
  }

 private:
  using Parser = http::response_parser<http::string_body>;

  void next() {
    if (!run_.is_paced) return send(run_.clock.monotonic());
    if (run_.due.empty()) return run_.free.push_back(this);
    const MonotonicTime due = run_.due.front();
    run_.due.pop_front();
    send(due);
  }

  void read() {
    socket_.async_read_some(asio::buffer(buffer_.data() + filled_, buffer_.size() - filled_),
                            [this](const error_code& error, std::size_t size) {
                              if (error) return run_.trouble("read: " + error.message());
                              parse(size);
                            });
  }

  void parse(std::size_t size) {
    filled_ += size;
    error_code error;
    const std::size_t used = parser_->put(asio::buffer(buffer_.data(), filled_), error);
    if (error == http::error::need_more) error = {};
    if (error) return run_.trouble("answer: " + error.message());
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(used),
              buffer_.begin() + static_cast<std::ptrdiff_t>(filled_), buffer_.begin());
    filled_ -= used;
    if (!parser_->is_done()) return read();
    finish();
  }

  void finish() {
    const auto& answer = parser_->get();
    if (answer.result() != http::status::ok || answer.body() != "success") {
      run_.trouble(fmt::format("answered {} \"{}\"", answer.result_int(), answer.body()));
    } else if (run_.measuring) {
      ++run_.acked;
      const MonotonicTime now = run_.clock.monotonic();
      run_.latencies.push_back(now - due_at_);
      if (run_.is_paced) run_.ack_times.emplace_back(index_, now);
    }
    next();
  }

  tcp::socket socket_;
  Run& run_;
  std::optional<Parser> parser_;
  std::array<char, 4096> buffer_{};
  std::size_t filled_ = 0;
  std::size_t index_ = 0;
  MonotonicTime due_at_{};
};

/// Makes callbacks due at an even rate, however long the answers take.
class Pacer {
 public:
  Pacer(asio::io_context& io, Run& run, double rate)
      : timer_(io),
        run_(run),
        gap_(static_cast<std::int64_t>(1e9 / rate)),
        due_(run.clock.monotonic()) {}

  void run() {
    if (run_.stopped) return;
    for (const MonotonicTime now = run_.clock.monotonic(); due_ <= now; due_ += gap_) {
      if (run_.free.empty()) {
        run_.due.push_back(due_);
      } else {
        Connection* const connection = run_.free.back();
        run_.free.pop_back();
        connection->send(due_);
      }
    }
    timer_.expires_after(due_ - run_.clock.monotonic());
    timer_.async_wait([this](const error_code&) { run(); });
  }

 private:
  asio::steady_timer timer_;
  Run& run_;
  const MonotonicTime gap_;
  MonotonicTime due_;
};

struct Window {
  MonotonicTime began{}, ended{};
  double processor_us_before = 0, processor_us_after = 0;
};

[[nodiscard]] double percentile_ms(std::vector<MonotonicTime>& latencies, double fraction) {
  if (latencies.empty()) return 0;
  const auto rank = static_cast<std::size_t>(fraction * static_cast<double>(latencies.size() - 1));
  std::ranges::nth_element(latencies, latencies.begin() + static_cast<std::ptrdiff_t>(rank));
  return static_cast<double>(latencies[rank].count()) / 1e6;
}

[[nodiscard]] double rounded(double value) {
  return std::round(value * 1000.0) / 1000.0;
}

void print_figures(Run& run, const Window& window, const Options& options) {
  const double seconds = static_cast<double>((window.ended - window.began).count()) / 1e9;
  const double acked = static_cast<double>(run.acked);
  const double processor_us = window.processor_us_after - window.processor_us_before;
  const boost::json::object figures{
      {"callbacks_per_s", rounded(acked / seconds)},
      {"p50_ms", rounded(percentile_ms(run.latencies, 0.5))},
      {"p99_ms", rounded(percentile_ms(run.latencies, 0.99))},
      {"p999_ms", rounded(percentile_ms(run.latencies, 0.999))},
      {"cpu_us_per_callback", rounded(run.acked == 0 ? 0 : processor_us / acked)},
      {"rss_mb", rounded(memory_high_mib(options.pid))},
      {"acked", run.acked},
      {"sent", run.next - options.first},
      {"seconds", rounded(seconds)}};
  fmt::print("{}\n", boost::json::serialize(figures));
}

void write_acks(const Run& run, const Options& options) {
  if (options.acks.empty()) return;
  std::ofstream file(options.acks);
  for (const auto& [index, at] : run.ack_times) {
    file << postern::bench::order_number(index) << ' ' << at.count() << '\n';
  }
}

[[nodiscard]] std::chrono::nanoseconds from_seconds(double seconds) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

[[nodiscard]] int drive(const Options& options, const postern::bench::CallbackCache& cache) {
  asio::io_context io(1);
  Run run{.cache = cache,
          .clock = {},
          .count = std::min(options.first + options.count, cache.size()),
          .next = options.first,
          .first_trouble = {},
          .latencies = {},
          .ack_times = {},
          .out_of_callbacks = {},
          .is_paced = options.rate > 0,
          .due = {},
          .free = {}};
  run.latencies.reserve(run.count);
  Window window;
  asio::steady_timer begin(io), end(io);
  const auto finish = [&] {
    if (run.stopped) return;
    window.ended = run.clock.monotonic();
    window.processor_us_after = processor_time_us(options.pid);
    run.stopped = true;
    io.stop();
  };
  run.out_of_callbacks = finish;
  begin.expires_after(from_seconds(options.warmup_seconds));
  begin.async_wait([&](const error_code&) {
    window.processor_us_before = processor_time_us(options.pid);
    window.began = run.clock.monotonic();
    run.measuring = true;
    end.expires_after(from_seconds(options.seconds));
    end.async_wait([&](const error_code&) { finish(); });
  });
  std::vector<std::unique_ptr<Connection>> connections;
  for (unsigned i = 0; i < options.connections; ++i) {
    connections.push_back(std::make_unique<Connection>(io, run));
    connections.back()->start({asio::ip::address_v4::loopback(), options.port}, options.from);
  }
  std::optional<Pacer> pacer;
  if (run.is_paced) pacer.emplace(io, run, options.rate).run();
  io.run();
  if (!run.measuring) {
    fmt::print(stderr, "the callbacks were used up in the warm-up: sign more\n");
    return 1;
  }
  if (run.next == run.count) fmt::print(stderr, "the callbacks were used up before the time\n");
  print_figures(run, window, options);
  write_acks(run, options);
  if (run.not_acked == 0) return 0;
  fmt::print(stderr, "{} not acked; the first: {}\n", run.not_acked, run.first_trouble);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Sends signed Alipay callbacks for distinct orders and measures the acks.");
  app.add_option("--cache", options.cache, "folder of the signed callbacks")->required();
  app.add_option("--count", options.count, "how many of them to use at most")->required();
  app.add_option("--first", options.first, "number of the first of them");
  app.add_option("--rate", options.rate, "callbacks a second; without it as many as are acked");
  app.add_option("--acks", options.acks,
                 "file for one line an ack of a rate: order number, monotonic nanoseconds");
  app.add_option("--port", options.port, "of the daemon on 127.0.0.1")->required();
  app.add_option("--from", options.from, "loopback address to call from");
  app.add_option("--pid", options.pid, "of the daemon")->required();
  app.add_option("--connections", options.connections);
  app.add_option("--warmup", options.warmup_seconds, "seconds before the window");
  app.add_option("--seconds", options.seconds, "length of the window");
  CLI11_PARSE(app, argc, argv);
  const auto cache =
      postern::bench::CallbackCache::open(options.cache, options.first + options.count, 1);
  if (!cache) {
    fmt::print(stderr, "{}: {}\n", cache.error().code, cache.error().detail);
    return 1;
  }
  return drive(options, *cache);
}
