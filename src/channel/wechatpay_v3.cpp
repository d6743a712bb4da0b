// WeChat Pay APIv3 callbacks: POST application/json.
//
//   Wechatpay-Timestamp: 1767578408            Wechatpay-Nonce: d8d2c0f7a9b14e0f
//   Wechatpay-Serial: PUB_KEY_ID_... or hex    Wechatpay-Signature: <base64>
//   {"id":"...","create_time":"...","event_type":"TRANSACTION.SUCCESS","resource_type":
//    "encrypt-resource","resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM",
//    "ciphertext":"...","associated_data":"transaction","nonce":"..."}}
//
// The signature covers the body's bytes, so nothing reads the body before it holds.
#include "channel/wechatpay_v3.h"

#include <string>
#include <utility>

#include "channel/json.h"
#include "channel/request.h"
#include "channel/statement.h"
#include "channel/wechatpay_v3_api.h"
#include "channel/wechatpay_v3_explain.h"
#include "channel/wechatpay_v3_facts.h"
#include "channel/wechatpay_v3_identity.h"
#include "channel/wechatpay_v3_settings.h"

namespace postern::channel {
namespace {

namespace json = boost::json;

constexpr std::string_view kScheme = "WECHATPAY2-SHA256-RSA2048";

class WechatpayV3Channel final : public Channel {
 public:
  explicit WechatpayV3Channel(WechatpayV3Settings settings) : settings_(std::move(settings)) {
    acks_.accepted.code = 204;
    acks_.refused.code = 401;
    acks_.retry_later.code = 503;
    acks_.refused.content_type = acks_.retry_later.content_type = "application/json";
    acks_.refused.body = acks_.retry_later.body = R"({"code":"FAIL","message":"失败"})";
  }

  [[nodiscard]] Result<VerifiedCallback> verify(const HttpRequest& request,
                                                TimePoint now) const override {
    POSTERN_RETURN_IF_ERROR(check_content_type(request.headers, {"application/json"}));
    POSTERN_ASSIGN_OR_RETURN(const WechatpayV3Key* key, verify_signature(request, now));
    POSTERN_ASSIGN_OR_RETURN(json::object envelope, parse_json_object(request.body));
    const std::string_view id = json_text(envelope, "id");
    const std::string_view event_type = json_text(envelope, "event_type");
    json::value* found = envelope.if_contains("resource");
    if (found == nullptr || !found->is_object() || !is_id_text(id) || !is_id_text(event_type) ||
        json_text(envelope, "resource_type") != "encrypt-resource") {
      return body_malformed("the envelope lacks id, event_type or an encrypted resource");
    }
    json::object& resource = found->get_object();
    POSTERN_ASSIGN_OR_RETURN(const WechatpayV3Opened opened,
                             open_wechatpay_v3_resource(resource, settings_.api_v3_keys.texts));
    if (!settings_.api_v3_keys.windows[opened.key_index].holds(now)) {
      return rejected("decryption_failed", "the API v3 key that opens it does not count now");
    }
    POSTERN_ASSIGN_OR_RETURN(json::object plaintext, parse_json_object(opened.plaintext));
    POSTERN_RETURN_IF_ERROR(identify_wechatpay_v3(plaintext, event_type,
                                                  json_text(resource, "original_type"), settings_));
    Proof proof{.key_id = key->id,
                .scheme = std::string(kScheme),
                .message_id = std::string(id),
                .event_type = std::string(event_type),
                .trust = Trust::kSigned,
                .received_at = now,
                .content = {}};
    resource.erase("ciphertext");
    resource["plaintext"] = std::move(plaintext);
    proof.content = std::move(envelope);
    return attest(std::move(proof));
  }

  [[nodiscard]] Result<Statement> adapt(const VerifiedCallback& callback) const override {
    return wechatpay_v3_statement(callback, settings_);
  }

  [[nodiscard]] const HttpResponse& ack(Ack ack) const override { return acks_.of(ack); }

  [[nodiscard]] Explanation explain(const Question& question) const override {
    return explain_wechatpay_v3(question, settings_,
                                [](WechatpayV3Settings settings) -> std::unique_ptr<Channel> {
                                  return std::make_unique<WechatpayV3Channel>(std::move(settings));
                                });
  }

  [[nodiscard]] Belongings belongings() const override { return belongings_of(settings_); }

  [[nodiscard]] Result<std::unique_ptr<Channel>> with_key(
      const CandidateKey& candidate) const override {
    POSTERN_ASSIGN_OR_RETURN(WechatpayV3Settings settings, with_candidate(settings_, candidate));
    return std::make_unique<WechatpayV3Channel>(std::move(settings));
  }

  [[nodiscard]] std::string_view channel_name() const override { return "wechatpay-v3"; }

 private:
  /// Verifies headers and body, and returns the key that signed.
  [[nodiscard]] Result<const WechatpayV3Key*> verify_signature(const HttpRequest& request,
                                                               TimePoint now) const {
    const Headers& headers = request.headers;
    POSTERN_ASSIGN_OR_RETURN(const std::string_view signature,
                             required_header(headers, "Wechatpay-Signature"));
    if (is_wechatpay_v3_probe(signature)) {
      return rejected("probe", "WeChat Pay checks that wrong signatures are refused");
    }
    POSTERN_ASSIGN_OR_RETURN(const std::string_view timestamp,
                             required_header(headers, "Wechatpay-Timestamp"));
    POSTERN_ASSIGN_OR_RETURN(const std::string_view nonce,
                             required_header(headers, "Wechatpay-Nonce"));
    POSTERN_ASSIGN_OR_RETURN(const std::string_view serial,
                             required_header(headers, "Wechatpay-Serial"));
    POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string_view> scheme,
                             optional_header(headers, "Wechatpay-Signature-Type"));
    if (scheme && *scheme != kScheme) {
      return rejected("algorithm_not_allowed", "Wechatpay-Signature-Type is another scheme");
    }
    const WechatpayV3Signed message{timestamp, nonce, signature, request.body};
    POSTERN_RETURN_IF_ERROR(check_wechatpay_v3_timestamp(timestamp, now));
    POSTERN_ASSIGN_OR_RETURN(const WechatpayV3Key* key,
                             find_wechatpay_v3_key(settings_.platform_keys, serial, now));
    POSTERN_RETURN_IF_ERROR(verify_wechatpay_v3_signature(message, key->key));
    return key;
  }

  const WechatpayV3Settings settings_;
  Acks acks_;
};

}  // namespace

Result<std::unique_ptr<Channel>> make_wechatpay_v3(Settings& settings) {
  POSTERN_ASSIGN_OR_RETURN(WechatpayV3Settings read, read_wechatpay_v3_settings(settings));
  return std::make_unique<WechatpayV3Channel>(std::move(read));
}

}  // namespace postern::channel
