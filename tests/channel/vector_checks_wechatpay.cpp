// How a vector of WeChat Pay's, v3 or v2, is checked, by its kind.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cstdio>
#include <map>
#include <memory>

#include "channel/json.h"
#include "channel/wechatpay_v2.h"
#include "channel/wechatpay_v2_signature.h"
#include "channel/wechatpay_v3.h"
#include "channel/wechatpay_v3_api.h"
#include "channel/xml.h"
#include "crypto/cipher.h"
#include "crypto/encoding.h"
#include "tests/channel/fake_settings.h"
#include "tests/channel/messages.h"
#include "tests/channel/vector_checks.h"

namespace postern::channel {
namespace {

namespace json = boost::json;

/// AES-128-GCM, for upstream's test keys of 16 characters only; real API v3 keys have 32, and
/// Postern takes no others.
[[nodiscard]] std::optional<std::string> open_with_short_key(const std::string& key,
                                                             const json::object& resource) {
  const std::string sealed = must(crypto::base64_decode(json_text(resource, "ciphertext")));
  const std::string nonce(json_text(resource, "nonce"));
  const std::string aad(json_text(resource, "associated_data"));
  std::string plaintext(sealed.size() - 16, '\0');
  std::string tag = sealed.substr(sealed.size() - 16);
  const auto bytes = [](const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int size = 0;
  const bool ok =
      EVP_DecryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, bytes(key), bytes(nonce)) ==
          1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &size, bytes(aad), static_cast<int>(aad.size())) ==
          1 &&
      EVP_DecryptUpdate(context.get(), reinterpret_cast<unsigned char*>(plaintext.data()), &size,
                        bytes(sealed), static_cast<int>(plaintext.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, 16, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), nullptr, &size) == 1;
  return ok ? std::optional(plaintext) : std::nullopt;
}

[[nodiscard]] FakeSettings wechatpay_v3_settings(const Vector& vector) {
  FakeSettings settings;
  std::string mchid = "1900000109";
  std::string app_id = "wxd678efh567hg6787";
  json::object plaintext;
  if (const std::string text = vector.text("expected", "plaintext_utf8"); !text.empty()) {
    plaintext = json::parse(text).as_object();
  }
  for (const char* name : {"mchid", "mch_id", "sp_mchid", "combine_mchid"}) {
    if (plaintext.contains(name)) mchid = json_text(plaintext, name);
  }
  for (const char* name : {"appid", "sp_appid", "combine_appid"}) {
    if (plaintext.contains(name)) app_id = json_text(plaintext, name);
  }
  settings.set("mchid", mchid).set("app_id", app_id);
  std::vector<std::string> subs;
  if (plaintext.contains("sub_mchid")) subs.emplace_back(json_text(plaintext, "sub_mchid"));
  if (const json::value* orders = plaintext.if_contains("sub_orders")) {
    for (const json::value& order : orders->as_array()) {
      subs.emplace_back(json_text(order.as_object(), "mchid"));
    }
  }
  settings.set("sub_merchants", subs);
  std::string api_key = vector.key({"api_v3_key_utf8"});
  // A short upstream key is filled up, so that every step in front of decryption still runs.
  if (api_key.size() == 16) api_key += "0123456789abcdef";
  settings.set("api_v3_key", api_key);
  if (const std::string pem = vector.key({"wechatpay_public_key_pem"}); !pem.empty()) {
    settings.set("platform_public_keys", std::vector{pem});
    settings.set("platform_public_key_ids", std::vector{vector.key({"wechatpay_public_key_id"})});
  } else {
    settings.set("platform_certificates", std::vector{vector.key({"platform_certificate_pem"})});
  }
  return settings;
}

/// Vectors of wechatpay-go, whose test key has 16 characters: the channel must get as far as the
/// decryption, and stop there.
void check_short_key_notify(const Vector& vector, const Channel& channel) {
  const std::string code = code_of(channel.verify(vector.request(), vector.now()));
  const std::map<std::string, std::string> expected = {
      {"wxv3-notify-02-expired", "timestamp_outside_window"},
      {"wxv3-notify-04-body-tampered", "signature_not_verified"},
      {"wxv3-notify-05-unknown-serial", "key_unknown"},
      {"wxv3-notify-06-signtest-probe", "probe"},
      {"wxv3-notify-07-wrong-apiv3key", "decryption_failed"}};
  const auto found = expected.find(vector.id());
  EXPECT_EQ(code, found == expected.end() ? "decryption_failed" : found->second);
  const json::object envelope = must(parse_json_object(vector.body()));
  const auto plaintext =
      open_with_short_key(vector.key({"api_v3_key_utf8"}), *json_object(envelope, "resource"));
  if (vector.id() == "wxv3-notify-07-wrong-apiv3key") EXPECT_FALSE(plaintext);
  if (!vector.valid()) return;
  ASSERT_TRUE(plaintext);
  const json::object members = must(parse_json_object(*plaintext));
  for (const auto& [name, value] : *vector.object("expected", "decoded")) {
    EXPECT_EQ(json_text(members, name), std::string_view(value.as_string())) << name;
  }
}

/// What gzip makes of `compressed`: the room has no zlib, and a bill is checked uncompressed.
[[nodiscard]] std::string gunzip(const std::string& compressed) {
  const std::string path = testing::TempDir() + "postern_bill.gz";
  std::FILE* file = std::fopen(path.c_str(), "wb");
  std::fwrite(compressed.data(), 1, compressed.size(), file);
  std::fclose(file);
  std::FILE* pipe = popen(fmt::format("gzip -dc '{}'", path).c_str(), "r");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    text.push_back(static_cast<char>(c));
  }
  EXPECT_EQ(pclose(pipe), 0);
  std::remove(path.c_str());
  return text;
}

[[nodiscard]] std::string first_text(const Fields& fields,
                                     std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (fields.find(name)) return std::string(fields.text(name));
  }
  return "none";
}

}  // namespace

void check_wechatpay_v3_notify(const Vector& vector) {
  if (vector.id() == "wxv3-notify-16-aes256-escaped-slashes") {
    // Upstream signed an envelope without id and Content-Type around a certificate, under a serial
    // that is not the certificate's: no callback, but its signature and its resource are genuine.
    const HttpRequest request = vector.request();
    const auto key = must(crypto::PublicKey::parse(vector.key({"platform_certificate_pem"})));
    EXPECT_TRUE(verify_wechatpay_v3_signature(
        {*request.headers.only("Wechatpay-Timestamp"), *request.headers.only("Wechatpay-Nonce"),
         *request.headers.only("Wechatpay-Signature"), request.body},
        key));
    const json::object envelope = must(parse_json_object(request.body));
    const Secret api_key(vector.key({"api_v3_key_utf8"}));
    EXPECT_EQ(must(open_wechatpay_v3_resource(*json_object(envelope, "resource"), {&api_key, 1}))
                  .plaintext,
              json_text(*vector.object("expected", "decoded"), "plaintext_utf8"));
    return;
  }
  FakeSettings settings = wechatpay_v3_settings(vector);
  const auto channel = must(make_wechatpay_v3(settings));
  if (vector.key({"api_v3_key_utf8"}).size() != 32) {
    check_short_key_notify(vector, *channel);
    return;
  }
  check_callback(vector, *channel, [](const VerifiedCallback& callback, std::string_view name) {
    return std::string(json_text(
        std::get<json::object>(callback.content()).at("resource").at("plaintext").as_object(),
        name));
  });
  const std::string plaintext = vector.text("expected", "plaintext_utf8");
  if (!vector.valid() || plaintext.empty()) return;
  const VerifiedCallback callback = must(channel->verify(vector.request(), vector.now()));
  EXPECT_EQ(std::get<json::object>(callback.content()).at("resource").at("plaintext"),
            json::parse(plaintext));
}

void check_wechatpay_v3_response(const Vector& vector) {
  const auto key = must(crypto::PublicKey::parse(
      vector.key({"wechatpay_public_key_pem", "platform_public_key_pem"})));
  const std::string timestamp = vector.response_header("Wechatpay-Timestamp");
  const std::string nonce = vector.response_header("Wechatpay-Nonce");
  const std::string signature = vector.response_header("Wechatpay-Signature");
  const std::string body = vector.text("request", "response_body_utf8");
  const bool ok = check_wechatpay_v3_timestamp(timestamp, vector.now()) &&
                  verify_wechatpay_v3_signature({timestamp, nonce, signature, body}, key);
  EXPECT_EQ(ok, vector.valid());
}

void check_wechatpay_v3_decrypt(const Vector& vector) {
  const Secret api_key(vector.key({"api_v3_key_utf8"}));
  if (const std::string body = vector.text("request", "response_body_utf8"); !body.empty()) {
    const auto certificates = must(read_wechatpay_v3_certificates(body, {&api_key, 1}));
    const json::object& decoded = *vector.object("expected", "decoded");
    ASSERT_EQ(certificates.size(), 1U);
    EXPECT_EQ(certificates[0].serial_hex(), json_text(decoded, "serial_hex"));
    EXPECT_EQ(certificates[0].pem(),
              must(crypto::Certificate::parse(json_text(decoded, "certificate_pem"))).pem());
    return;
  }
  const json::object resource{{"algorithm", "AEAD_AES_256_GCM"},
                              {"nonce", vector.text("request", "nonce")},
                              {"associated_data", vector.text("request", "associated_data")},
                              {"ciphertext", vector.text("request", "ciphertext_base64")}};
  const auto plaintext = open_wechatpay_v3_resource(resource, {&api_key, 1});
  ASSERT_EQ(plaintext.has_value(), vector.valid()) << code_of(plaintext);
  if (plaintext) EXPECT_EQ(plaintext->plaintext, vector.text("expected", "plaintext"));
}

void check_wechatpay_v3_primitive(const Vector& vector) {
  if (const std::string hash = vector.text("expected", "hash_value"); !hash.empty()) {
    const std::string bill = gunzip(vector.body());
    const std::string type = vector.text("expected", "hash_type");
    EXPECT_EQ(code_of(check_wechatpay_v3_bill(type, hash, bill)), "ok");
    EXPECT_EQ(code_of(check_wechatpay_v3_bill(type, hash, vector.body())), "hash_mismatch");
    EXPECT_EQ(code_of(check_wechatpay_v3_bill("MD5", hash, bill)), "algorithm_not_allowed");
    for (const json::value& row : vector.object("expected", "decoded")->at("rows").as_array()) {
      EXPECT_NE(bill.find(row.at("transaction_id").as_string()), std::string::npos);
      EXPECT_NE(bill.find(row.at("out_trade_no").as_string()), std::string::npos);
    }
    return;
  }
  const auto key = must(crypto::PublicKey::parse(vector.key({"public_key_or_cert_pem"})));
  const bool ok =
      key.verify(crypto::SignatureScheme::kRsaSha256, vector.text("request", "message_utf8"),
                 must(crypto::base64_decode(vector.text("request", "signature_base64"))))
          .has_value();
  EXPECT_EQ(ok, vector.valid());
}

void check_wechatpay_v2_notify(const Vector& vector) {
  const Result<Fields> fields = parse_flat_xml(vector.body(), "xml");
  const std::string sign_type = vector.key({"sign_type"});
  const Secret api_key(vector.key({"api_key"}));
  if (vector.id().starts_with("wxv2-sign-")) {
    // The documentation's and upstream's examples of the signature alone: they have no return_code,
    // and one has a key of 9 characters, so no channel takes them.
    const WechatpayV2SignType type =
        sign_type == "MD5" ? WechatpayV2SignType::kMd5 : WechatpayV2SignType::kHmacSha256;
    ASSERT_TRUE(fields);
    EXPECT_EQ(verify_wechatpay_v2(*fields, {&api_key, 1}, {&type, 1}).has_value(), vector.valid());
    if (const std::string sign = vector.text("expected", "sign"); !sign.empty()) {
      EXPECT_EQ(must(sign_wechatpay_v2(*fields, type, api_key)), sign);
    }
    return;
  }
  FakeSettings settings;
  settings.set("api_key", std::string(api_key.reveal()));
  if (!sign_type.empty()) settings.set("sign_types", std::vector{sign_type});
  settings.set("mch_id", fields ? first_text(*fields, {"mch_id", "combine_mch_id"}) : "10000100");
  settings.set("app_id", fields ? first_text(*fields, {"appid", "combine_appid"}) : "wx1");
  if (fields && fields->find("sub_order_list")) {
    settings.set("sub_merchants", std::vector<std::string>{"1", "2"});
  }
  const auto channel = must(make_wechatpay_v2(settings));
  check_callback(vector, *channel, field_of);
  if (!vector.valid()) {
    // A message that must be refused may still have to be readable.
    if (const json::object* decoded = vector.object("expected", "decoded")) {
      for (const auto& [name, value] : *decoded) {
        EXPECT_EQ(fields->text(name), std::string_view(value.as_string())) << name;
      }
    }
    return;
  }
  if (const std::string plaintext = vector.text("expected", "plaintext_utf8"); !plaintext.empty()) {
    EXPECT_EQ(must(decrypt_wechatpay_v2_refund(fields->text("req_info"), api_key)), plaintext);
  }
}

void check_wechatpay_v2_decrypt(const Vector& vector) {
  if (const std::string key = vector.key({"aes_key_utf8"}); !key.empty()) {
    const std::string sealed =
        must(crypto::base64_decode(vector.text("request", "ciphertext_base64")));
    EXPECT_EQ(must(crypto::aes_256_ecb_decrypt(Secret(key), sealed)),
              vector.text("expected", "plaintext"));
    return;
  }
  const Fields outer = must(parse_flat_xml(vector.body(), "xml"));
  FakeSettings settings;
  settings.set("api_key", vector.key({"api_key"}));
  settings.set("mch_id", std::string(outer.text("mch_id")));
  settings.set("app_id", std::string(outer.text("appid")));
  const auto channel = must(make_wechatpay_v2(settings));
  const auto callback = channel->verify(vector.request(), vector.now());
  ASSERT_EQ(callback.has_value(), vector.valid()) << code_of(callback);
  if (!callback) return;
  const json::object& decoded = *vector.object("expected", "decoded");
  EXPECT_EQ(
      must(decrypt_wechatpay_v2_refund(outer.text("req_info"), Secret(vector.key({"api_key"})))),
      json_text(decoded, "plaintext_utf8"));
  for (const auto& [name, value] : decoded.at("fields").as_object()) {
    EXPECT_EQ(field_of(*callback, name), std::string_view(value.as_string())) << name;
  }
}

void check_wechatpay_v3_outbound(const Vector& vector) {
  const std::string expected = vector.text("expected", "authorization");
  const auto key =
      must(crypto::PrivateKey::parse(Secret(vector.key({"merchant_private_key_pem"}))));
  const HttpRequest request = vector.request();
  const std::string mchid = part_of(expected, "mchid");
  const std::string serial = part_of(expected, "serial_no");
  const std::string nonce = part_of(expected, "nonce_str");
  const std::string timestamp = part_of(expected, "timestamp");
  EXPECT_EQ(
      must(wechatpay_v3_authorization(
          {mchid, serial, nonce, timestamp, request.method, request.target, request.body}, key)),
      expected);
}

}  // namespace postern::channel
