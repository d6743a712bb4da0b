// The signatures and the encryption of WeChat Pay APIv3.
//
//   signed by WeChat Pay:  timestamp LF nonce LF body LF
//   signed by us:          METHOD LF path?query LF timestamp LF nonce LF body LF
//   resource: {"algorithm":"AEAD_AES_256_GCM","nonce":"12 characters","associated_data":"...",
//              "ciphertext":base64(ciphertext || 16-byte tag)}, key: the 32 bytes of the API v3 key
#include "channel/wechatpay_v3_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "channel/json.h"
#include "channel/statement.h"
#include "crypto/cipher.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"

namespace postern::channel {
namespace {

constexpr std::string_view kProbe = "WECHATPAY/SIGNTEST/";
/// Base64 of a signature by an RSA-4096 key; longer ones are refused before any work.
constexpr std::size_t kSignatureTextBytesMax = 684;
constexpr std::size_t kNonceBytesMax = 128;
constexpr std::size_t kTagBytes = 16;

/// Unix seconds as platforms write them: digits, no sign, no zero in front.
[[nodiscard]] Result<std::int64_t> parse_timestamp(std::string_view text) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  // Twelve digits reach beyond the year 30000, and milliseconds then cannot overflow.
  if (error != std::errc() || end != text.data() + text.size() || !digits || text.size() > 12 ||
      text.front() == '0') {
    return rejected("timestamp_malformed", "the timestamp is not Unix seconds");
  }
  return seconds;
}

[[nodiscard]] bool is_nonce(std::string_view text) {
  return !text.empty() && text.size() <= kNonceBytesMax &&
         std::ranges::all_of(text, [](char c) { return c >= ' ' && c < '\x7F'; });
}

/// A member that may be absent or null, but is a text otherwise.
[[nodiscard]] Result<std::string_view> optional_text(const boost::json::object& object,
                                                     std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return std::string_view();
  if (!value->is_string()) return body_malformed(fmt::format("{} is not a text", name));
  return json_text(object, name);
}

}  // namespace

bool is_wechatpay_v3_probe(std::string_view signature) {
  return signature.starts_with(kProbe);
}

Result<void> check_wechatpay_v3_timestamp(std::string_view timestamp, TimePoint now) {
  POSTERN_ASSIGN_OR_RETURN(const std::int64_t seconds, parse_timestamp(timestamp));
  const auto distance = now - TimePoint(std::chrono::seconds(seconds));
  if (std::chrono::abs(distance) >= kWechatpayV3Window) {
    return rejected("timestamp_outside_window", "the message is old, or a clock is wrong");
  }
  return {};
}

Result<void> verify_wechatpay_v3_signature(const WechatpayV3Signed& message,
                                           const crypto::PublicKey& key) {
  if (message.signature.empty()) return rejected("signature_missing");
  if (message.signature.size() > kSignatureTextBytesMax) return rejected("signature_malformed");
  if (!is_nonce(message.nonce)) {
    return rejected("nonce_malformed", "the nonce is not 1 to 128 printable characters");
  }
  POSTERN_RETURN_IF_ERROR(parse_timestamp(message.timestamp));
  const Result<std::string> signature = crypto::base64_decode(message.signature);
  if (!signature) return rejected("signature_malformed", "the signature is not base64");
  std::string text;
  text.reserve(message.timestamp.size() + message.nonce.size() + message.body.size() + 3);
  text.append(message.timestamp).push_back('\n');
  text.append(message.nonce).push_back('\n');
  text.append(message.body).push_back('\n');
  return key.verify(crypto::SignatureScheme::kRsaSha256, text, *signature);
}

Result<WechatpayV3Opened> open_wechatpay_v3_resource(const boost::json::object& resource,
                                                     std::span<const Secret> api_v3_keys) {
  if (json_text(resource, "algorithm") != "AEAD_AES_256_GCM") {
    return rejected("algorithm_not_allowed", "the resource is not AEAD_AES_256_GCM");
  }
  const std::string_view nonce = json_text(resource, "nonce");
  POSTERN_ASSIGN_OR_RETURN(const std::string_view associated_data,
                           optional_text(resource, "associated_data"));
  const Result<std::string> sealed = crypto::base64_decode(json_text(resource, "ciphertext"));
  if (nonce.empty() || nonce.size() > kNonceBytesMax || !sealed || sealed->size() < kTagBytes) {
    return body_malformed("the resource's nonce or ciphertext is missing or malformed");
  }
  for (std::size_t i = 0; i < api_v3_keys.size(); ++i) {
    Result<std::string> plaintext =
        crypto::aes_256_gcm_open(api_v3_keys[i], nonce, associated_data, *sealed);
    if (plaintext) return WechatpayV3Opened{std::move(*plaintext), i};
  }
  return rejected("decryption_failed",
                  "the signature is right, but no API v3 key opens the resource: was it changed?");
}

Result<std::string> wechatpay_v3_authorization(const WechatpayV3Request& request,
                                               const crypto::PrivateKey& key) {
  const std::string text = fmt::format("{}\n{}\n{}\n{}\n{}\n", request.method, request.target,
                                       request.timestamp, request.nonce, request.body);
  POSTERN_ASSIGN_OR_RETURN(const std::string signature,
                           key.sign(crypto::SignatureScheme::kRsaSha256, text));
  return fmt::format(
      R"(WECHATPAY2-SHA256-RSA2048 mchid="{}",nonce_str="{}",timestamp="{}",serial_no="{}",)"
      R"(signature="{}")",
      request.mchid, request.nonce, request.timestamp, request.serial_no,
      crypto::base64_encode(signature));
}

Result<std::vector<crypto::Certificate>> read_wechatpay_v3_certificates(
    std::string_view body, std::span<const Secret> api_v3_keys) {
  POSTERN_ASSIGN_OR_RETURN(const boost::json::object answer, parse_json_object(body));
  const boost::json::value* data = answer.if_contains("data");
  if (data == nullptr || !data->is_array()) return body_malformed("data is not a list");
  std::vector<crypto::Certificate> certificates;
  for (const boost::json::value& entry : data->get_array()) {
    const boost::json::object* listed = entry.if_object();
    const boost::json::object* sealed =
        listed == nullptr ? nullptr : json_object(*listed, "encrypt_certificate");
    if (sealed == nullptr) return body_malformed("an entry lacks encrypt_certificate");
    POSTERN_ASSIGN_OR_RETURN(const WechatpayV3Opened opened,
                             open_wechatpay_v3_resource(*sealed, api_v3_keys));
    POSTERN_ASSIGN_OR_RETURN(crypto::Certificate certificate,
                             crypto::Certificate::parse(opened.plaintext));
    if (certificate.serial_hex() != json_text(*listed, "serial_no")) {
      return body_malformed("a certificate is listed under another serial number");
    }
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

Result<void> check_wechatpay_v3_bill(std::string_view hash_type, std::string_view hash_value,
                                     std::string_view bill) {
  if (hash_type != "SHA1") return rejected("algorithm_not_allowed", "hash_type is not SHA1");
  const std::string hash = crypto::hex_encode(crypto::digest(crypto::DigestAlgorithm::kSha1, bill));
  if (!crypto::equal_constant_time(hash, hash_value)) return rejected("hash_mismatch");
  return {};
}

}  // namespace postern::channel
