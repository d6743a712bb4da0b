// Builds messages as the platforms send them, for tests to sign, bend and break.
#include "tests/channel/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "channel/alipay_signature.h"
#include "crypto/cipher.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"

namespace postern::channel {
namespace {

[[nodiscard]] std::string xml_of(std::string_view root,
                                 const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string text = fmt::format("<{}>", root);
  for (const auto& [name, value] : fields) {
    text += fmt::format("<{0}><![CDATA[{1}]]></{0}>", name, value);
  }
  return text + fmt::format("</{}>", root);
}

}  // namespace

const crypto::PrivateKey& platform_key() {
  static const crypto::PrivateKey key = must(crypto::PrivateKey::generate());
  return key;
}

const crypto::PrivateKey& next_platform_key() {
  static const crypto::PrivateKey key = must(crypto::PrivateKey::generate());
  return key;
}

const crypto::PrivateKey& attacker_key() {
  static const crypto::PrivateKey key = must(crypto::PrivateKey::generate());
  return key;
}

TimePoint test_now() {
  return TimePoint(std::chrono::seconds(1767578410));
}

std::string percent_encode(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (plain) {
      result.push_back(c);
    } else if (c == ' ') {
      result.push_back('+');
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return result;
}

AlipayMessage AlipayMessage::paid() {
  return {{{"app_id", "2021000000000001"},
           {"auth_app_id", "2021000000000001"},
           {"buyer_id", "2088102117412345"},
           {"charset", "utf-8"},
           {"gmt_create", "2026-01-05 10:00:00"},
           {"gmt_payment", "2026-01-05 10:00:07"},
           {"notify_id", "2026010500222100008061041447123456"},
           {"notify_time", "2026-01-05 10:00:08"},
           {"notify_type", "trade_status_sync"},
           {"out_trade_no", "T1001"},
           {"seller_id", "2088101122136241"},
           {"subject", "Annual plan"},
           {"total_amount", "88.88"},
           {"trade_no", "2026010522001412341000123456"},
           {"trade_status", "TRADE_SUCCESS"},
           {"version", "1.0"},
           {"sign_type", "RSA2"}}};
}

AlipayMessage& AlipayMessage::set(const std::string& name, std::string value) {
  fields[name] = std::move(value);
  return *this;
}

AlipayMessage& AlipayMessage::remove(const std::string& name) {
  fields.erase(name);
  return *this;
}

AlipayMessage& AlipayMessage::sign(const crypto::PrivateKey& key, crypto::SignatureScheme scheme) {
  Fields covered;
  for (const auto& [name, value] : fields) (void)covered.add(name, value);
  const std::string text = alipay_signing_text(covered, AlipayCover::kA);
  fields["sign"] = crypto::base64_encode(must(key.sign(scheme, text)));
  return *this;
}

std::string AlipayMessage::body() const {
  std::string text;
  for (const auto& [name, value] : fields) {
    if (!text.empty()) text.push_back('&');
    text += percent_encode(name) + "=" + percent_encode(value);
  }
  return text;
}

HttpRequest AlipayMessage::request() const {
  return form_request(body());
}

HttpRequest form_request(std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.target = "/payment/alipay/callback";
  request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  request.body = std::move(body);
  return request;
}

WechatpayV3Message WechatpayV3Message::paid() {
  WechatpayV3Message message;
  message.plaintext =
      R"({"appid":"wxd678efh567hg6787","mchid":"1900000109","out_trade_no":"T1001",)"
      R"("transaction_id":"4200002026010512345678901234","trade_type":"JSAPI",)"
      R"("trade_state":"SUCCESS","success_time":"2026-01-05T10:00:07+08:00",)"
      R"("payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},)"
      R"("amount":{"total":8888,"payer_total":8788,"currency":"CNY"}})";
  return message;
}

WechatpayV3Message WechatpayV3Message::refunded() {
  WechatpayV3Message message;
  message.event_type = "REFUND.SUCCESS";
  message.original_type = "refund";
  message.associated_data = "refund";
  message.plaintext =
      R"({"mchid":"1900000109","out_trade_no":"T1001",)"
      R"("transaction_id":"4200002026010512345678901234","out_refund_no":"RF1",)"
      R"("refund_id":"50300002026010612345678901","refund_status":"SUCCESS",)"
      R"("success_time":"2026-01-06T09:00:00+08:00",)"
      R"("amount":{"total":8888,"refund":2000,"payer_total":8788,"payer_refund":1977}})";
  return message;
}

WechatpayV3Message WechatpayV3Message::combined() {
  WechatpayV3Message message;
  message.plaintext = R"({"combine_appid":"wxd678efh567hg6787","combine_mchid":"1900000109",)"
                      R"("combine_out_trade_no":"C1","sub_orders":[)"
                      R"({"mchid":"1900000109","trade_state":"SUCCESS","out_trade_no":"SUB-1",)"
                      R"("transaction_id":"T1","success_time":"2026-01-05T10:00:07+08:00",)"
                      R"("amount":{"total_amount":1000,"currency":"CNY","payer_amount":900}},)"
                      R"({"mchid":"1900000110","trade_state":"SUCCESS","out_trade_no":"SUB-2",)"
                      R"("transaction_id":"T2","success_time":"2026-01-05T10:00:07+08:00",)"
                      R"("amount":{"total_amount":2000,"currency":"CNY","payer_amount":2000}}]})";
  return message;
}

WechatpayV3Message& WechatpayV3Message::replace(std::string_view from, std::string_view to) {
  const std::size_t place = plaintext.find(from);
  if (place == std::string::npos) throw std::runtime_error("nothing to replace");
  plaintext.replace(place, from.size(), to);
  return *this;
}

std::string WechatpayV3Message::body() const {
  const std::string sealed = must(
      crypto::aes_256_gcm_seal(Secret(api_v3_key), resource_nonce, associated_data, plaintext));
  return fmt::format(
      R"({{"id":"a1f5b3c2-0000-5000-8000-000000000001","create_time":"2026-01-05T10:00:08+08:00",)"
      R"("resource_type":"encrypt-resource","event_type":"{}","summary":"s","resource":)"
      R"({{"original_type":"{}","algorithm":"{}","ciphertext":"{}","associated_data":"{}",)"
      R"("nonce":"{}"}}}})",
      event_type, original_type, algorithm, crypto::base64_encode(sealed), associated_data,
      resource_nonce);
}

HttpRequest WechatpayV3Message::request(const crypto::PrivateKey& key) const {
  const std::string text = body();
  return request_with(text, text, key);
}

HttpRequest WechatpayV3Message::request_with(std::string_view body, std::string_view signed_body,
                                             const crypto::PrivateKey& key) const {
  const std::string text = fmt::format("{}\n{}\n{}\n", timestamp, nonce, signed_body);
  HttpRequest request;
  request.method = "POST";
  request.target = "/payment/wechat/callback";
  request.headers.add("Content-Type", "application/json");
  request.headers.add("Wechatpay-Timestamp", timestamp);
  request.headers.add("Wechatpay-Nonce", nonce);
  request.headers.add("Wechatpay-Serial", serial);
  request.headers.add(
      "Wechatpay-Signature",
      crypto::base64_encode(must(key.sign(crypto::SignatureScheme::kRsaSha256, text))));
  for (const auto& [name, value] : more_headers) request.headers.add(name, value);
  request.body = body;
  return request;
}

WechatpayV2Message WechatpayV2Message::paid() {
  return {{{"appid", "wx2421b1c4370ec43b"},
           {"attach", "x"},
           {"bank_type", "CFT"},
           {"cash_fee", "8788"},
           {"coupon_fee", "100"},
           {"device_info", ""},
           {"fee_type", "CNY"},
           {"mch_id", "10000100"},
           {"nonce_str", "5d2b6c2a8db53831f7eda20af46e531c"},
           {"out_trade_no", "T1001"},
           {"result_code", "SUCCESS"},
           {"return_code", "SUCCESS"},
           {"time_end", "20260105100007"},
           {"total_fee", "8888"},
           {"transaction_id", "1004400740201409030005092168"}}};
}

WechatpayV2Message WechatpayV2Message::refund(std::string_view refund_status) {
  const std::string plaintext = xml_of("root", {{"out_trade_no", "T1001"},
                                                {"transaction_id", "1004400740201409030005092168"},
                                                {"refund_id", "50000408942018111907145868882"},
                                                {"out_refund_no", "RF1"},
                                                {"total_fee", "8888"},
                                                {"refund_fee", "2000"},
                                                {"refund_status", std::string(refund_status)},
                                                {"success_time", "2026-01-06 09:00:00"}});
  WechatpayV2Message message{{{"return_code", "SUCCESS"},
                              {"appid", "wx2421b1c4370ec43b"},
                              {"mch_id", "10000100"},
                              {"nonce_str", "TeqClE3i0mvn3DrK"}}};
  const Secret key(
      crypto::hex_encode(crypto::digest(crypto::DigestAlgorithm::kMd5, message.api_key)));
  message.set("req_info", crypto::base64_encode(must(crypto::aes_256_ecb_encrypt(key, plaintext))));
  return message;
}

WechatpayV2Message& WechatpayV2Message::set(std::string_view name, std::string value) {
  const auto found = std::ranges::find(fields, name, &std::pair<std::string, std::string>::first);
  if (found == fields.end()) {
    fields.emplace_back(name, std::move(value));
  } else {
    found->second = std::move(value);
  }
  return *this;
}

WechatpayV2Message& WechatpayV2Message::remove(std::string_view name) {
  std::erase_if(fields, [&](const auto& field) { return field.first == name; });
  return *this;
}

WechatpayV2Message& WechatpayV2Message::sign(WechatpayV2SignType type) {
  Fields covered;
  for (const auto& [name, value] : fields) (void)covered.add(name, value);
  return set("sign", must(sign_wechatpay_v2(covered, type, Secret(api_key))));
}

std::string WechatpayV2Message::body() const {
  return xml_of("xml", fields);
}

HttpRequest WechatpayV2Message::request() const {
  return xml_request(body());
}

HttpRequest xml_request(std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.target = "/payment/wechat-v2/callback";
  request.headers.add("Content-Type", "text/xml");
  request.body = std::move(body);
  return request;
}

}  // namespace postern::channel
