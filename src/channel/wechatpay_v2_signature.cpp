// The signature and the encryption of WeChat Pay v2.
//
//   sign = UPPER(hex(MD5("a=1&b=2&key=K")))  or  UPPER(hex(HMAC-SHA256(K, "a=1&b=2&key=K")))
//   req_info = base64(AES-256-ECB-PKCS7(plaintext)), under the 32 characters of hex(MD5(K))
#include "channel/wechatpay_v2_signature.h"

#include <algorithm>

#include "channel/statement.h"
#include "crypto/cipher.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"

namespace postern::channel {
namespace {

using crypto::DigestAlgorithm;

constexpr std::size_t kMd5HexBytes = 32;
constexpr std::size_t kSha256HexBytes = 64;
constexpr std::size_t kRefundTextBytesMax = std::size_t{16} * 1024;

/// A Secret, since it ends with the key. Reserved in full: growing would leave copies behind.
[[nodiscard]] Secret signing_text(const Fields& fields, const Secret& api_key) {
  std::size_t size = api_key.size() + 5;
  for (const Fields::Pair& field : fields.pairs()) {
    size += field.first.size() + field.second.size() + 2;
  }
  std::string text;
  text.reserve(size);
  for (const std::uint16_t index : fields.by_name()) {
    const Fields::Pair& field = fields.pairs()[index];
    if (field.second.empty() || field.first == "sign") continue;
    text.append(field.first).push_back('=');
    text.append(field.second).push_back('&');
  }
  text.append("key=").append(api_key.reveal());
  return Secret(std::move(text));
}

[[nodiscard]] Result<WechatpayV2SignType> type_of(const Fields& fields, std::string_view sign) {
  if (sign.size() != kMd5HexBytes && sign.size() != kSha256HexBytes) {
    return rejected("signature_malformed", "sign has neither 32 nor 64 characters");
  }
  const WechatpayV2SignType type =
      sign.size() == kMd5HexBytes ? WechatpayV2SignType::kMd5 : WechatpayV2SignType::kHmacSha256;
  const std::string_view named = fields.text("sign_type");
  if (!named.empty() && named != name(type)) {
    return rejected("algorithm_not_allowed", "sign_type contradicts the length of sign");
  }
  return type;
}

}  // namespace

std::string_view name(WechatpayV2SignType type) {
  switch (type) {
    case WechatpayV2SignType::kMd5:
      return "MD5";
    case WechatpayV2SignType::kHmacSha256:
      return "HMAC-SHA256";
  }
  return "";
}

Result<std::string> sign_wechatpay_v2(const Fields& fields, WechatpayV2SignType type,
                                      const Secret& api_key) {
  if (api_key.empty()) return rejected("key_empty");
  const Secret text = signing_text(fields, api_key);
  switch (type) {
    case WechatpayV2SignType::kMd5:
      return crypto::hex_encode_upper(crypto::digest(DigestAlgorithm::kMd5, text.reveal()));
    case WechatpayV2SignType::kHmacSha256: {
      POSTERN_ASSIGN_OR_RETURN(const std::string mac,
                               crypto::hmac(DigestAlgorithm::kSha256, api_key, text.reveal()));
      return crypto::hex_encode_upper(mac);
    }
  }
  return fault("sign_type_unknown");
}

Result<WechatpayV2Match> verify_wechatpay_v2(const Fields& fields, std::span<const Secret> api_keys,
                                             std::span<const WechatpayV2SignType> allowed) {
  const std::string_view sign = fields.text("sign");
  if (sign.empty()) return rejected("signature_missing");
  POSTERN_ASSIGN_OR_RETURN(const WechatpayV2SignType type, type_of(fields, sign));
  if (std::ranges::find(allowed, type) == allowed.end()) {
    return rejected("algorithm_not_allowed",
                    "the account's `sign_types` do not list " + std::string(name(type)));
  }
  for (std::size_t i = 0; i < api_keys.size(); ++i) {
    const Result<std::string> expected = sign_wechatpay_v2(fields, type, api_keys[i]);
    if (expected && crypto::equal_constant_time(*expected, sign)) return WechatpayV2Match{type, i};
  }
  return rejected("signature_not_verified",
                  "no API key signed this: is it the key of this merchant, and the sign type one "
                  "of sign_types?");
}

Result<std::string> decrypt_wechatpay_v2_refund(std::string_view req_info, const Secret& api_key) {
  if (req_info.size() > kRefundTextBytesMax) return body_malformed("req_info is too long");
  const Result<std::string> sealed = crypto::base64_decode(req_info);
  if (!sealed || sealed->empty()) return body_malformed("req_info is not base64");
  if (api_key.empty()) return rejected("key_empty");
  const Secret key(crypto::hex_encode(crypto::digest(DigestAlgorithm::kMd5, api_key.reveal())));
  return crypto::aes_256_ecb_decrypt(key, *sealed);
}

std::string wechatpay_v2_key_id(const Secret& api_key) {
  std::string text = "postern wechatpay-v2 key id\n";
  text.reserve(text.size() + api_key.size());
  const Secret marked(text.append(api_key.reveal()));
  return crypto::hex_encode(crypto::digest(DigestAlgorithm::kSha256, marked.reveal()))
      .substr(0, 16);
}

}  // namespace postern::channel
