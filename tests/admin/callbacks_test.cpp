// Goal: the evidence of a callback comes out exactly as it went in, and what a stranger wrote never
// breaks the JSON. (P15)
// Method: record callbacks with awkward bytes, and read them over HTTP.
#include <gtest/gtest.h>

#include <boost/json/array.hpp>

#include "crypto/encoding.h"
#include "tests/admin/api_under_test.h"

namespace postern::admin::testing {
namespace {

namespace json = boost::json;

class AdminCallbacks : public ::testing::Test {
 protected:
  ApiUnderTest api_;
};

[[nodiscard]] std::string text(const json::object& object, std::string_view name) {
  return std::string(object.at(name).as_string());
}

TEST_F(AdminCallbacks, ShowTheExactBytes) {
  std::string body = "a\"\\<\r\n\xFF";
  body.push_back('\0');
  (void)api_.record(api_.payment("T1", 100), body);
  const Answer list = api_.get("/v1/callbacks");
  ASSERT_EQ(list.code, 200u);
  const json::object& listed = list.body.at("callbacks").as_array().at(0).as_object();
  EXPECT_FALSE(listed.contains("body_base64"));
  EXPECT_FALSE(listed.contains("headers"));
  EXPECT_EQ(text(listed, "outcome"), "unknown_order");

  const Answer shown = api_.get("/v1/callbacks/" + text(listed, "id"));
  ASSERT_EQ(shown.code, 200u);
  EXPECT_EQ(text(shown.body, "account"), "alipay");
  EXPECT_EQ(text(shown.body, "received_at"), "2026-11-23T09:00:00.000Z");
  EXPECT_EQ(text(shown.body, "target"), "/payment/alipay/callback");
  EXPECT_EQ(text(shown.body, "key_id"), "0123456789abcdef");
  EXPECT_EQ(text(shown.body, "scheme"), "RSA2/A");
  EXPECT_EQ(crypto::base64_decode(text(shown.body, "body_base64")), body);
  EXPECT_EQ(crypto::base64_decode(text(shown.body, "headers_base64")),
            "Content-Type: text/plain\r\nX-Odd: \xFF\r\n");
  EXPECT_EQ(text(shown.body, "body_sha256"),
            crypto::hex_encode(crypto::digest(crypto::DigestAlgorithm::kSha256, body)));
  const json::array& lines = shown.body.at("headers").as_array();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(std::string(lines[1].as_string()), "X-Odd: \uFFFD");
}

TEST_F(AdminCallbacks, AreFilteredAndPaged) {
  (void)api_.record(api_.payment("T1", 100), "1");
  (void)api_.record(api_.payment("T2", 100, "wechat"), "2");
  (void)api_.record(api_.payment("T3", 100), "3");
  EXPECT_EQ(api_.get("/v1/callbacks?account=alipay").body.at("callbacks").as_array().size(), 2u);
  EXPECT_EQ(api_.get("/v1/callbacks?account=bank").body.at("callbacks").as_array().size(), 0u);
  EXPECT_EQ(api_.get("/v1/callbacks?outcome=applied").body.at("callbacks").as_array().size(), 0u);
  const Answer first = api_.get("/v1/callbacks?limit=2");
  EXPECT_EQ(first.body.at("callbacks").as_array().size(), 2u);
  const Answer second = api_.get("/v1/callbacks?before=" + text(first.body, "next_before"));
  EXPECT_EQ(second.body.at("callbacks").as_array().size(), 1u);
}

TEST_F(AdminCallbacks, OfNoOneAreNotFound) {
  for (const char* id : {"cb_zzzzzz_1", "ord_1", "x", "999", "%FF"}) {
    const Answer answer = api_.get("/v1/callbacks/" + std::string(id));
    EXPECT_EQ(answer.code, 404u) << id;
    EXPECT_EQ(answer.error(), "callback_not_found") << id;
  }
}

TEST_F(AdminCallbacks, ThatWereRefusedAreShownWithTheReason) {
  HttpRequest request{.method = "POST", .target = "/payment/alipay/callback", .body = "\xFF"};
  request.peer = "192.0.2.7";
  api_.rejected.add("alipay", {.received_at = api_.clock().now(),
                               .request = request,
                               .code = "signature_not_verified",
                               .detail = "no key fits"});
  const Answer answer = api_.get("/v1/rejected/alipay");
  ASSERT_EQ(answer.code, 200u);
  const json::object& shown = answer.body.at("rejected").as_array().at(0).as_object();
  EXPECT_EQ(text(shown, "code"), "signature_not_verified");
  EXPECT_EQ(text(shown, "peer"), "192.0.2.7");
  EXPECT_EQ(crypto::base64_decode(text(shown, "body_base64")), "\xFF");
  EXPECT_TRUE(api_.get("/v1/rejected/wechat").body.at("rejected").as_array().empty());
  EXPECT_EQ(api_.get("/v1/rejected/bank").code, 404u);
}

TEST_F(AdminCallbacks, RaiseIncidentsThatAreListed) {
  (void)api_.record(api_.payment("T1", 100), "1");
  const Answer open = api_.get("/v1/incidents?state=open");
  ASSERT_EQ(open.code, 200u);
  const json::object& incident = open.body.at("incidents").as_array().at(0).as_object();
  EXPECT_EQ(text(incident, "kind"), "unknown_order");
  EXPECT_EQ(text(incident, "subject"), "alipay/T1");
  EXPECT_EQ(incident.at("count").as_int64(), 1);
  EXPECT_TRUE(incident.at("order").is_null());
  EXPECT_TRUE(text(incident, "callback").starts_with("cb_"));

  EXPECT_EQ(
      api_.post_order(R"({"merchant_order_id":"T1","expected":{"minor":100,"currency":"CNY"}})")
          .code,
      201u);
  EXPECT_TRUE(api_.get("/v1/incidents?state=open").body.at("incidents").as_array().empty());
  EXPECT_EQ(api_.get("/v1/incidents").body.at("incidents").as_array().size(), 1u);
}

}  // namespace
}  // namespace postern::admin::testing
