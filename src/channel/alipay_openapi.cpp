// Alipay's OpenAPI, the other direction: our requests and its responses.
//
// Version 2 signs form fields, and answers {"alipay_trade_query_response":{...},"sign":"..."}, in
// any order. The signature covers the raw bytes of the response member: parsing and writing it
// again would change escapes and spaces. Version 3 signs lines: headers, path, body.
#include "channel/alipay_openapi.h"

#include <fmt/format.h>

#include <algorithm>

#include "channel/alipay_signature.h"
#include "channel/form.h"
#include "channel/json.h"
#include "channel/statement.h"
#include "crypto/cipher.h"
#include "crypto/encoding.h"

namespace postern::channel {
namespace {

[[nodiscard]] bool is_json_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// Walks over a text that Boost.JSON has accepted, to find where its pieces begin and end; this is
/// no parser, only a ruler laid along text that one has judged.
class JsonRuler {
 public:
  explicit JsonRuler(std::string_view text) : text_(text) {}

  void skip_space() {
    while (place_ < text_.size() && is_json_space(text_[place_])) ++place_;
  }
  [[nodiscard]] bool take(char wanted) {
    if (place_ >= text_.size() || text_[place_] != wanted) return false;
    ++place_;
    return true;
  }
  /// A text with its quotes; the place is at the opening one.
  [[nodiscard]] std::string_view take_string() {
    const std::size_t begin = place_++;
    while (place_ < text_.size() && text_[place_] != '"') place_ += text_[place_] == '\\' ? 2 : 1;
    place_ = std::min(place_ + 1, text_.size());
    return text_.substr(begin, place_ - begin);
  }
  /// A value of any kind, from its first byte to its last.
  [[nodiscard]] std::string_view take_value() {
    const std::size_t begin = place_;
    std::size_t depth = 0;
    while (place_ < text_.size()) {
      const char c = text_[place_];
      if (depth == 0 && (c == ',' || c == '}' || is_json_space(c))) break;
      if (c == '"') {
        (void)take_string();
        if (depth == 0) break;
        continue;
      }
      ++place_;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) break;
    }
    return text_.substr(begin, place_ - begin);
  }

 private:
  std::string_view text_;
  std::size_t place_ = 0;
};

/// The raw value of the outermost object's member `name`; empty where there is none.
[[nodiscard]] std::string_view raw_member(std::string_view object, std::string_view name) {
  const std::string quoted = fmt::format("\"{}\"", name);
  JsonRuler ruler(object);
  ruler.skip_space();
  if (!ruler.take('{')) return {};
  do {
    ruler.skip_space();
    const std::string_view key = ruler.take_string();
    ruler.skip_space();
    if (!ruler.take(':')) return {};
    ruler.skip_space();
    const std::string_view value = ruler.take_value();
    if (key == quoted) return value;
    ruler.skip_space();
  } while (ruler.take(','));
  return {};
}

[[nodiscard]] Result<std::string> decode_signature(std::string_view text) {
  if (text.empty()) return rejected("signature_missing");
  Result<std::string> signature = crypto::base64_decode(text);
  if (!signature) return rejected("signature_malformed", "the signature is not base64");
  return signature;
}

[[nodiscard]] Result<std::string> sign_text(std::string_view text, const crypto::PrivateKey& key) {
  POSTERN_ASSIGN_OR_RETURN(const std::string signature,
                           key.sign(crypto::SignatureScheme::kRsaSha256, text));
  return crypto::base64_encode(signature);
}

}  // namespace

Result<std::string_view> extract_response_substring(std::string_view body,
                                                    std::string_view method) {
  // Refuses a member that stands twice, so that the one found below is the only one.
  POSTERN_ASSIGN_OR_RETURN(const boost::json::object parsed, parse_json_object(body));
  std::string name(method);
  std::ranges::replace(name, '.', '_');
  name += "_response";
  std::string_view value = raw_member(body, name);
  if (value.empty()) value = raw_member(body, "error_response");
  if (value.empty() || (value.front() != '{' && value.front() != '"')) {
    return body_malformed("the response lacks its response member");
  }
  return value;
}

Result<std::string_view> verify_alipay_response(std::string_view body, std::string_view method,
                                                const crypto::PublicKey& key) {
  POSTERN_ASSIGN_OR_RETURN(const std::string_view covered,
                           extract_response_substring(body, method));
  POSTERN_ASSIGN_OR_RETURN(const boost::json::object parsed, parse_json_object(body));
  POSTERN_ASSIGN_OR_RETURN(const std::string signature,
                           decode_signature(json_text(parsed, "sign")));
  POSTERN_RETURN_IF_ERROR(key.verify(crypto::SignatureScheme::kRsaSha256, covered, signature));
  return covered;
}

Result<Fields> verify_alipay_return(std::string_view query, const crypto::PublicKey& key) {
  POSTERN_ASSIGN_OR_RETURN(Fields fields, parse_form(query));
  const std::string_view sign_type = fields.text("sign_type");
  if (!sign_type.empty() && sign_type != "RSA2") return rejected("algorithm_not_allowed");
  POSTERN_ASSIGN_OR_RETURN(const std::string signature, decode_signature(fields.text("sign")));
  const AlipaySigner signer{&key, key.fingerprint()};
  POSTERN_ASSIGN_OR_RETURN(
      [[maybe_unused]] const AlipayMatch match,
      verify_alipay_form(fields, crypto::SignatureScheme::kRsaSha256, signature, {&signer, 1}));
  return fields;
}

Result<std::string> sign_alipay_request(const Fields& fields, const crypto::PrivateKey& key) {
  Fields covered;
  for (const Fields::Pair& field : fields.pairs()) {
    if (field.second.empty()) continue;
    POSTERN_RETURN_IF_ERROR(covered.add(field.first, field.second));
  }
  return sign_text(alipay_signing_text(covered, AlipayCover::kC), key);
}

Result<std::string> alipay_v3_authorization(const AlipayV3Request& request,
                                            const crypto::PrivateKey& key) {
  const std::string certificate =
      request.app_cert_sn.empty() ? "" : fmt::format(",app_cert_sn={}", request.app_cert_sn);
  const std::string who = fmt::format("app_id={}{},nonce={},timestamp={}", request.app_id,
                                      certificate, request.nonce, request.timestamp_ms);
  std::string text =
      fmt::format("{}\n{}\n{}\n{}\n", who, request.method, request.target, request.body);
  if (!request.app_auth_token.empty()) text += fmt::format("{}\n", request.app_auth_token);
  POSTERN_ASSIGN_OR_RETURN(const std::string signature, sign_text(text, key));
  return fmt::format("ALIPAY-SHA256withRSA {},sign={}", who, signature);
}

Result<void> verify_alipay_v3_response(std::string_view timestamp, std::string_view nonce,
                                       std::string_view body, std::string_view signature,
                                       const crypto::PublicKey& key) {
  POSTERN_ASSIGN_OR_RETURN(const std::string raw, decode_signature(signature));
  return key.verify(crypto::SignatureScheme::kRsaSha256,
                    fmt::format("{}\n{}\n{}\n", timestamp, nonce, body), raw);
}

Result<std::string> decrypt_alipay_content(std::string_view text, const Secret& key) {
  POSTERN_ASSIGN_OR_RETURN(const std::string sealed, crypto::base64_decode(text));
  POSTERN_ASSIGN_OR_RETURN(std::string raw_key, crypto::base64_decode(key.reveal()));
  return crypto::aes_128_cbc_decrypt(Secret(std::move(raw_key)), sealed);
}

}  // namespace postern::channel
