// Goal: what Postern signs, every Standard Webhooks library verifies; a bad key is refused when it
// is configured, not when the first event is due.
// Method: signatures made by the official libraries; where the folder of vectors lies beside the
// source tree, its signatures too (other people's data, not copied here). Ed25519 is verified by
// OpenSSL with the public key.

#include "delivery/webhook_signature.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <boost/json.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "crypto/encoding.h"

namespace postern::delivery {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

// Signed by the npm package `standardwebhooks` with a secret made for this test.
constexpr const char* kSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
constexpr const char* kId = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
constexpr seconds kTime{1649367553};
constexpr const char* kBody = R"({"email":"test@example.com","username":"test_user"})";
constexpr const char* kSignature = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

std::string signature(const std::vector<std::string>& keys, std::string_view id = kId,
                      seconds time = kTime, std::string_view body = kBody) {
  const std::vector<Secret> secrets(keys.begin(), keys.end());
  const auto signer = WebhookSigner::parse(secrets);
  if (!signer) return std::string(signer.error().code);
  const auto header = signer->sign(id, time, body);
  return header ? *header : std::string(header.error().code);
}

std::string whsec(std::size_t size, char fill = 'k') {
  return "whsec_" + crypto::base64_encode(std::string(size, fill));
}

bool ed25519_verifies(std::string_view whpk, std::string_view v1a, const std::string& text) {
  const std::string key = crypto::base64_decode(whpk.substr(5)).value();
  const std::string raw = crypto::base64_decode(v1a.substr(4)).value();
  const auto bytes = [](const std::string& t) {
    return reinterpret_cast<const unsigned char*>(t.data());
  };
  EVP_PKEY* pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(key), key.size());
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const bool verifies =
      EVP_DigestVerifyInit(context, nullptr, nullptr, nullptr, pkey) == 1 &&
      EVP_DigestVerify(context, bytes(raw), raw.size(), bytes(text), text.size()) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(pkey);
  return verifies;
}

TEST(WebhookSignature, IsThatOfTheOfficialLibrary) {
  EXPECT_EQ(signature({kSecret}), kSignature);
  EXPECT_NE(signature({kSecret}, "msg_other"), kSignature);
  EXPECT_NE(signature({kSecret}, kId, kTime + seconds(1)), kSignature);
  EXPECT_NE(signature({kSecret}, kId, kTime, std::string(kBody) + " "), kSignature);
}

TEST(WebhookSignature, IsThatOfThePublishedVectors) {
  std::ifstream in(POSTERN_SOURCE_DIR "/../shared/vectors/standard_webhooks.json");
  if (!in) GTEST_SKIP() << "no vectors beside the source tree";
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  int checked = 0;
  for (const json::value& one : json::parse(text).at("vectors").as_array()) {
    const json::object& fields = one.at("request").at("headers").as_object();
    const json::object& keys = one.at("keys").as_object();
    if (!keys.contains("secret") || !fields.contains("webhook-id")) continue;
    const std::string key(keys.at("secret").as_string());
    const std::string time(fields.at("webhook-timestamp").as_string());
    if (!key.starts_with("whsec_") || time == "hello") continue;
    // The clock is the verifier's business: an old signature is a signature.
    const std::string id(one.at("id").as_string());
    const bool is_signed = one.at("expected").at("verdict") == "valid" ||
                           id.find("-old") != std::string::npos ||
                           id.find("-future") != std::string::npos;
    const std::string ours =
        signature({key}, fields.at("webhook-id").as_string(), seconds(std::stoll(time)),
                  one.at("request").at("body_utf8").as_string());
    const std::string theirs = " " + std::string(fields.at("webhook-signature").as_string()) + " ";
    EXPECT_EQ(theirs.find(" " + ours + " ") != std::string::npos, is_signed) << id << " " << ours;
    ++checked;
  }
  std::printf("vectors checked: %d\n", checked);
  EXPECT_GE(checked, 7);
}

TEST(WebhookSignature, OverlapsKeysWhileTheyAreChanged) {
  const std::string fresh = whsec(32, 'n');
  EXPECT_EQ(signature({fresh, kSecret}), signature({fresh}) + " " + kSignature);
}

TEST(WebhookSignature, SignsWithEd25519) {
  const std::string seed(32, '\x07');
  const std::vector<Secret> keys = {Secret("whsk_" + crypto::base64_encode(seed)), Secret(kSecret)};
  const auto signer = WebhookSigner::parse(keys);
  ASSERT_TRUE(signer.has_value()) << signer.error().detail;
  const std::string header = signer->sign(kId, kTime, kBody).value();
  const std::string v1a = header.substr(0, header.find(' '));
  EXPECT_EQ(header.substr(header.find(' ') + 1), kSignature);
  ASSERT_TRUE(v1a.starts_with("v1a,")) << v1a;
  ASSERT_EQ(signer->public_keys().size(), 1U);
  const std::string whpk = signer->public_keys().front();
  ASSERT_TRUE(whpk.starts_with("whpk_"));
  const std::string text = std::string(kId) + ".1649367553." + kBody;
  EXPECT_TRUE(ed25519_verifies(whpk, v1a, text));
  EXPECT_FALSE(ed25519_verifies(whpk, v1a, text + " "));

  // The same key with its public half appended, and with another one's.
  const std::string half = crypto::base64_decode(whpk.substr(5)).value();
  EXPECT_EQ(signature({"whsk_" + crypto::base64_encode(seed + half)}), v1a);
  EXPECT_EQ(signature({"whsk_" + crypto::base64_encode(seed + seed)}), "webhook_secret_malformed");
  EXPECT_EQ(signature({"whsk_" + crypto::base64_encode(seed.substr(1))}),
            "webhook_secret_malformed");
}

TEST(WebhookSignature, RefusesKeysThatAreNot) {
  EXPECT_EQ(signature({}), "webhook_secret_missing");
  EXPECT_EQ(signature({whsec(24)}).substr(0, 3), "v1,");
  EXPECT_EQ(signature({whsec(64)}).substr(0, 3), "v1,");
  for (const std::string& text :
       {std::string(), std::string("whsec_"), whsec(23), whsec(65), whsec(32).substr(6),
        "WHSEC_" + whsec(32).substr(6), whsec(32) + "\n", " " + whsec(32), whsec(32) + "=",
        std::string("whsec_").append(32, '-'), std::string("whsec_plain text is not base64 !!!"),
        "whpk_" + whsec(32).substr(6)}) {
    EXPECT_EQ(signature({text}), "webhook_secret_malformed") << text;
    EXPECT_EQ(signature({kSecret, text}), "webhook_secret_malformed") << text;
  }
  EXPECT_EQ(signature(std::vector<std::string>(9, kSecret)), "webhook_secrets_too_many");
}

// P17: what is told about a bad key is its place, not its text.
TEST(WebhookSignature, KeepsABadKeyToItself) {
  const std::vector<Secret> keys = {Secret(kSecret), Secret("hunter2hunter2hunter2")};
  const auto signer = WebhookSigner::parse(keys);
  ASSERT_FALSE(signer.has_value());
  EXPECT_EQ(signer.error().detail.find("hunter2"), std::string::npos) << signer.error().detail;
  EXPECT_NE(signer.error().detail.find("webhook secret 2"), std::string::npos);
}

TEST(WebhookSignature, RefusesIdsThatMakeTheSignedTextAmbiguous) {
  for (const std::string& id :
       {std::string("a.b"), std::string(), std::string("a b"), std::string("a\r\nb"),
        std::string("\xC3\xA4"), std::string(129, 'a')}) {
    EXPECT_EQ(signature({kSecret}, id), "webhook_id_malformed") << id;
  }
}

}  // namespace
}  // namespace postern::delivery
