#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/message.h"
#include "channel/fields.h"
#include "channel/wechatpay_v2_signature.h"
#include "crypto/key.h"

namespace postern::channel {

/// Keys made once for all tests, since making one takes a tenth of a second.
[[nodiscard]] const crypto::PrivateKey& platform_key();
[[nodiscard]] const crypto::PrivateKey& next_platform_key();
[[nodiscard]] const crypto::PrivateKey& attacker_key();

/// 2026-01-05T10:00:10+08:00, the `now` of every test that does not care.
[[nodiscard]] TimePoint test_now();

/// A value or the end of the test: what tests set up must work.
template <class T>
[[nodiscard]] T must(Result<T> result) {
  if (!result) throw std::runtime_error(std::string(result.error().code) + result.error().detail);
  return std::move(result).value();
}

/// The code of an error, or "ok".
template <class T>
[[nodiscard]] std::string code_of(const Result<T>& result) {
  return result ? "ok" : std::string(result.error().code);
}

[[nodiscard]] std::string percent_encode(std::string_view text);

/// A form of an Alipay message: change fields at will, then sign. Signs what a platform would.
struct AlipayMessage {
  std::map<std::string, std::string> fields;

  /// A payment of 88.88 yuan for order T1001.
  [[nodiscard]] static AlipayMessage paid();
  AlipayMessage& set(const std::string& name, std::string value);
  AlipayMessage& remove(const std::string& name);
  AlipayMessage& sign(const crypto::PrivateKey& key = platform_key(),
                      crypto::SignatureScheme scheme = crypto::SignatureScheme::kRsaSha256);
  [[nodiscard]] std::string body() const;
  [[nodiscard]] HttpRequest request() const;
};

[[nodiscard]] HttpRequest form_request(std::string body);

/// A WeChat Pay v3 message: change the plaintext, envelope or headers, then ask for the request.
struct WechatpayV3Message {
  std::string api_v3_key = "0123456789abcdefABCDEFGHIJKLMNOP";
  std::string event_type = "TRANSACTION.SUCCESS";
  std::string plaintext;
  std::string resource_nonce = "fdasflkja484";
  std::string associated_data = "transaction";
  std::string algorithm = "AEAD_AES_256_GCM";
  std::string original_type = "transaction";
  std::string timestamp = "1767578408";
  std::string nonce = "d8d2c0f7a9b14e0f";
  std::string serial = "PUB_KEY_ID_0100000000000000000000000000000001";
  std::vector<std::pair<std::string, std::string>> more_headers;

  /// A payment of 8888 fen for order T1001, by a direct merchant.
  [[nodiscard]] static WechatpayV3Message paid();
  [[nodiscard]] static WechatpayV3Message refunded();
  [[nodiscard]] static WechatpayV3Message combined();
  /// Replaces the first `from` in the plaintext, which must be there.
  WechatpayV3Message& replace(std::string_view from, std::string_view to);
  [[nodiscard]] std::string body() const;
  [[nodiscard]] HttpRequest request(const crypto::PrivateKey& key = platform_key()) const;
  /// A request with `body` in place of the sealed one, signed over `signed_body`.
  [[nodiscard]] HttpRequest request_with(std::string_view body, std::string_view signed_body,
                                         const crypto::PrivateKey& key = platform_key()) const;
};

/// A WeChat Pay v2 message.
struct WechatpayV2Message {
  std::vector<std::pair<std::string, std::string>> fields;
  std::string api_key = "8934e7d15453e97507ef794cf7b0519d";

  /// A payment of 8888 fen for order T1001.
  [[nodiscard]] static WechatpayV2Message paid();
  /// A refund notice of 2000 fen for order T1001; `refund_status` as given.
  [[nodiscard]] static WechatpayV2Message refund(std::string_view refund_status = "SUCCESS");
  WechatpayV2Message& set(std::string_view name, std::string value);
  WechatpayV2Message& remove(std::string_view name);
  WechatpayV2Message& sign(WechatpayV2SignType type = WechatpayV2SignType::kHmacSha256);
  [[nodiscard]] std::string body() const;
  [[nodiscard]] HttpRequest request() const;
};

[[nodiscard]] HttpRequest xml_request(std::string body);

}  // namespace postern::channel
