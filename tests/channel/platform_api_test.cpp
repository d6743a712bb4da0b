// Goal: answers of the platforms' APIs count only if their signature covers what is read (attack
// F11; promise P9), and our own requests are signed as the platforms expect.
// Method: answers signed with a key made here, written in every order a platform may choose.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "channel/alipay_openapi.h"
#include "channel/alipay_signature.h"
#include "channel/form.h"
#include "channel/wechatpay_v3_api.h"
#include "crypto/certificate.h"
#include "crypto/cipher.h"
#include "crypto/encoding.h"
#include "tests/channel/messages.h"

namespace postern::channel {
namespace {

constexpr std::string_view kMethod = "alipay.trade.query";
constexpr std::string_view kAnswer = R"({"code":"10000","subject":"}\"sign\":{","n":[{"a":"]"}]})";

[[nodiscard]] std::string signature_of(std::string_view text) {
  return crypto::base64_encode(
      must(platform_key().sign(crypto::SignatureScheme::kRsaSha256, text)));
}

[[nodiscard]] std::string verify(std::string_view body) {
  const auto covered = verify_alipay_response(body, kMethod, platform_key().public_key());
  return covered ? std::string(*covered) : std::string(covered.error().code);
}

TEST(AlipayOpenApi, FindsTheSignedPartInAnyOrder) {
  const std::string sign = signature_of(kAnswer);
  for (const std::string& body :
       {fmt::format(R"({{"alipay_trade_query_response":{},"sign":"{}"}})", kAnswer, sign),
        fmt::format(R"({{"sign":"{}","alipay_trade_query_response":{}}})", sign, kAnswer),
        fmt::format(" {{ \"alipay_cert_sn\" : \"x\" ,\n\"alipay_trade_query_response\"\t:\n{} , "
                    "\"sign\" : \"{}\" }} ",
                    kAnswer, sign),
        fmt::format(R"({{"x":"\\\"alipay_trade_query_response\\\":{{","n":-1.5e3,"b":true,)"
                    R"("o":{{"alipay_trade_query_response":1}},)"
                    R"("alipay_trade_query_response":{},"sign":"{}"}})",
                    kAnswer, sign)}) {
    EXPECT_EQ(verify(body), kAnswer) << body;
  }
}

TEST(AlipayOpenApi, AnEncryptedAnswerIsSignedWithItsQuotes) {
  const std::string sign = signature_of("\"c2VhbGVk\"");
  EXPECT_EQ(
      verify(fmt::format(R"({{"alipay_trade_query_response":"c2VhbGVk","sign":"{}"}})", sign)),
      "\"c2VhbGVk\"");
}

TEST(AlipayOpenApi, ErrorAnswersAreSignedAlike) {
  const std::string sign = signature_of(kAnswer);
  EXPECT_EQ(verify(fmt::format(R"({{"error_response":{},"sign":"{}"}})", kAnswer, sign)), kAnswer);
  // Unsigned, as for faulty parameters: it says nothing about an order.
  EXPECT_EQ(verify(R"({"error_response":{"code":"40002"}})"), "signature_missing");
}

TEST(AlipayOpenApi, RefusesWhatIsNotCovered) {
  const std::string sign = signature_of(kAnswer);
  EXPECT_EQ(verify(fmt::format(R"({{"alipay_trade_pay_response":{},"sign":"{}"}})", kAnswer, sign)),
            "body_malformed");
  EXPECT_EQ(verify(fmt::format(R"({{"alipay_trade_query_response":{0},)"
                               R"("alipay_trade_query_response":{0},"sign":"{1}"}})",
                               kAnswer, sign)),
            "key_duplicate");
  EXPECT_EQ(verify(fmt::format(R"({{"alipay_trade_query_response":{{"code":"10000"}},)"
                               R"("error_response":{},"sign":"{}"}})",
                               kAnswer, sign)),
            "signature_not_verified");
  EXPECT_EQ(verify(fmt::format(R"({{"alipay_trade_query_response":{},"sign":"x"}})", kAnswer)),
            "signature_malformed");
  for (const char* body :
       {"", "{}", "[]", "null", R"({"alipay_trade_query_response":1,"sign":"x"})",
        R"({"alipay_trade_query_response":{)"}) {
    EXPECT_EQ(verify(body), "body_malformed") << body;
  }
}

TEST(AlipayOpenApi, RequestsCoverSignTypeButNoEmptyField) {
  const Fields fields =
      must(parse_form("method=alipay.trade.query&sign_type=RSA2&notify_url=&a=1"));
  const std::string sign = must(sign_alipay_request(fields, platform_key()));
  EXPECT_EQ(sign, signature_of("a=1&method=alipay.trade.query&sign_type=RSA2"));
}

TEST(AlipayOpenApi, V3ResponsesCoverTimeAndNonce) {
  const auto key = platform_key().public_key();
  const std::string sign = signature_of("1767578400456\nn\n{}\n");
  EXPECT_TRUE(verify_alipay_v3_response("1767578400456", "n", "{}", sign, key));
  EXPECT_FALSE(verify_alipay_v3_response("1767578400457", "n", "{}", sign, key));
  EXPECT_FALSE(verify_alipay_v3_response("1767578400456", "m", "{}", sign, key));
  EXPECT_FALSE(verify_alipay_v3_response("1767578400456", "n", "{ }", sign, key));
  EXPECT_EQ(code_of(verify_alipay_v3_response("1", "n", "", "", key)), "signature_missing");
}

TEST(WechatpayV3Api, CertificatesMustBeTheOnesListed) {
  const Secret key("0123456789abcdefABCDEFGHIJKLMNOP");
  const auto certificate =
      must(crypto::Certificate::self_signed(platform_key(), "Tenpay", "5157F09EFDC096DE",
                                            test_now(), test_now() + std::chrono::hours(1)));
  const auto answer = [&](std::string_view serial, std::string_view aad) {
    const std::string sealed = crypto::base64_encode(
        must(crypto::aes_256_gcm_seal(key, "0123456789ab", "certificate", certificate.pem())));
    return fmt::format(
        R"({{"data":[{{"serial_no":"{}","encrypt_certificate":{{"algorithm":"AEAD_AES_256_GCM",)"
        R"("nonce":"0123456789ab","associated_data":"{}","ciphertext":"{}"}}}}]}})",
        serial, aad, sealed);
  };
  const auto read = [&](const std::string& body) {
    return read_wechatpay_v3_certificates(body, {&key, 1});
  };
  EXPECT_EQ(must(read(answer("5157F09EFDC096DE", "certificate"))).at(0).pem(), certificate.pem());
  EXPECT_EQ(code_of(read(answer("5157F09EFDC096DF", "certificate"))), "body_malformed");
  EXPECT_EQ(code_of(read(answer("5157F09EFDC096DE", "x"))), "decryption_failed");
  for (const char* body : {"{}", R"({"data":{}})", R"({"data":[1]})", R"({"data":[{}]})", ""}) {
    EXPECT_EQ(code_of(read(body)), "body_malformed") << body;
  }
}

}  // namespace
}  // namespace postern::channel
