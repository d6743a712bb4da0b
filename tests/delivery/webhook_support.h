#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "delivery/webhook_sink.h"
#include "tests/delivery/https_server.h"
#include "tests/support/temporary_folder.h"

/// What the tests of the webhook sink share: a name server that says what it is told to, a clock
/// that stands, and a sink whose answers can be waited for.
namespace postern::delivery::testing {

using namespace std::chrono_literals;

inline constexpr const char* kSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// 2026-11-23T09:00:00.900Z
inline constexpr TimePoint kNow{std::chrono::milliseconds(1'795'424'400'900)};

class StoppedClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return kNow; }
  [[nodiscard]] MonotonicTime monotonic() const override { return {}; }
};

class ScriptedResolver final : public http::Resolver {
 public:
  /// Each question is answered with the next of `answers`, the last one from then on.
  void set(const std::string& host, std::vector<std::vector<std::string>> answers) {
    answers_[host] = std::move(answers);
  }
  void resolve(std::string host, Done done) override {
    const std::scoped_lock lock(mutex_);
    auto& answers = answers_[host];
    ++questions_;
    if (answers.empty()) return waiting_.push_back(std::move(done));
    std::vector<IpAddress> found;
    for (const std::string& text : answers.front()) {
      found.push_back(IpAddress::parse(text).value());
    }
    if (answers.size() > 1) answers.erase(answers.begin());
    done(std::move(found));
  }
  [[nodiscard]] int questions() const {
    const std::scoped_lock lock(mutex_);
    return questions_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::vector<std::string>>> answers_;
  std::vector<Done> waiting_;  ///< for names that nobody knows: a name server that keeps silent
  int questions_ = 0;
};

inline Message message(const std::string& id = "evt_k3f9a2_17",
                       const std::string& body = R"({"type":"order.paid"})") {
  Message one;
  one.id = id;
  one.type = "order.paid";
  one.body = body;
  return one;
}

/// Answers as they come in. Outlives the sinks that report to it.
class Answers {
 public:
  std::move_only_function<void(Answer)> take() {
    return [this](Answer answer) {
      const std::scoped_lock lock(mutex_);
      answers_.push_back(std::move(answer));
      has_come_.notify_all();
    };
  }
  std::vector<Answer> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(has_come_.wait_for(lock, 30s, [&] { return answers_.size() >= count; }))
        << answers_.size() << " of " << count << " answers";
    return answers_;
  }
  [[nodiscard]] std::size_t count() {
    const std::scoped_lock lock(mutex_);
    return answers_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable has_come_;
  std::vector<Answer> answers_;
};

/// The verdict in one word.
inline std::string word(const Answer& answer) {
  switch (answer.verdict) {
    case Answer::Verdict::kDelivered:
      return "delivered " + answer.code;
    case Answer::Verdict::kNotDelivered:
      return "not_delivered " + answer.code;
    case Answer::Verdict::kUnknown:
      return "unknown " + answer.code;
  }
  return "";
}

/// A sink on a thread of its own.
class Sender {
 public:
  explicit Sender(WebhookOptions options) {
    if (options.secrets.empty()) options.secrets = {Secret(kSecret)};
    auto opened = WebhookSink::open(std::move(options), thread_, clock_);
    if (opened) {
      sink_ = std::move(*opened);
    } else {
      ADD_FAILURE() << opened.error().code << ": " << opened.error().detail;
    }
  }

  Answer send(Message one = message()) {
    Answers answers;
    sink_->send(std::move(one), answers.take());
    return answers.wait(1).front();
  }
  [[nodiscard]] WebhookSink& sink() { return *sink_; }
  [[nodiscard]] ScriptedResolver& resolver() { return *resolver_; }
  void destroy() { sink_.reset(); }

 private:
  NullLog log_;
  StoppedClock clock_;
  std::shared_ptr<ScriptedResolver> resolver_ = std::make_shared<ScriptedResolver>();
  http::ClientThread thread_{log_, resolver_};
  std::unique_ptr<WebhookSink> sink_;
};

/// Options for `server` by plain HTTP at its own address.
inline WebhookOptions plain(const HttpsServer& server) {
  return {.url = fmt::format("http://127.0.0.1:{}/payments?shop=1", server.port()),
          .insecure_http = InsecureHttp::kAllowed,
          .allow_networks = {"127.0.0.0/8"}};
}

/// A script that says the same to everyone.
inline HttpsServer::Script always(const std::string& bytes,
                                  HttpsServer::Then then = HttpsServer::Then::kReadNext) {
  return [bytes, then](HttpsServer::Peer& peer, const std::string&) {
    return peer.write(bytes) ? then : HttpsServer::Then::kClose;
  };
}

}  // namespace postern::delivery::testing
