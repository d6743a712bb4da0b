#include "tests/simulation/receiver.h"

#include <map>
#include <string>
#include <utility>

namespace postern::simulation {

using delivery::Answer;
using delivery::Message;
using std::chrono::milliseconds;
using Verdict = Answer::Verdict;

/// A sink with a deadline of 25 s. An orderly stop answers what is under way; a crash does not.
class Receiver::Way final : public delivery::Sink {
 public:
  Way(Receiver& receiver, std::shared_ptr<const bool> crashed)
      : receiver_(receiver), crashed_(std::move(crashed)) {}

  ~Way() override {
    if (*crashed_) return;
    while (!open_->empty()) {
      finish(receiver_, *open_, open_->begin(),
             {.verdict = Verdict::kUnknown, .code = "shutting_down"});
    }
  }

  void send(Message message, std::move_only_function<void(Answer)> done) override {
    receiver_.witness_.on_try(receiver_.endpoint_, message);
    Fate fate = receiver_.draw_fate();
    const std::uint64_t number = ++sent_;
    open_->emplace(number, Try{message.id, std::move(done)});
    if (fate.arrives) {
      receiver_.world_.after(fate.arrival, [&receiver = receiver_, message = std::move(message)] {
        receiver.witness_.on_arrival(receiver.endpoint_, message);
      });
    }
    receiver_.world_.after(fate.answered, [&receiver = receiver_, weak = std::weak_ptr(open_),
                                           number, answer = std::move(fate.answer)] {
      const std::shared_ptr<Open> open = weak.lock();
      if (open) finish(receiver, *open, open->find(number), answer);
    });
  }

 private:
  struct Try {
    std::string id;
    std::move_only_function<void(Answer)> done;
  };
  using Open = std::map<std::uint64_t, Try>;

  static void finish(Receiver& receiver, Open& open, Open::iterator at, const Answer& answer) {
    auto ended = open.extract(at);
    receiver.witness_.on_answer(receiver.endpoint_, ended.mapped().id, answer);
    ended.mapped().done(answer);
  }

  Receiver& receiver_;
  const std::shared_ptr<const bool> crashed_;
  const std::shared_ptr<Open> open_ = std::make_shared<Open>();
  std::uint64_t sent_ = 0;
};

std::unique_ptr<delivery::Sink> Receiver::make_sink(std::shared_ptr<const bool> crashed) {
  return std::make_unique<Way>(*this, std::move(crashed));
}

bool Receiver::is_down() const {
  return weather_.outage && world_.elapsed() >= weather_.outage->from &&
         world_.elapsed() < weather_.outage->to;
}

Receiver::Fate Receiver::draw_fate() {
  if (is_calm_) {
    return {.arrival = milliseconds(1),
            .answered = milliseconds(2),
            .answer = {.verdict = Verdict::kDelivered, .code = "200"}};
  }
  Fate fate{.answer = {.verdict = Verdict::kDelivered, .code = "200"}};
  fate.answered = dice_.within(weather_.answer_max);
  fate.arrival = dice_.within(fate.answered);
  const auto refuse = [&](std::string code) {
    fate.arrives = false;
    fate.answer = {.verdict = Verdict::kNotDelivered, .code = std::move(code)};
  };
  if (is_down()) {
    refuse("connect_failed");
    if (dice_.one_in(2)) fate.answer = {.verdict = Verdict::kUnknown, .code = "timed_out"};
  } else if (dice_.one_in(weather_.refused)) {
    refuse("connect_failed");
  } else if (dice_.one_in(weather_.lost)) {
    fate.arrives = dice_.one_in(2);
    fate.answer = {.verdict = Verdict::kUnknown, .code = "timed_out"};
  } else if (dice_.one_in(weather_.unavailable)) {
    refuse("503");
    if (dice_.one_in(2)) {
      fate.answer.retry_after = dice_.one_of<milliseconds>(
          {std::chrono::seconds(30), std::chrono::hours(2), std::chrono::hours(100)});
    }
  } else if (dice_.one_in(weather_.bad_request)) {
    refuse("400");
  } else if (dice_.one_in(weather_.gone)) {
    refuse("410");
    fate.answer.is_gone = true;
  }
  return fate;
}

}  // namespace postern::simulation
