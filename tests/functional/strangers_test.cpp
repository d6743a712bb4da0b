// Goal: callbacks from where they are not allowed are refused unverified, a peer that fails too
// often is put off unverified, and in neither case is anything stored or a signature passed over.
// Method: the daemon with each setting, behind a proxy of the test's own, which is this test.
#include <gtest/gtest.h>

#include <string>

#include "tests/functional/running.h"

namespace postern::functional {
namespace {

using simulate::Platform;
using simulate::Tamper;

constexpr Platform kPlatform = Platform::kAlipay;

/// A site whose [server] and [account.alipay] have further lines.
class Guarded : public Site {
 public:
  Guarded(const std::string& server, const std::string& account) {
    std::string text = folder().read("postern.toml");
    insert(text, "[server]\n", server);
    insert(text, "[account.alipay]\n", account);
    folder().write("postern.toml", text);
  }
  [[nodiscard]] HttpRequest from(const std::string& peer, const std::string& number,
                                 Tamper tamper = Tamper::kNone) {
    HttpRequest request = payment(kPlatform, number, 8800, tamper);
    request.headers.add("X-Forwarded-For", peer);
    return request;
  }

 private:
  static void insert(std::string& text, const std::string& after, const std::string& lines) {
    const std::size_t at = text.find(after);
    ASSERT_NE(at, std::string::npos) << after;
    text.insert(at + after.size(), lines);
  }
};

constexpr const char* kProxy = R"(trusted_proxies = ["127.0.0.0/8"]
peer_from = "x-forwarded-for"
)";

[[nodiscard]] std::string code_of_last_rejection(Visitor& visitor) {
  const auto rows = visitor.get("/v1/rejected/alipay").body.at("rejected").as_array();
  return rows.empty() ? "" : std::string(rows[0].as_object().at("code").as_string());
}

TEST(Strangers, AreRefusedWhereAnAccountIsForOthers) {
  Guarded site(kProxy, R"(allow_from = ["203.0.113.0/24", "2001:db8::/32"]
)");
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  EXPECT_EQ(visitor.send(site.from("203.0.113.7", "T1")).code, 200u);
  EXPECT_EQ(visitor.send(site.from("2001:db8::9", "T2")).code, 200u);
  // The allowlist is never instead of the signature.
  EXPECT_EQ(visitor.send(site.from("203.0.113.7", "T3", Tamper::kSignature)).code, 400u);
  EXPECT_EQ(code_of_last_rejection(visitor), "signature_not_verified");
  for (const char* peer : {"198.51.100.1", "203.0.113.7, 198.51.100.1", "203.0.113.7, unknown",
                           "203.0.113.7,", "203.0.113.7, 127.0.0.9, x"}) {
    const HttpResponse response = visitor.send(site.from(peer, "T4"));
    EXPECT_EQ(response.code, 400u) << peer;
    EXPECT_EQ(response.body, "fail");
    EXPECT_EQ(code_of_last_rejection(visitor), "peer_not_allowed") << peer;
  }
  // Without the field, the proxy itself is the peer.
  EXPECT_EQ(visitor.send(site.payment(kPlatform, "T4")).code, 400u);
  // Another account is not affected.
  EXPECT_EQ(visitor.send(site.payment(Platform::kWechatPayV3, "T5")).code, 204u);
  EXPECT_EQ(visitor.get("/v1/callbacks").body.at("callbacks").as_array().size(), 3u);
}

TEST(Strangers, ArePutOffOnceTheirBudgetIsUsedUp) {
  Guarded site(std::string(kProxy) + "failed_per_peer_per_s = 1\nfailed_per_peer_burst = 5\n", "");
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  int refused = 0;
  int put_off = 0;
  for (int i = 0; i < 40; ++i) {
    const unsigned code = visitor.send(site.from("198.51.100.1", "T1", Tamper::kSignature)).code;
    if (code == 400) ++refused;
    if (code == 503) ++put_off;
  }
  EXPECT_GE(refused, 5);
  EXPECT_GE(put_off, 20);
  EXPECT_EQ(refused + put_off, 40);
  // An honest one behind the same address is asked again; others notice nothing.
  EXPECT_EQ(visitor.send(site.from("198.51.100.1", "T2")).code, 503u);
  EXPECT_EQ(visitor.send(site.from("198.51.100.2", "T3")).code, 200u);
  EXPECT_NE(gateway.metrics().exposition().find(
                "postern_callbacks_not_verified_total{account=\"alipay\"}"),
            std::string::npos);
}

TEST(Strangers, AllTogetherDoNotKeepOutWhoWasVerified) {
  Guarded site(std::string(kProxy) + "failed_per_s = 1\nfailed_burst = 5\n", "");
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  EXPECT_EQ(visitor.send(site.from("203.0.113.7", "T1")).code, 200u);
  for (int i = 0; i < 40; ++i) {
    static_cast<void>(
        visitor.send(site.from("198.51.100." + std::to_string(i), "T2", Tamper::kSignature)));
  }
  EXPECT_EQ(visitor.send(site.from("192.0.2.1", "T3")).code, 503u);
  EXPECT_EQ(visitor.send(site.from("203.0.113.7", "T4")).code, 200u);
}

}  // namespace
}  // namespace postern::functional
