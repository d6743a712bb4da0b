// Goal: the demo's shop believes only what is signed and fresh, counts an event once, never goes
// back to an older state, and sees where it was told something else than what is so.
// Method: the receiver on its own listener, over the real client; signatures made here, with the
// test vector of the Standard Webhooks specification to hold them against.
#include "simulate/webhook_receiver.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "crypto/digest.h"
#include "crypto/encoding.h"
#include "http/client.h"

namespace postern::simulate {
namespace {

constexpr std::string_view kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr std::int64_t kNow = 1614265330;

class FixedClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return TimePoint(std::chrono::seconds(kNow)); }
  [[nodiscard]] MonotonicTime monotonic() const override { return {}; }
};

[[nodiscard]] std::string body(std::string_view type, std::int64_t sequence, std::string_view state,
                               std::int64_t refunded = 0) {
  return fmt::format(
      R"({{"type":"{}","data":{{"sequence":{},"order":{{"merchant_order_id":"T1","state":"{}",)"
      R"("expected":{{"minor":8888,"currency":"CNY"}},"paid":{{"minor":8888,"currency":"CNY"}},)"
      R"("refunded":{{"minor":{},"currency":"CNY"}}}}}}}})",
      type, sequence, state, refunded);
}

struct Message {
  std::string id, body;
  std::int64_t sent_at = kNow;

  [[nodiscard]] std::string signature() const {
    const Secret key(crypto::base64_decode(kSecret.substr(6)).value());
    return "v1," + crypto::base64_encode(crypto::hmac(crypto::DigestAlgorithm::kSha256, key,
                                                      fmt::format("{}.{}.{}", id, sent_at, body))
                                             .value());
  }
};

class Receiver : public ::testing::Test {
 protected:
  explicit Receiver(std::string lose_for = {})
      : receiver_(
            WebhookReceiver::start(
                {.secret = Secret(std::string(kSecret)), .lose_for = std::move(lose_for)}, clock_)
                .value()),
        client_("127.0.0.1", receiver_->port(), std::chrono::seconds(5)) {}

  unsigned send(const Message& message) { return send(message, message.signature()); }
  unsigned send(const Message& message, const std::string& signature) {
    HttpRequest request{
        .method = "POST", .target = "/payments", .headers = {}, .body = message.body, .peer = {}};
    request.headers.add("webhook-id", message.id);
    request.headers.add("webhook-timestamp", std::to_string(message.sent_at));
    request.headers.add("webhook-signature", signature);
    return client_.send(request).value().code;
  }

  FixedClock clock_;
  std::unique_ptr<WebhookReceiver> receiver_;
  http::BlockingClient client_;
};

const Message kPaid{.id = "evt_1", .body = body("order.paid", 1, "paid")};

TEST(SignatureOfTheSpecification, IsTheOneMadeHere) {
  const Message message{.id = "msg_p5jXN8AQM9LWM0D4loKWxJek", .body = R"({"test": 2432232314})"};
  EXPECT_EQ(message.signature(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST_F(Receiver, BelievesOnlyWhatIsSignedAndFresh) {
  const std::string good = kPaid.signature();
  Message other_body = kPaid;
  other_body.body = body("order.paid", 1, "paid", 1);
  EXPECT_EQ(send(other_body, good), 401U);
  Message other_id = kPaid;
  other_id.id = "evt_2";
  EXPECT_EQ(send(other_id, good), 401U);
  Message other_time = kPaid;
  other_time.sent_at += 1;
  EXPECT_EQ(send(other_time, good), 401U);
  Message early = kPaid;
  early.sent_at += 301;
  EXPECT_EQ(send(early), 401U);
  Message late = kPaid;
  late.sent_at -= 301;
  EXPECT_EQ(send(late), 401U);
  for (const std::string& signature :
       {std::string(" "), "v2," + good.substr(3), "v1a," + good.substr(3), good.substr(3),
        good + "x", good.substr(0, good.size() - 1)}) {
    EXPECT_EQ(send(kPaid, signature), 401U) << signature;
  }
  EXPECT_EQ(receiver_->told().refused, 11U);
  EXPECT_EQ(receiver_->told().events, 0U);
  EXPECT_EQ(send(kPaid, "v1a,AAAA v1,AAAA " + good), 204U);
  EXPECT_EQ(receiver_->told().events, 1U);
}

TEST_F(Receiver, CountsAnEventOnceAndNeverGoesBack) {
  const Message refunded{.id = "evt_2", .body = body("order.refunded", 2, "refunded", 8888)};
  EXPECT_EQ(send(refunded), 204U);
  EXPECT_EQ(send(kPaid), 204U);
  EXPECT_EQ(send(kPaid), 204U);
  const Told told = receiver_->told();
  EXPECT_EQ(told.events, 2U);
  EXPECT_EQ(told.repeats, 1U);
  const ToldOrder& order = told.orders.at("T1");
  EXPECT_EQ(order.state, "refunded");
  EXPECT_EQ(order.refunded, 8888);
  EXPECT_EQ(order.events,
            (std::map<std::int64_t, std::string>{{1, "order.paid"}, {2, "order.refunded"}}));
}

class ForgetfulReceiver : public Receiver {
 protected:
  ForgetfulReceiver() : Receiver("T1") {}
};

TEST_F(ForgetfulReceiver, LosesOneAnswerButNotTheEvent) {
  EXPECT_EQ(send(kPaid), 503U);
  EXPECT_EQ(receiver_->told().events, 1U);
  EXPECT_EQ(send(kPaid), 204U);
  EXPECT_EQ(receiver_->told().events, 1U);
  EXPECT_EQ(receiver_->told().repeats, 1U);
}

TEST(Start, WantsASecret) {
  const FixedClock clock;
  for (const char* secret : {"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_*"}) {
    const auto receiver = WebhookReceiver::start({.secret = Secret(secret), .lose_for = {}}, clock);
    ASSERT_FALSE(receiver.has_value()) << secret;
    EXPECT_EQ(receiver.error().code, "webhook_secret_malformed");
  }
}

TEST(Differences, AreSeenInEveryMember) {
  const OrderView order{.state = "paid",
                        .expected = 8888,
                        .paid = 8888,
                        .refunded = 0,
                        .events = {"order.closed", "order.paid"},
                        .incidents = {}};
  const ToldOrder same{.events = {{1, "order.closed"}, {2, "order.paid"}},
                       .state = "paid",
                       .expected = 8888,
                       .paid = 8888,
                       .refunded = 0};
  EXPECT_TRUE(differences(order, &same).empty());
  std::vector<ToldOrder> others(7, same);
  others[0].events.erase(2);
  others[1].events = {{1, "order.closed"}, {3, "order.paid"}};
  others[2].events[2] = "order.failed";
  others[3].state = "closed";
  others[4].expected = 1;
  others[5].paid.reset();
  others[6].refunded = 1;
  for (const ToldOrder& other : others) {
    EXPECT_EQ(differences(order, &other).size(), 1U) << &other - others.data();
  }
  EXPECT_EQ(differences(order, nullptr).size(), 1U);
  EXPECT_TRUE(differences({.state = "awaiting"}, nullptr).empty());
}

}  // namespace
}  // namespace postern::simulate
