#pragma once

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "http/connection.h"
#include "http/listener.h"
#include "http/reply_slot.h"
#include "http/wire.h"

namespace postern::http {

/// One I/O thread: its io_context, its listening socket, its connections and what they share.
/// Deadlines are counted in ticks: one timer for the thread looks at all connections four times a
/// second, so that a request sets no timer and reads no clock.
class Worker {
 public:
  static constexpr std::chrono::milliseconds kTick{250};

  /// Binds. @errors address_in_use, address_not_available
  /// @param sharing  whether the other workers bind the same address
  enum class Sharing : unsigned char { kAlone, kShared };
  [[nodiscard]] static Result<std::unique_ptr<Worker>> bind(
      Listener& listener, const boost::asio::ip::tcp::endpoint& endpoint, Sharing sharing);
  /// Stops at once.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  void start();
  /// Stops accepting and lets requests already read be answered; then calls `done` once on the I/O
  /// thread. @thread any but its own, once
  void drain(std::move_only_function<void()> done);
  /// @thread any but its own
  void stop();

  // For its connections, on its thread.
  [[nodiscard]] Listener& listener() { return listener_; }
  [[nodiscard]] const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
  [[nodiscard]] ReplyWriter& replies() { return replies_; }
  [[nodiscard]] std::span<char> buffer() { return buffer_; }
  [[nodiscard]] bool is_draining() const { return is_draining_; }
  /// The tick that comes no sooner than after `delay`.
  [[nodiscard]] std::uint64_t tick_after(std::chrono::milliseconds delay) const;
  /// The connection's last act.
  void remove(Connection& connection);

 private:
  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp,
                                                      boost::asio::io_context::executor_type>;
  /// A pause after the process has run out of descriptors; to try at once would spin.
  static constexpr std::chrono::milliseconds kAcceptPause{100};
  /// Ticks between two log lines about the same refusal.
  static constexpr std::uint64_t kTicksPerReport = 40;
  /// How much is read at once, and with that the most a connection holds of later requests while
  /// one is handled (beside an incomplete header).
  static constexpr std::size_t kBufferBytes = 16 * 1024;

  explicit Worker(Listener& listener);
  void run();
  void accept();
  void on_accepted(boost::system::error_code ec, Socket socket);
  void await_tick();
  void on_tick();
  void deliver();
  void begin_drain();
  void check_drained();

  Listener& listener_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::uint16_t port_ = 0;
  std::shared_ptr<Mailbox> mailbox_;

  // I/O thread only, once that runs.
  Acceptor acceptor_;
  boost::asio::ip::tcp::endpoint peer_;  ///< of the connection being accepted
  boost::asio::steady_timer tick_timer_;
  boost::asio::steady_timer accept_timer_;
  std::uint64_t tick_ = 0;
  ReplyWriter replies_;
  std::array<char, kBufferBytes> buffer_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::vector<std::shared_ptr<ReplySlot>> mail_;
  std::move_only_function<void()> drained_;
  bool is_draining_ = false;

  std::thread thread_;
};

}  // namespace postern::http
