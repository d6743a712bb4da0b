// WeChat Pay v2 notices: POST text/xml, flat.
//
//   <xml><return_code><![CDATA[SUCCESS]]></return_code><result_code>...</result_code><appid>...
//   <mch_id>...<out_trade_no>...<transaction_id>...<total_fee>8888</total_fee>...<sign>...</xml>
//
// A refund notice has no sign but req_info: an encrypted <root>...</root> with the refund's fields.
// With return_code other than SUCCESS nothing is signed, so nothing is believed.
#include "channel/wechatpay_v2.h"

#include <string>
#include <utility>
#include <vector>

#include "channel/account_settings.h"
#include "channel/request.h"
#include "channel/statement.h"
#include "channel/wechatpay_v2_explain.h"
#include "channel/wechatpay_v2_facts.h"
#include "channel/wechatpay_v2_settings.h"
#include "channel/wechatpay_v2_signature.h"
#include "channel/xml.h"

namespace postern::channel {
namespace {

[[nodiscard]] HttpResponse reply(unsigned code, std::string_view return_code,
                                 std::string_view return_msg) {
  HttpResponse response;
  response.code = code;
  response.content_type = "text/xml";
  response.body.append("<xml><return_code><![CDATA[").append(return_code);
  response.body.append("]]></return_code><return_msg><![CDATA[").append(return_msg);
  response.body.append("]]></return_msg></xml>");
  return response;
}

class WechatpayV2Channel final : public Channel {
 public:
  explicit WechatpayV2Channel(WechatpayV2Settings settings)
      : settings_(std::move(settings)),
        acks_{.accepted = reply(200, "SUCCESS", "OK"),
              .refused = reply(400, "FAIL", "ERROR"),
              .retry_later = reply(503, "FAIL", "ERROR")} {}

  [[nodiscard]] Result<VerifiedCallback> verify(const HttpRequest& request,
                                                TimePoint now) const override {
    POSTERN_RETURN_IF_ERROR(check_content_type(request.headers, {"text/xml", "application/xml"}));
    POSTERN_ASSIGN_OR_RETURN(Fields fields, parse_flat_xml(request.body, "xml"));
    if (fields.text("return_code") != "SUCCESS") {
      return rejected("signature_missing", "return_code is not SUCCESS, so nothing is signed");
    }
    return fields.text("req_info").empty() ? verify_payment(std::move(fields), now)
                                           : open_refund(fields, now);
  }

  [[nodiscard]] Result<Statement> adapt(const VerifiedCallback& callback) const override {
    return wechatpay_v2_statement(callback, settings_.account, settings_.merchants);
  }

  [[nodiscard]] const HttpResponse& ack(Ack ack) const override { return acks_.of(ack); }

  [[nodiscard]] Explanation explain(const Question& question) const override {
    return explain_wechatpay_v2(question, settings_,
                                [](WechatpayV2Settings settings) -> std::unique_ptr<Channel> {
                                  return std::make_unique<WechatpayV2Channel>(std::move(settings));
                                });
  }

  [[nodiscard]] Belongings belongings() const override { return belongings_of(settings_); }

  [[nodiscard]] Result<std::unique_ptr<Channel>> with_key(
      const CandidateKey& candidate) const override {
    POSTERN_ASSIGN_OR_RETURN(WechatpayV2Settings settings, with_candidate(settings_, candidate));
    return std::make_unique<WechatpayV2Channel>(std::move(settings));
  }

  [[nodiscard]] std::string_view channel_name() const override { return "wechatpay-v2"; }

 private:
  [[nodiscard]] Result<VerifiedCallback> verify_payment(Fields fields, TimePoint now) const {
    POSTERN_ASSIGN_OR_RETURN(
        const WechatpayV2Match match,
        verify_wechatpay_v2(fields, settings_.api_keys.texts, settings_.sign_types));
    if (!settings_.api_keys.windows[match.key_index].holds(now)) {
      return rejected("signature_not_verified", "the API key that signed this does not count now");
    }
    POSTERN_RETURN_IF_ERROR(check_identity(fields));
    return attest({.key_id = settings_.key_ids[match.key_index],
                   .scheme = std::string(name(match.type)),
                   .message_id = {},
                   .event_type = {},
                   .trust = Trust::kSigned,
                   .received_at = now,
                   .content = std::move(fields)});
  }

  [[nodiscard]] Result<VerifiedCallback> open_refund(const Fields& outer, TimePoint now) const {
    // With a wrong key the padding is right once in 256 times, so a key counts as the right one
    // only if what it opens can be read.
    Result<Fields> opened = rejected("decryption_failed", "no API key opens req_info");
    std::size_t key_index = 0;
    for (; key_index < settings_.api_keys.texts.size(); ++key_index) {
      const Result<std::string> plaintext =
          decrypt_wechatpay_v2_refund(outer.text("req_info"), settings_.api_keys.texts[key_index]);
      if (!plaintext) continue;
      opened = parse_flat_xml(*plaintext, "root");
      if (opened) break;
    }
    if (!opened) return rejected("decryption_failed", "no API key opens req_info");
    if (!settings_.api_keys.windows[key_index].holds(now)) {
      return rejected("decryption_failed", "the API key that opens req_info does not count now");
    }
    for (const Fields::Pair& field : outer.pairs()) {
      if (field.first == "req_info") continue;
      POSTERN_RETURN_IF_ERROR(opened->add(field.first, field.second));
    }
    POSTERN_RETURN_IF_ERROR(check_identity(*opened));
    return attest({.key_id = settings_.key_ids[key_index],
                   .scheme = "AES-256-ECB",
                   .message_id = {},
                   .event_type = {},
                   .trust = Trust::kEncrypted,
                   .received_at = now,
                   .content = std::move(*opened)});
  }

  [[nodiscard]] Result<void> check_identity(const Fields& fields) const {
    const bool combined = is_combined_v2(fields);
    if (fields.text(combined ? "combine_mch_id" : "mch_id") != settings_.merchants.own) {
      return rejected("merchant_mismatch", "mch_id is not this account's");
    }
    if (!holds(settings_.app_ids, fields.text(combined ? "combine_appid" : "appid"))) {
      return rejected("app_mismatch", "appid is not in `app_ids`");
    }
    if (combined) return check_combined_v2(fields, settings_.merchants);
    POSTERN_RETURN_IF_ERROR(sub_merchant_of(settings_.merchants, fields.text("sub_mch_id")));
    return {};
  }

  const WechatpayV2Settings settings_;
  const Acks acks_;
};

}  // namespace

Result<std::unique_ptr<Channel>> make_wechatpay_v2(Settings& settings) {
  POSTERN_ASSIGN_OR_RETURN(WechatpayV2Settings read, read_wechatpay_v2_settings(settings));
  return std::make_unique<WechatpayV2Channel>(std::move(read));
}

}  // namespace postern::channel
