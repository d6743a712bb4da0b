#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/message.h"

namespace boost::asio {
class io_context;
}

namespace postern::http {

class Connection;
class ReplySlot;

/// Brings answers from any thread to the I/O thread they belong to. However many arrive while the
/// I/O thread is busy, it is woken once: a store writer that finishes a batch of 256 pays for one
/// wake-up.
class Mailbox {
 public:
  /// @param in_flight  requests given to the handler and not answered, of the whole listener
  /// @param deliver  run on the I/O thread when there is something to take
  Mailbox(boost::asio::io_context& context, std::shared_ptr<std::atomic<std::size_t>> in_flight,
          std::move_only_function<void()> deliver);

  /// @thread any
  void push(std::shared_ptr<ReplySlot> slot);
  /// Moves all that is there to `slots`, which is empty. @thread I/O
  void take(std::vector<std::shared_ptr<ReplySlot>>& slots);
  /// Later answers are dropped. @thread any; call it before the io_context goes
  void close();

  /// Makes this the mailbox of the calling thread, which is the I/O thread. @thread I/O
  void adopt_thread() const;
  [[nodiscard]] bool is_own_thread() const;

  [[nodiscard]] std::atomic<std::size_t>& in_flight() { return *in_flight_; }

 private:
  const std::shared_ptr<std::atomic<std::size_t>> in_flight_;

  std::mutex mutex_;
  // Guarded by mutex_.
  boost::asio::io_context* context_;  ///< null once closed
  std::vector<std::shared_ptr<ReplySlot>> slots_;

  // I/O thread only.
  std::move_only_function<void()> deliver_;
};

/// Where the answer to a connection's one request at hand is put. It outlives the connection and
/// the server where a responder does.
class ReplySlot : public std::enable_shared_from_this<ReplySlot> {
 public:
  ReplySlot(std::shared_ptr<Mailbox> mailbox, Connection& connection)
      : mailbox_(std::move(mailbox)), connection_(&connection) {}

  /// Gives the answer. @thread any, once for each `begin`
  void complete(HttpResponse response);

  /// Frames the handler's call: an answer given before it returns need not go through the mailbox.
  /// @thread I/O
  void begin();
  /// Whether the answer is there already.
  [[nodiscard]] bool end();
  [[nodiscard]] HttpResponse take() { return std::move(response_); }
  /// Null where the connection is gone. @thread I/O
  [[nodiscard]] Connection* connection() const { return connection_; }
  void forget_connection() { connection_ = nullptr; }

 private:
  const std::shared_ptr<Mailbox> mailbox_;

  // Handed over with the slot: first the answering thread's, then the I/O thread's.
  HttpResponse response_;

  // I/O thread only.
  Connection* connection_;
  bool is_handler_running_ = false;
  bool is_answered_ = false;
};

/// What a Responder holds: gives the answer once, and answers 500 where it goes without one.
class ReplyHandle {
 public:
  explicit ReplyHandle(std::shared_ptr<ReplySlot> slot) : slot_(std::move(slot)) {}
  ReplyHandle(ReplyHandle&&) noexcept = default;
  ReplyHandle& operator=(ReplyHandle&&) = delete;
  ~ReplyHandle() {
    if (slot_) slot_->complete(HttpResponse{500, {}, {}, {}});
  }

  void operator()(HttpResponse response) {
    POSTERN_CHECK(slot_ != nullptr);  // a request is answered once
    std::exchange(slot_, nullptr)->complete(std::move(response));
  }

 private:
  std::shared_ptr<ReplySlot> slot_;
};

}  // namespace postern::http
