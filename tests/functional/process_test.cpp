// Goal: the process starts, stops and fails as operators and supervisors expect. (P1, P10, P11)
// Method: the real binary, real signals, and a real limit on the size of files in place of a disk
// that gives up.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/functional/running.h"

namespace postern::functional {
namespace {

using simulate::Platform;

/// Sends payments from several connections until it is told to stop, and notes what was acked.
class Load {
 public:
  Load(Site& site, const Process& process, int connections) {
    for (int i = 0; i < connections; ++i) {
      threads_.emplace_back([this, &site, &process, i] { run(site, process, i); });
    }
  }
  ~Load() { stop(); }

  void stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  [[nodiscard]] std::vector<std::string> acked() const {
    const std::lock_guard lock(mutex_);
    return acked_;
  }
  [[nodiscard]] int refused() const { return refused_; }
  [[nodiscard]] int odd() const { return odd_; }
  void wait_for(std::size_t count) const {
    for (int i = 0; i < 2000 && acked().size() < count; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

 private:
  void run(Site& site, const Process& process, int connection) {
    Visitor visitor = process.visitor();
    for (int i = 0; !stopping_; ++i) {
      const std::string number = "L" + std::to_string(connection) + "-" + std::to_string(i);
      HttpRequest request;
      {
        const std::lock_guard lock(mutex_);
        request = site.payment(Platform::kAlipay, number);
      }
      const auto response = visitor.try_send(request);
      if (!response) break;
      const std::lock_guard lock(mutex_);
      if (response->code == 200 && response->body == "success") {
        acked_.push_back(number);
      } else if (response->code == 503 && response->body == "fail") {
        ++refused_;
      } else {
        ++odd_;
      }
    }
  }

  mutable std::mutex mutex_;
  std::vector<std::string> acked_;
  std::atomic<int> refused_ = 0;
  std::atomic<int> odd_ = 0;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> threads_;
};

/// Whether every one of `numbers` is in the store: as an unknown order, each has its callback.
void expect_all_kept(Visitor& visitor, const std::vector<std::string>& numbers) {
  std::size_t kept = 0;
  std::string before;
  do {
    const auto page =
        visitor.get("/v1/callbacks?limit=500" + (before.empty() ? "" : "&before=" + before)).body;
    kept += page.at("callbacks").as_array().size();
    const auto& next = page.at("next_before");
    before = next.is_null() ? "" : std::string(next.as_string());
  } while (!before.empty());
  EXPECT_GE(kept, numbers.size());
  for (const std::string& number : numbers) {
    ASSERT_EQ(visitor.register_order(number), 201u);
    EXPECT_EQ(visitor.order_state(number), "paid") << number;
  }
}

class Shutdown : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Signals, Shutdown, ::testing::Values(SIGTERM, SIGINT));

TEST_P(Shutdown, InOrderUnderLoadLosesNothing) {
  Site site;
  std::vector<std::string> acked;
  {
    Process process(site);
    ASSERT_TRUE(process.ready()) << process.errors();
    Load load(site, process, 4);
    load.wait_for(100);
    process.signal(GetParam());
    EXPECT_EQ(process.wait(), 0) << process.errors();
    load.stop();
    EXPECT_EQ(load.odd(), 0);
    acked = load.acked();
    EXPECT_GE(acked.size(), 100u);
    EXPECT_NE(process.errors().find(R"("event":"daemon_stopped")"), std::string::npos);
  }
  Process process(site);
  ASSERT_TRUE(process.ready()) << process.errors();
  Visitor visitor = process.visitor();
  acked.resize(std::min<std::size_t>(acked.size(), 300));
  expect_all_kept(visitor, acked);
}

// P11: the first write that fails ends the acks; the process goes, and nothing acked is missing.
TEST(StoreFailure, EndsTheProcessForARestartAndLosesNothingAcked) {
  Site site;
  std::vector<std::string> acked;
  {
    Process process(site, {.file_bytes_max = 700 * 1024});
    ASSERT_TRUE(process.ready()) << process.errors();
    Load load(site, process, 4);
    EXPECT_EQ(process.wait(), 70) << process.errors();
    load.stop();
    EXPECT_EQ(load.odd(), 0);
    acked = load.acked();
    EXPECT_NE(process.errors().find(R"("event":"store_failed")"), std::string::npos);
  }
  EXPECT_FALSE(acked.empty());
  Process process(site);
  ASSERT_TRUE(process.ready()) << process.errors();
  Visitor visitor = process.visitor();
  expect_all_kept(visitor, acked);
}

TEST(Start, IsRefusedWhileAnotherDaemonHasTheStore) {
  Site site;
  Process first(site);
  ASSERT_TRUE(first.ready()) << first.errors();
  Process second(site);
  EXPECT_FALSE(second.ready());
  EXPECT_EQ(second.wait(), 70);
  EXPECT_EQ(first.visitor().get("/readyz").code, 200u);
}

TEST(Start, IsRefusedOnAPortInUse) {
  Site site;
  Process first(site);
  ASSERT_TRUE(first.ready()) << first.errors();
  Site other;
  std::string config = other.folder().read("postern.toml");
  config.replace(config.find("127.0.0.1:0"), 11,
                 "127.0.0.1:" + std::to_string(first.callback_port()));
  other.folder().write("postern.toml", config);
  Process second(other);
  EXPECT_FALSE(second.ready());
  EXPECT_EQ(second.wait(), 2) << second.errors();
  EXPECT_NE(second.errors().find(std::to_string(first.callback_port())), std::string::npos)
      << second.errors();
}

TEST(Start, IsRefusedWithAWrongConfigurationOrCommandLine) {
  Site site("[endpoint.x]\nkind = \"smtp\"\n");
  Process wrong(site);
  EXPECT_FALSE(wrong.ready());
  EXPECT_EQ(wrong.wait(), 2);
  EXPECT_NE(wrong.errors().find("postern.toml:"), std::string::npos) << wrong.errors();

  Site good;
  Process unknown(good, {.file_bytes_max = std::nullopt, .trailing = "--no-such-option"});
  EXPECT_EQ(unknown.wait(), 2);
}

}  // namespace
}  // namespace postern::functional
