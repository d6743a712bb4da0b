// A webhook endpoint as quick as one can be, over kept-alive connections: says 204 to every event
// and notes when it came. Requests to /slow are answered only after a while.
//
//   stdout   "ready PORT" once, then "received N" every 100 ms: distinct events of any path
//   --notes  at the end one line an event: path, order number, nanoseconds of the monotonic clock
//
// One thread, so that on a small machine it leaves the cores to the daemon.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/system.h"

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::string_view kAnswer = "HTTP/1.1 204 No Content\r\n\r\n";
constexpr std::string_view kSlowPath = "/slow";

struct Note {
  std::string path;
  std::string number;
  postern::MonotonicTime at;
};

/// What all connections share.
struct Run {
  const postern::SystemClock clock;
  std::chrono::milliseconds slow_time;
  std::vector<Note> notes;
  std::unordered_set<std::string> seen;  ///< path and event id
  std::size_t copies = 0;
};

[[nodiscard]] std::string order_number_of(std::string_view body) {
  constexpr std::string_view kName = R"("merchant_order_id":")";
  const std::size_t begin = body.find(kName);
  if (begin == std::string_view::npos) return "-";
  body.remove_prefix(begin + kName.size());
  return std::string(body.substr(0, body.find('"')));
}

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Run& run)
      : socket_(std::move(socket)), timer_(socket_.get_executor()), run_(run) {}

  void start() {
    parser_.emplace();
    parser_->eager(true);
    if (filled_ > 0) return parse(0);
    read();
  }

 private:
  void read() {
    socket_.async_read_some(asio::buffer(buffer_.data() + filled_, buffer_.size() - filled_),
                            [self = shared_from_this()](const error_code& error, std::size_t size) {
                              if (!error) self->parse(size);
                            });
  }

  void parse(std::size_t size) {
    filled_ += size;
    error_code error;
    const std::size_t used = parser_->put(asio::buffer(buffer_.data(), filled_), error);
    if (error && error != http::error::need_more) return;
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(used),
              buffer_.begin() + static_cast<std::ptrdiff_t>(filled_), buffer_.begin());
    filled_ -= used;
    if (!parser_->is_done()) return read();
    take();
  }

  void take() {
    const auto& request = parser_->get();
    const std::string path = request.target();
    if (run_.seen.insert(path + " " + std::string(request["webhook-id"])).second) {
      run_.notes.push_back({path, order_number_of(request.body()), run_.clock.monotonic()});
    } else {
      ++run_.copies;
    }
    if (path != kSlowPath) return answer();
    timer_.expires_after(run_.slow_time);
    timer_.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error) self->answer();
    });
  }

  void answer() {
    asio::async_write(socket_, asio::buffer(kAnswer),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        if (!error) self->start();
                      });
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  Run& run_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::array<char, 16 * 1024> buffer_{};
  std::size_t filled_ = 0;
};

void accept(tcp::acceptor& acceptor, Run& run) {
  acceptor.async_accept([&](const error_code& error, tcp::socket socket) {
    if (error) return;
    socket.set_option(tcp::no_delay(true));
    std::make_shared<Connection>(std::move(socket), run)->start();
    accept(acceptor, run);
  });
}

void report(asio::steady_timer& timer, const Run& run) {
  fmt::print("received {}\n", run.notes.size());
  std::fflush(stdout);
  timer.expires_after(std::chrono::milliseconds(100));
  timer.async_wait([&](const error_code& error) {
    if (!error) report(timer, run);
  });
}

}  // namespace

int main(int argc, char** argv) {
  std::string notes;
  std::uint16_t port = 0;
  unsigned slow_ms = 5000;
  CLI::App app("Takes webhooks as fast as it can and notes when each came. Ends by SIGTERM.");
  app.add_option("--notes", notes, "file for what came")->required();
  app.add_option("--port", port, "on 127.0.0.1; 0: any");
  app.add_option("--slow-ms", slow_ms, "how long /slow takes to answer");
  CLI11_PARSE(app, argc, argv);

  asio::io_context io(1);
  Run run{.clock = {}, .slow_time = std::chrono::milliseconds(slow_ms), .notes = {}, .seen = {}};
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), port});
  fmt::print("ready {}\n", acceptor.local_endpoint().port());
  accept(acceptor, run);
  asio::steady_timer timer(io);
  report(timer, run);
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](const error_code&, int) { io.stop(); });
  io.run();

  std::ofstream file(notes);
  for (const Note& note : run.notes) {
    file << note.path << ' ' << note.number << ' ' << note.at.count() << '\n';
  }
  if (run.copies > 0) fmt::print(stderr, "{} events came more than once\n", run.copies);
  return file.flush() ? 0 : 1;
}
