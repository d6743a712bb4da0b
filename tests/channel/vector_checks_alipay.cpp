// How a vector of Alipay's is checked, by its kind.
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <set>

#include "channel/alipay.h"
#include "channel/alipay_openapi.h"
#include "channel/alipay_signature.h"
#include "channel/form.h"
#include "channel/json.h"
#include "crypto/encoding.h"
#include "tests/channel/fake_settings.h"
#include "tests/channel/messages.h"
#include "tests/channel/vector_checks.h"

namespace postern::channel {
namespace {

namespace json = boost::json;

[[nodiscard]] std::string alipay_key(const Vector& vector) {
  return vector.key({"alipay_public_key_pem", "alipay_public_key_spki_base64_or_pem",
                     "alipay_public_cert_pem", "alipay_public_key"});
}

[[nodiscard]] AlipayCover cover_of(const Vector& vector) {
  std::set<std::string> dropped;
  for (const json::value& name : vector.json.at("keys").at("drop_fields").as_array()) {
    dropped.insert(std::string(name.as_string()));
  }
  if (dropped.contains("alipay_cert_sn")) return AlipayCover::kD;
  return dropped.contains("sign_type") ? AlipayCover::kA : AlipayCover::kC;
}

/// The canonical text must be the vector's, or verdicts could agree by luck.
void check_alipay_signing_text(const Vector& vector, const Fields& fields) {
  const std::optional<std::string> expected = vector.signing_text();
  if (!expected || !vector.valid()) return;
  EXPECT_EQ(alipay_signing_text(fields, cover_of(vector)), *expected);
}

}  // namespace

void check_alipay_notify(const Vector& vector) {
  const Result<Fields> fields = parse_form(vector.body());
  if (fields) check_alipay_signing_text(vector, *fields);
  if (vector.id() == "alipay-notify-06-appgateway-without-sign_type-fails") {
    // The bytes of vector 05: the point is that they do not verify *without* sign_type.
    const auto key = must(crypto::PublicKey::parse(alipay_key(vector)));
    const std::string signature = must(crypto::base64_decode(fields->text("sign")));
    EXPECT_FALSE(key.verify(crypto::SignatureScheme::kRsaSha256,
                            alipay_signing_text(*fields, cover_of(vector)), signature));
    return;
  }
  // The account is the one the message names; a vector about another's message starts from ours.
  std::string app_id = "2021000000000001";
  std::string seller_id = "2088101122136241";
  if (fields && vector.text("expected", "business_verdict").empty()) {
    app_id = fields->text("app_id");
    if (fields->find("seller_id")) seller_id = fields->text("seller_id");
  }
  FakeSettings settings;
  settings.set("app_id", app_id).set("seller_id", seller_id);
  settings.set("platform_keys", std::vector{alipay_key(vector)});
  if (vector.valid() && fields && fields->text("sign_type") == "RSA") {
    settings.set("algorithms", std::vector<std::string>{"RSA2", "RSA"});
  }
  const auto channel = must(make_alipay(settings));
  check_callback(vector, *channel, field_of);
  const std::string policy = vector.text("expected", "policy");
  if (policy == "duplicate key") {
    EXPECT_EQ(code_of(channel->verify(vector.request(), vector.now())), "key_duplicate");
  } else if (!policy.empty()) {
    EXPECT_EQ(code_of(channel->verify(vector.request(), vector.now())), "algorithm_not_allowed");
  }
}

void check_alipay_return(const Vector& vector) {
  const std::string url = vector.text("request", "url");
  const std::string query = url.substr(url.find('?') + 1);
  const auto key = must(crypto::PublicKey::parse(alipay_key(vector)));
  const Result<Fields> fields = verify_alipay_return(query, key);
  ASSERT_EQ(fields.has_value(), vector.valid());
  if (!fields) return;
  check_alipay_signing_text(vector, *fields);
  if (const json::object* decoded = vector.object("expected", "decoded")) {
    for (const auto& [name, value] : *decoded) {
      EXPECT_EQ(fields->text(name), std::string_view(value.as_string())) << name;
    }
  }
  // The same bytes posted to the callback URL prove nothing (attack A12).
  FakeSettings settings;
  settings.set("app_id", std::string(fields->text("app_id"))).set("seller_id", "2088");
  settings.set("platform_keys", std::vector{alipay_key(vector)});
  EXPECT_EQ(code_of(must(make_alipay(settings))->verify(form_request(query), vector.now())),
            "body_malformed");
}

void check_alipay_response(const Vector& vector) {
  const std::string body = vector.text("request", "response_body_utf8");
  const std::string method = vector.text("request", "method");
  EXPECT_EQ(must(extract_response_substring(body, method)),
            vector.text("expected", "signed_substring"));
  if (vector.text("kind") == "canonicalisation") return;
  const auto key = must(crypto::PublicKey::parse(alipay_key(vector)));
  const auto covered = verify_alipay_response(body, method, key);
  ASSERT_EQ(covered.has_value(), vector.valid()) << code_of(covered);
  const json::object* normalised = vector.object("expected", "normalised");
  if (normalised != nullptr && json_text(*normalised, "status") == "not_found") {
    EXPECT_EQ(json_text(must(parse_json_object(*covered)), "sub_code"), "ACQ.TRADE_NOT_EXIST");
  }
}

void check_alipay_v3_response(const Vector& vector) {
  const auto key = must(crypto::PublicKey::parse(alipay_key(vector)));
  const auto verdict = verify_alipay_v3_response(vector.response_header("alipay-timestamp"),
                                                 vector.response_header("alipay-nonce"),
                                                 vector.text("request", "response_body_utf8"),
                                                 vector.response_header("alipay-signature"), key);
  EXPECT_EQ(verdict.has_value(), vector.valid());
}

void check_alipay_cert_sn(const Vector& vector) {
  const std::string one = vector.text("request", "certificate_pem");
  const std::string bundle = vector.text("request", "certificate_bundle_pem");
  EXPECT_EQ(one.empty() ? alipay_root_cert_sn(must(crypto::Certificate::parse_bundle(bundle)))
                        : alipay_cert_sn(must(crypto::Certificate::parse(one))),
            vector.text("expected", "sn"));
}

void check_alipay_decrypt(const Vector& vector) {
  const auto plaintext = decrypt_alipay_content(vector.text("request", "ciphertext_base64"),
                                                Secret(vector.key({"aes_key_base64"})));
  ASSERT_EQ(plaintext.has_value(), vector.valid());
  EXPECT_EQ(*plaintext, vector.text("expected", "plaintext"));
}

void check_alipay_v3_outbound(const Vector& vector) {
  const std::string expected = vector.text("expected", "authorization");
  const auto key =
      must(crypto::PrivateKey::parse(Secret(vector.key({"merchant_private_key_pem"}))));
  const HttpRequest request = vector.request();
  const std::string app_id = part_of(expected, "app_id");
  const std::string sn = part_of(expected, "app_cert_sn");
  const std::string nonce = part_of(expected, "nonce");
  const std::string timestamp = part_of(expected, "timestamp");
  const std::string token{request.headers.only("alipay-app-auth-token").value_or("")};
  EXPECT_EQ(must(alipay_v3_authorization(
                {app_id, sn, nonce, timestamp, request.method, request.target, request.body, token},
                key)),
            expected);
}

}  // namespace postern::channel
