#include "delivery/amqp_pending.h"

#include <algorithm>

namespace postern::delivery {

AmqpPending::AmqpPending(Limits limits, const Clock& clock)
    : limits_(limits), clock_(clock), thread_([this] { run(); }) {}

AmqpPending::~AmqpPending() {
  refuse("shutting_down", "");
  lose("shutting_down", "");
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void AmqpPending::submit(Message message, Done done) {
  const std::scoped_lock lock(mutex_);
  if (refusal_) {
    answered_.emplace_back(std::move(done), *refusal_);
  } else if (entries_.size() >= limits_.queue_max) {
    answered_.emplace_back(std::move(done),
                           Answer{.verdict = Answer::Verdict::kNotDelivered, .code = "queue_full"});
  } else {
    entries_.emplace(next_ticket_++, Entry{.message = std::move(message),
                                           .done = std::move(done),
                                           .deadline = clock_.monotonic() + limits_.deadline});
    // The answering thread sleeps until the first deadline; later ones do not interest it yet.
    if (entries_.size() > 1) return;
  }
  changed_.notify_one();
}

std::optional<AmqpPending::Outgoing> AmqpPending::take() {
  const std::scoped_lock lock(mutex_);
  // What is overdue is answered before it can be published: its answer is certain then.
  expire();
  const auto entry = entries_.lower_bound(next_untaken_);
  if (entry == entries_.end()) return std::nullopt;
  next_untaken_ = entry->first + 1;
  Outgoing outgoing{.ticket = entry->first, .message = std::move(*entry->second.message)};
  entry->second.message.reset();
  return outgoing;
}

bool AmqpPending::has_untaken() const {
  const std::scoped_lock lock(mutex_);
  return entries_.lower_bound(next_untaken_) != entries_.end();
}

void AmqpPending::settle(Ticket ticket, Answer given) {
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(ticket);
  if (entry != entries_.end()) answer(entry, std::move(given));
}

void AmqpPending::refuse(const std::string& code, const std::string& excerpt) {
  const std::scoped_lock lock(mutex_);
  refusal_ = Answer{.verdict = Answer::Verdict::kNotDelivered, .code = code, .excerpt = excerpt};
  for (auto entry = entries_.lower_bound(next_untaken_); entry != entries_.end();) {
    answer(entry++, *refusal_);
  }
}

void AmqpPending::lose(const std::string& code, const std::string& excerpt) {
  const std::scoped_lock lock(mutex_);
  const auto untaken = entries_.lower_bound(next_untaken_);
  for (auto entry = entries_.begin(); entry != untaken;) {
    answer(entry++, Answer{.verdict = Answer::Verdict::kUnknown, .code = code, .excerpt = excerpt});
  }
}

void AmqpPending::accept() {
  const std::scoped_lock lock(mutex_);
  refusal_.reset();
}

void AmqpPending::answer(std::map<Ticket, Entry>::iterator entry, Answer given) {
  answered_.emplace_back(std::move(entry->second.done), std::move(given));
  entries_.erase(entry);
  changed_.notify_one();
}

void AmqpPending::expire() {
  const MonotonicTime now = clock_.monotonic();
  while (!entries_.empty() && entries_.begin()->second.deadline <= now) {
    const auto first = entries_.begin();
    const bool taken = !first->second.message.has_value();
    answer(first,
           Answer{.verdict = taken ? Answer::Verdict::kUnknown : Answer::Verdict::kNotDelivered,
                  .code = "timed_out",
                  .excerpt = taken ? "no confirm from the broker in time" : "not sent in time"});
  }
}

void AmqpPending::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    expire();
    if (!answered_.empty()) {
      std::vector<Answered> answered = std::exchange(answered_, {});
      lock.unlock();
      for (auto& [done, given] : answered) {
        done(std::move(given));
      }
      // What the callbacks hold goes here, not under the lock.
      answered.clear();
      lock.lock();
    } else if (entries_.empty()) {
      if (stopping_) return;
      changed_.wait(lock);
    } else {
      const MonotonicTime left = entries_.begin()->second.deadline - clock_.monotonic();
      // A clock that is not the host's may move otherwise than this wait.
      changed_.wait_for(lock, std::clamp<MonotonicTime>(left, std::chrono::milliseconds(1),
                                                        std::chrono::seconds(1)));
    }
  }
}

}  // namespace postern::delivery
