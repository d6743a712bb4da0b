#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "delivery/sink.h"

namespace postern::delivery {

/// The messages that an AMQP sink has taken and not yet answered, and the thread that answers.
///
/// It stands between the callers and the thread that talks to the broker, which may be stuck in a
/// look-up, a handshake or a write: deadlines are kept and refusals told all the same. Whoever
/// takes a message out of the table gives its answer, so there is exactly one.
class AmqpPending {
 public:
  using Done = std::move_only_function<void(Answer)>;
  using Ticket = std::uint64_t;

  struct Limits {
    std::size_t queue_max = 1000;  ///< unanswered messages; beyond: "queue_full"
    std::chrono::milliseconds deadline{15'000};
  };
  struct Outgoing {
    Ticket ticket = 0;
    Message message;
  };

  /// Accepts from the start. Lifetime: `clock` outlives it.
  AmqpPending(Limits limits, const Clock& clock);
  /// Answers what is left with "shutting_down" and waits until every `done` has returned.
  ~AmqpPending();
  AmqpPending(const AmqpPending&) = delete;
  AmqpPending& operator=(const AmqpPending&) = delete;

  /// Takes a message, or answers at once where the queue is full or messages are refused.
  /// @thread any
  void submit(Message message, Done done);

  /// The oldest message that was not taken yet. From here on it counts as published: where nothing
  /// else is learnt, its answer is kUnknown. @thread the broker's
  [[nodiscard]] std::optional<Outgoing> take();
  /// @thread any
  [[nodiscard]] bool has_untaken() const;

  /// Gives the answer to `ticket`; nothing happens where it has one. @thread any
  void settle(Ticket ticket, Answer answer);
  /// Answers every message that was not taken with kNotDelivered, those that come later too, until
  /// `accept`. @thread any
  void refuse(const std::string& code, const std::string& excerpt);
  /// The connection is gone: answers every message that was taken with kUnknown. @thread any
  void lose(const std::string& code, const std::string& excerpt);
  /// Takes messages again. @thread any
  void accept();

 private:
  struct Entry {
    std::optional<Message> message;  ///< nothing: taken
    Done done;
    MonotonicTime deadline{};
  };
  using Answered = std::pair<Done, Answer>;

  void run();
  // With mutex_ held.
  void answer(std::map<Ticket, Entry>::iterator entry, Answer answer);
  void expire();

  // Constant after construction.
  const Limits limits_;
  const Clock& clock_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::map<Ticket, Entry> entries_;  ///< in order of tickets and so of deadlines
  Ticket next_ticket_ = 1;
  Ticket next_untaken_ = 1;  ///< every entry below is taken
  std::vector<Answered> answered_;
  std::optional<Answer> refusal_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace postern::delivery
