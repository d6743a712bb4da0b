// Goal: without a broker the AMQP sink answers at once, does not hammer, and refuses options that
// cannot work. Method: ports where nobody listens, and a listener that hangs up or says nothing.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>

#include "base/system.h"
#include "delivery/amqp_address.h"
#include "delivery/amqp_sink.h"
#include "delivery/reconnect_backoff.h"
#include "tests/delivery/answers.h"
#include "tests/delivery/https_server.h"

namespace postern::delivery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using Verdict = Answer::Verdict;

/// Takes connections and counts them; hangs up on them, or keeps them and says nothing.
class Listener {
 public:
  enum class Manner : unsigned char { kHangsUp, kSaysNothing };
  explicit Listener(Manner manner) {
    const auto listening = testing::listen_on_loopback(16);
    file_ = listening.descriptor;
    port_ = listening.port;
    thread_ = std::thread([this, manner] {
      while (!stop_) {
        pollfd waiting{.fd = file_, .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, 50) != 1) continue;
        const int one = ::accept(file_, nullptr, nullptr);
        ++taken_;
        if (manner == Manner::kHangsUp) ::close(one);
      }
    });
  }
  ~Listener() {
    stop_ = true;
    thread_.join();
    ::close(file_);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int taken() const { return taken_; }

 private:
  int file_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> taken_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class AmqpUnreachable : public ::testing::Test {
 protected:
  [[nodiscard]] static AmqpSinkOptions options(std::uint16_t port) {
    return {.endpoint = "shop",
            .url = Secret(fmt::format("amqp://shop@127.0.0.1:{}/", port)),
            .password = Secret("s3cret-word")};
  }
  [[nodiscard]] Result<std::unique_ptr<Sink>> make(AmqpSinkOptions from) {
    return make_amqp_sink(std::move(from), clock_, random_, log_);
  }
  [[nodiscard]] std::string_view refusal(AmqpSinkOptions from) {
    const auto sink = make(std::move(from));
    return sink ? "made" : sink.error().code;
  }

  SystemClock clock_;
  SystemRandom random_;
  KeptLog log_;
  Answers answers_;
};

TEST_F(AmqpUnreachable, AnswersAtOnceWhereNobodyListens) {
  const auto sink = make(options(1));
  ASSERT_TRUE(sink.has_value());
  const MonotonicTime began = clock_.monotonic();
  for (int i = 0; i < 50; ++i) answers_.send(**sink, test_message(i));
  ASSERT_TRUE(answers_.wait(seconds(2)));
  EXPECT_LT(clock_.monotonic() - began, seconds(1));
  EXPECT_THAT(answers_.codes(), ElementsAre(Pair("connect_failed", 50)));
  EXPECT_EQ(answers_.ids(Verdict::kNotDelivered).size(), 50U);
  EXPECT_THAT(log_.text(), Not(HasSubstr("s3cret-word")));
}

TEST_F(AmqpUnreachable, DoesNotHammerABrokerThatHangsUp) {
  const Listener listener(Listener::Manner::kHangsUp);
  const auto sink = make(options(listener.port()));
  const MonotonicTime end = clock_.monotonic() + milliseconds(2400);
  for (int i = 0; clock_.monotonic() < end; ++i) {
    EXPECT_EQ(answers_.send_and_wait(**sink, test_message(i)).verdict, Verdict::kNotDelivered);
    std::this_thread::sleep_for(milliseconds(5));
  }
  // At 0 s, at 0.5 to 0.75 s and at 1.5 to 2.25 s; a busy machine may be late, never early.
  EXPECT_GE(listener.taken(), 2);
  EXPECT_LE(listener.taken(), 3);
}

TEST_F(AmqpUnreachable, KeepsTheDeadlineWhileABrokerSaysNothing) {
  const Listener listener(Listener::Manner::kSaysNothing);
  AmqpSinkOptions changed = options(listener.port());
  changed.deadline = milliseconds(300);
  changed.connect_timeout = milliseconds(1500);
  auto sink = make(changed);
  const Answer first = answers_.send_and_wait(**sink, test_message(1));
  EXPECT_EQ(first.verdict, Verdict::kNotDelivered);
  EXPECT_EQ(first.code, "timed_out");
  // The handshake still hangs; leaving does not wait for it.
  const MonotonicTime began = clock_.monotonic();
  answers_.send(**sink, test_message(2));
  sink->reset();
  EXPECT_LT(clock_.monotonic() - began, seconds(3));
  EXPECT_TRUE(answers_.is_once_each());
}

TEST_F(AmqpUnreachable, RefusesOptionsThatCannotWork) {
  AmqpSinkOptions changed = options(5672);
  changed.exchange = std::string(256, 'x');
  EXPECT_EQ(refusal(changed), "amqp_exchange_malformed");
  changed = options(5672);
  changed.routing_key = std::string(256, 'x');
  EXPECT_EQ(refusal(changed), "amqp_routing_key_malformed");
  changed = options(5672);
  changed.heartbeat = seconds(0);
  EXPECT_EQ(refusal(changed), "amqp_limits_malformed");
  changed = options(5672);
  changed.url = Secret("amqps://shop@localhost");
  changed.ca_file = "/nowhere/ca.pem";
  EXPECT_EQ(refusal(changed), "amqp_ca_unreadable");
}

TEST(AmqpAddress, ReadsEveryPart) {
  const auto address =
      parse_amqp_address(Secret("amqps://sh%40op:p%2Fw%3A@mq.example:7000/a%2Fb"), Secret());
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->transport, AmqpAddress::Transport::kTls);
  EXPECT_EQ(address->host, "mq.example");
  EXPECT_EQ(address->port, 7000);
  EXPECT_EQ(address->vhost, "a/b");
  EXPECT_EQ(address->user, "sh@op");
  EXPECT_EQ(address->password.reveal(), "p/w:");
}

TEST(AmqpAddress, FillsInPortAndVhost) {
  for (const char* text : {"amqp://u@[::1]", "amqp://u@[::1]/", "amqp://u@[::1]:/%2F"}) {
    const auto address = parse_amqp_address(Secret(text), Secret("p"));
    ASSERT_TRUE(address.has_value()) << text;
    EXPECT_EQ(address->host, "::1");
    EXPECT_EQ(address->port, 5672);
    EXPECT_EQ(address->vhost, "/");
    EXPECT_EQ(address->password.reveal(), "p");
  }
  EXPECT_EQ(parse_amqp_address(Secret("amqps://u:p@h"), Secret())->port, 5671);
}

TEST(AmqpAddress, RefusesWhatIsUnclearAndQuotesNothing) {
  const std::array<std::pair<const char*, const char*>, 10> cases{{
      {"amqp://u:pw-word@h/a/b", "amqp_url_malformed"},
      {"http://u:pw-word@h", "amqp_url_malformed"},
      {"amqp://u:pw-word@h?heartbeat=1", "amqp_url_malformed"},
      {"amqp://u:pw-word@h:0", "amqp_url_malformed"},
      {"amqp://u:pw-word@h:70000", "amqp_url_malformed"},
      {"amqp://u:pw-word@", "amqp_url_malformed"},
      {"amqp://u:pw-word @h", "amqp_url_malformed"},
      {"amqp://h", "amqp_user_missing"},
      {"amqp://u@h", "amqp_password_missing"},
      {"amqp://u:pw%00word@h", "amqp_password_missing"},
  }};
  for (const auto& [text, code] : cases) {
    const auto address = parse_amqp_address(Secret(text), Secret());
    ASSERT_FALSE(address.has_value()) << text;
    EXPECT_EQ(address.error().code, code) << text;
    EXPECT_THAT(address.error().detail, Not(HasSubstr("pw-word")));
  }
  EXPECT_EQ(parse_amqp_address(Secret("amqp://u:p@h"), Secret("p")).error().code,
            "amqp_password_twice");
}

/// All ones or all zeros.
class FixedRandom final : public Random {
 public:
  explicit FixedRandom(std::byte byte) : byte_(byte) {}
  void fill(std::span<std::byte> out) override { std::ranges::fill(out, byte_); }

 private:
  const std::byte byte_;
};

TEST(ReconnectBackoff, GrowsWithinItsBounds) {
  for (const std::byte byte : {std::byte{0}, std::byte{0xA7}, std::byte{0xFF}}) {
    FixedRandom random(byte);
    ReconnectBackoff backoff(random);
    milliseconds base = ReconnectBackoff::kDelayMin;
    for (int i = 0; i < 12; ++i) {
      const milliseconds delay = backoff.next();
      EXPECT_GE(delay, base);
      EXPECT_LE(delay, std::min(base * 3 / 2, ReconnectBackoff::kDelayMax));
      base = std::min(base * 2, ReconnectBackoff::kDelayMax);
    }
    EXPECT_EQ(backoff.next(), ReconnectBackoff::kDelayMax);
    backoff.reset();
    EXPECT_LE(backoff.next(), milliseconds(750));
  }
}

}  // namespace
}  // namespace postern::delivery
