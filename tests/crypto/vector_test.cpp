// Goal: what real platforms signed and issued is read as they meant it.
// Method: certificate serial numbers, signatures and chains published by Alipay, WeChat Pay and
// UnionPay, read where the folder of vectors lies beside the source tree, otherwise skipped.
// The vectors are other people's data and are not copied here.

#include <gtest/gtest.h>

#include <boost/json/src.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crypto/certificate.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"

namespace postern::crypto {
namespace {

namespace json = boost::json;

std::filesystem::path vector_file(const std::string& name) {
  return std::filesystem::path(POSTERN_SOURCE_DIR "/../shared/vectors") / name;
}

/// The vectors of one file, or nothing where the folder is not there.
std::optional<json::array> vectors_of(const std::string& name) {
  std::ifstream in(vector_file(name));
  if (!in) {
    std::printf("skipped: no vectors beside the source tree (%s)\n", name.c_str());
    return std::nullopt;
  }
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return json::parse(text).at("vectors").as_array();
}

std::string text_at(const json::value& object, std::string_view key) {
  const json::value* found = object.as_object().if_contains(key);
  return found == nullptr ? std::string() : std::string(found->as_string());
}

const json::value& vector_called(const json::array& vectors, std::string_view id) {
  for (const json::value& one : vectors) {
    if (text_at(one, "id") == id) return one;
  }
  ADD_FAILURE() << "no vector " << id;
  return vectors.front();
}

std::string serial_name(const Certificate& certificate) {
  return hex_encode(
      digest(DigestAlgorithm::kMd5, certificate.issuer_rfc2253() + certificate.serial_decimal()));
}

std::string form_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += hex_decode(text.substr(i + 1, 2)).value();
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::map<std::string, std::string> form_fields(std::string_view body) {
  std::map<std::string, std::string> fields;
  while (!body.empty()) {
    const std::string_view pair = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(pair.size() + 1, body.size()));
    const std::size_t equals = pair.find('=');
    fields[form_decoded(pair.substr(0, equals))] = form_decoded(pair.substr(equals + 1));
  }
  return fields;
}

TEST(PlatformVectors, AlipayCertificateSerialNames) {
  const std::optional<json::array> vectors = vectors_of("alipay.json");
  if (!vectors) GTEST_SKIP() << "no vectors";
  int seen = 0;
  for (const json::value& one : *vectors) {
    if (text_at(one, "kind") != "cert-sn") continue;
    ++seen;
    const json::value& request = one.at("request");
    const std::string single = text_at(request, "certificate_pem");
    const std::string bundle = text_at(request, "certificate_bundle_pem");
    const auto certificates = Certificate::parse_bundle(single.empty() ? bundle : single);
    ASSERT_TRUE(certificates.has_value()) << certificates.error().detail;
    std::string name;
    std::string signed_text;
    for (const Certificate& certificate : *certificates) {
      // Only certificates signed with RSA count; the bundle holds SM2 and ECDSA roots as well.
      if (!certificate.signature_oid().starts_with("1.2.840.113549.1.1.")) continue;
      name += (name.empty() ? "" : "_") + serial_name(certificate);
      signed_text += (signed_text.empty() ? "" : "\n") + certificate.issuer_rfc2253() +
                     certificate.serial_decimal();
    }
    EXPECT_EQ(signed_text, text_at(one, "signing_string_utf8"));
    EXPECT_EQ(name, text_at(one.at("expected"), "sn")) << text_at(one, "id");
  }
  EXPECT_EQ(seen, 3);
}

TEST(PlatformVectors, WechatPaySignatures) {
  const std::optional<json::array> vectors = vectors_of("wechatpay_v3.json");
  if (!vectors) GTEST_SKIP() << "no vectors";
  for (const char* id : {"wxv3-rsa-08", "wxv3-rsa-09-wrong-key"}) {
    const json::value& one = vector_called(*vectors, id);
    const json::value& request = one.at("request");
    const auto key = PublicKey::parse(text_at(one.at("keys"), "public_key_or_cert_pem"));
    ASSERT_TRUE(key.has_value()) << key.error().code;
    const bool verified = key->verify(SignatureScheme::kRsaSha256, text_at(request, "message_utf8"),
                                      base64_decode(text_at(request, "signature_base64")).value())
                              .has_value();
    EXPECT_EQ(verified ? "valid" : "invalid", text_at(one.at("expected"), "verdict")) << id;
  }
}

TEST(PlatformVectors, UnionPayChains) {
  const std::optional<json::array> vectors = vectors_of("unionpay.json");
  if (!vectors) GTEST_SKIP() << "no vectors";
  for (const char* id : {"unionpay-01-frontopen-chain", "unionpay-03-expired-leaf"}) {
    const json::value& one = vector_called(*vectors, id);
    const std::vector<Certificate> roots = {
        Certificate::parse(text_at(one.at("keys"), "root_ca_pem")).value(),
        Certificate::parse(text_at(one.at("keys"), "middle_ca_pem")).value()};
    auto fields = form_fields(text_at(one.at("request"), "body_utf8"));
    const auto leaf = Certificate::parse(fields["signPubKeyCert"]);
    ASSERT_TRUE(leaf.has_value()) << leaf.error().detail << fields["signPubKeyCert"];
    const TimePoint now{std::chrono::seconds{one.at("now_unix").as_int64()}};
    // These chains are signed with SHA-1, which must be asked for.
    EXPECT_EQ(leaf->verify_chain(roots, now).has_value(), false);
    const Result<void> verdict = leaf->verify_chain(roots, now, {}, ChainDigests::kSha1Allowed);
    const std::string wanted = text_at(one.at("expected"), "verdict");
    EXPECT_EQ(verdict.has_value() ? "valid" : "invalid", wanted) << id;
    if (!verdict) EXPECT_EQ(verdict.error().code, "certificate_expired");
    EXPECT_EQ(
        leaf->verify_chain(std::vector{roots[1]}, now, {}, ChainDigests::kSha1Allowed).has_value(),
        false);
  }
}

}  // namespace
}  // namespace postern::crypto
