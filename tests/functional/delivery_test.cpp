// Goal: what a callback changes reaches the merchant's systems, signed, in order, and across the
// receiver's and our own breakdowns. Method: the whole daemon in this process and a receiver behind
// a real listener, which checks each signature with the secret both know.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "crypto/digest.h"
#include "crypto/encoding.h"
#include "http/server.h"
#include "tests/functional/running.h"
#include "tests/functional/site.h"
#include "tests/functional/visitor.h"

namespace postern::functional {
namespace {

using namespace std::chrono_literals;
using simulate::Platform;

/// The merchant's end of a webhook.
class Shop final : public HttpHandler {
 public:
  explicit Shop(std::uint16_t port = 0) {
    server_ = http::Server::start(
                  {.name = "shop", .address = {.host = "127.0.0.1", .port = port}, .limits = {}},
                  *this, log_, metrics_)
                  .value();
  }
  ~Shop() override { server_.reset(); }

  void handle(HttpRequest request, Responder respond) override {
    const std::string id(request.headers.only("webhook-id").value_or(""));
    const std::string text = fmt::format(
        "{}.{}.{}", id, request.headers.only("webhook-timestamp").value_or(""), request.body);
    const std::string mac = *crypto::hmac(crypto::DigestAlgorithm::kSha256,
                                          Secret("0123456789abcdefghijklmnopqrstuv"), text);
    const std::lock_guard lock(mutex_);
    if (request.headers.only("webhook-signature") != "v1," + crypto::base64_encode(mac)) {
      ++forged_;
    }
    if (code_ == 200) events_.push_back(id + " " + request.body);
    respond({.code = code_, .content_type = {}, .body = {}, .headers = {}});
  }

  void answer_with(unsigned code) {
    const std::lock_guard lock(mutex_);
    code_ = code;
  }
  [[nodiscard]] std::vector<std::string> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  [[nodiscard]] bool got(std::size_t count) {
    for (int i = 0; i < 3000; ++i) {
      if (events().size() >= count) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  [[nodiscard]] int forged() const { return forged_; }
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  [[nodiscard]] std::string endpoint() const {
    return fmt::format(
        "[endpoint.shop]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/payments\"\n"
        "secret = \"file:webhook.key\"\ninsecure_http = true\n"
        "allow_networks = [\"127.0.0.0/8\"]\n",
        port());
  }

 private:
  NullLog log_;
  NullMetrics metrics_;
  std::mutex mutex_;
  std::vector<std::string> events_;
  std::atomic<int> forged_ = 0;
  unsigned code_ = 200;
  std::unique_ptr<http::Server> server_;
};

// P6, P7
TEST(Delivery, TellsTheShopOnceAndSignedWhatACallbackChanged) {
  Shop shop;
  Site site(shop.endpoint());
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  for (int i = 1; i <= 20; ++i) {
    const std::string number = fmt::format("T{}", i);
    ASSERT_EQ(visitor.register_order(number), 201u);
    ASSERT_EQ(visitor.send(site.payment(Platform::kAlipay, number)).body, "success");
    ASSERT_EQ(visitor.send(site.payment(Platform::kAlipay, number)).body, "success");
  }
  ASSERT_TRUE(shop.got(20));
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(shop.events().size(), 20U);
  EXPECT_EQ(shop.forged(), 0);
  EXPECT_NE(shop.events()[0].find(R"("type":"order.paid")"), std::string::npos);
  EXPECT_TRUE(shop.events()[0].starts_with("evt_"));
}

// P7, P10, P13: intake goes on while the shop is down; what it missed comes when both are back.
TEST(Delivery, WaitsForAShopThatIsDownAcrossARestart) {
  auto shop = std::make_unique<Shop>();
  Site site(shop->endpoint());
  const std::uint16_t port = shop->port();
  shop.reset();
  {
    InProcess gateway(site);
    Visitor visitor = gateway.visitor();
    ASSERT_EQ(visitor.register_order("T1"), 201u);
    ASSERT_EQ(visitor.send(site.payment(Platform::kAlipay, "T1")).body, "success");
    for (int i = 0;
         i < 500 && visitor.get("/metrics").text.find("result=\"failed\"} 1") == std::string::npos;
         ++i) {
      std::this_thread::sleep_for(10ms);
    }
  }
  Shop back(port);
  InProcess gateway(site);
  ASSERT_TRUE(back.got(1));
  EXPECT_EQ(back.forged(), 0);
}

}  // namespace
}  // namespace postern::functional
