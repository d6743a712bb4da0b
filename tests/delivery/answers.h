#pragma once

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "delivery/sink.h"

namespace postern::delivery {

[[nodiscard]] inline Message test_message(int number, std::string type = "order.paid") {
  return {.id = fmt::format("evt_test_{}", number),
          .type = std::move(type),
          .created_at = TimePoint(std::chrono::milliseconds(1'800'000'000'123)),
          .merchant = "shop",
          .merchant_order_id = fmt::format("T{}", number),
          .sequence = number,
          .body = fmt::format(R"({{"number":{}}})", number)};
}

/// Sends and keeps what was answered, by event id. @thread any
class Answers {
 public:
  void send(Sink& sink, Message message) {
    {
      const std::scoped_lock lock(mutex_);
      ++sent_;
    }
    std::string id = message.id;
    sink.send(std::move(message), [this, id = std::move(id)](Answer answer) {
      const std::scoped_lock lock(mutex_);
      ++answered_;
      by_id_[id].push_back(std::move(answer));
      changed_.notify_all();
    });
  }
  [[nodiscard]] Answer send_and_wait(Sink& sink, Message message) {
    const std::string id = message.id;
    send(sink, std::move(message));
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(30), [&] { return by_id_.contains(id); })) {
      return {.code = "no answer in 30 s"};
    }
    return by_id_[id].back();
  }
  /// Whether all that was sent is answered in time.
  [[nodiscard]] bool wait(std::chrono::milliseconds time = std::chrono::seconds(30)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] { return answered_ == sent_; });
  }
  [[nodiscard]] std::set<std::string> ids(Answer::Verdict verdict) const {
    const std::scoped_lock lock(mutex_);
    std::set<std::string> found;
    for (const auto& [id, answers] : by_id_) {
      if (answers.front().verdict == verdict) found.insert(id);
    }
    return found;
  }
  [[nodiscard]] std::map<std::string, std::vector<Answer>> all() const {
    const std::scoped_lock lock(mutex_);
    return by_id_;
  }
  [[nodiscard]] std::map<std::string, int> codes() const {
    std::map<std::string, int> counts;
    for (const auto& [id, answers] : all()) {
      for (const Answer& answer : answers) ++counts[answer.code];
    }
    return counts;
  }
  /// Whether every message sent so far has exactly one answer.
  [[nodiscard]] bool is_once_each() const {
    const std::scoped_lock lock(mutex_);
    for (const auto& [id, answers] : by_id_) {
      if (answers.size() != 1) return false;
    }
    return answered_ == sent_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int sent_ = 0;
  int answered_ = 0;
  std::map<std::string, std::vector<Answer>> by_id_;
};

/// Keeps every line as "event key=value ...". @thread any
class KeptLog final : public Log {
 public:
  void write(LogLevel /*level*/, std::string_view event,
             std::span<const LogField> fields) override {
    std::string line(event);
    for (const LogField& field : fields) {
      line += fmt::format(" {}=", field.key);
      std::visit([&](const auto& value) { line += fmt::format("{}", value); }, field.value);
    }
    const std::scoped_lock lock(mutex_);
    lines_.push_back(std::move(line));
  }
  [[nodiscard]] int count(std::string_view text) const {
    const std::scoped_lock lock(mutex_);
    int found = 0;
    for (const std::string& line : lines_) {
      if (line.find(text) != std::string::npos) ++found;
    }
    return found;
  }
  [[nodiscard]] std::string text() const {
    const std::scoped_lock lock(mutex_);
    std::string all;
    for (const std::string& line : lines_) all += line + "\n";
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace postern::delivery
