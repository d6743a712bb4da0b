// Alipay asynchronous notifications: POST application/x-www-form-urlencoded.
//
//   notify_id=...&notify_type=trade_status_sync&app_id=...&out_trade_no=...&trade_no=...
//   &trade_status=TRADE_SUCCESS&total_amount=88.88&...&charset=utf-8&sign_type=RSA2&sign=<base64>
//
// The values are percent-encoded in the message's own character set (UTF-8 or GBK). The signature
// covers the decoded bytes in that set, so verification comes before transcoding. There is no
// freshness window: resends carry the same notify_id for a day, so replays are harmless only
// because facts are kept under unique keys.
#include "channel/alipay.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "channel/alipay_explain.h"
#include "channel/alipay_facts.h"
#include "channel/alipay_settings.h"
#include "channel/alipay_signature.h"
#include "channel/charset.h"
#include "channel/form.h"
#include "channel/request.h"
#include "channel/statement.h"
#include "crypto/encoding.h"

namespace postern::channel {
namespace {

constexpr std::string_view kTradeMessage = "trade_status_sync";
/// Base64 of a signature by an RSA-4096 key; longer ones are refused before any work.
constexpr std::size_t kSignatureTextBytesMax = 684;

class AlipayChannel final : public Channel {
 public:
  explicit AlipayChannel(AlipaySettings settings) : settings_(std::move(settings)) {
    acks_.accepted.body = "success";
    acks_.refused.code = 400;
    acks_.retry_later.code = 503;
    acks_.refused.body = acks_.retry_later.body = "fail";
    acks_.accepted.content_type = acks_.refused.content_type = acks_.retry_later.content_type =
        "text/plain";
  }

  [[nodiscard]] Result<VerifiedCallback> verify(const HttpRequest& request,
                                                TimePoint now) const override {
    POSTERN_RETURN_IF_ERROR(
        check_content_type(request.headers, {"application/x-www-form-urlencoded"}));
    POSTERN_ASSIGN_OR_RETURN(Fields fields, parse_form(request.body));
    POSTERN_RETURN_IF_ERROR(check_is_callback(fields));
    const std::string_view charset_name = fields.text("charset");
    POSTERN_ASSIGN_OR_RETURN(const Charset charset,
                             parse_charset(charset_name.empty() ? "utf-8" : charset_name));
    POSTERN_ASSIGN_OR_RETURN(const AlipayAlgorithm algorithm, algorithm_of(fields));
    POSTERN_ASSIGN_OR_RETURN(const std::string signature, signature_of(fields));
    POSTERN_ASSIGN_OR_RETURN(const std::vector<AlipaySigner> signers,
                             alipay_signers(settings_, fields.find("alipay_cert_sn"), now));
    POSTERN_ASSIGN_OR_RETURN(const AlipayMatch match,
                             verify_alipay_form(fields, scheme_of(algorithm), signature, signers));
    POSTERN_ASSIGN_OR_RETURN(Fields content, transcode(charset, std::move(fields)));
    POSTERN_RETURN_IF_ERROR(check_identity(content));
    return attest({.key_id = std::string(match.signer_id),
                   .scheme = std::string(name_of(algorithm)).append("/").append(name(match.cover)),
                   .message_id = std::string(content.text("notify_id")),
                   .event_type = std::string(content.text("notify_type")),
                   .trust = Trust::kSigned,
                   .received_at = now,
                   .content = std::move(content)});
  }

  [[nodiscard]] Result<Statement> adapt(const VerifiedCallback& callback) const override {
    const auto* fields = std::get_if<Fields>(&callback.content());
    if (fields == nullptr) return body_malformed("this is not an Alipay message");
    const std::string_view sub_merchant =
        is_for_sub_merchant(*fields) ? fields->text("seller_id") : std::string_view();
    return alipay_statement(*fields, settings_.account, sub_merchant, callback.received_at());
  }

  [[nodiscard]] const HttpResponse& ack(Ack ack) const override { return acks_.of(ack); }

  [[nodiscard]] Explanation explain(const Question& question) const override {
    return explain_alipay(question, settings_,
                          [](AlipaySettings settings) -> std::unique_ptr<Channel> {
                            return std::make_unique<AlipayChannel>(std::move(settings));
                          });
  }

  [[nodiscard]] Belongings belongings() const override { return belongings_of(settings_); }

  [[nodiscard]] Result<std::unique_ptr<Channel>> with_key(
      const CandidateKey& candidate) const override {
    POSTERN_ASSIGN_OR_RETURN(AlipaySettings settings, with_candidate(settings_, candidate));
    return std::make_unique<AlipayChannel>(std::move(settings));
  }

  [[nodiscard]] std::string_view channel_name() const override { return "alipay"; }

 private:
  /// A return of the buyer's browser is signed alike, but has neither id nor type.
  [[nodiscard]] static Result<void> check_is_callback(const Fields& fields) {
    if (!is_id_text(fields.text("notify_id")) || !is_id_text(fields.text("notify_type"))) {
      return body_malformed("notify_id or notify_type is missing: not a notification");
    }
    return {};
  }

  [[nodiscard]] static std::string_view name_of(AlipayAlgorithm algorithm) {
    return algorithm == AlipayAlgorithm::kRsa2 ? "RSA2" : "RSA";
  }

  [[nodiscard]] static crypto::SignatureScheme scheme_of(AlipayAlgorithm algorithm) {
    return algorithm == AlipayAlgorithm::kRsa2 ? crypto::SignatureScheme::kRsaSha256
                                               : crypto::SignatureScheme::kRsaSha1;
  }

  [[nodiscard]] bool is_allowed(AlipayAlgorithm algorithm) const {
    return std::ranges::find(settings_.algorithms, algorithm) != settings_.algorithms.end();
  }

  /// The message may only name one of the configured algorithms, never bring in another.
  [[nodiscard]] Result<AlipayAlgorithm> algorithm_of(const Fields& fields) const {
    const std::optional<std::string_view> named = fields.find("sign_type");
    AlipayAlgorithm algorithm =
        is_allowed(AlipayAlgorithm::kRsa2) ? AlipayAlgorithm::kRsa2 : AlipayAlgorithm::kRsa;
    if (named == "RSA2") algorithm = AlipayAlgorithm::kRsa2;
    if (named == "RSA") algorithm = AlipayAlgorithm::kRsa;
    if ((named && *named != name_of(algorithm)) || !is_allowed(algorithm)) {
      return rejected("algorithm_not_allowed", "the account's `algorithms` do not list sign_type");
    }
    return algorithm;
  }

  [[nodiscard]] static Result<std::string> signature_of(const Fields& fields) {
    const std::string_view text = fields.text("sign");
    if (text.empty()) return rejected("signature_missing");
    if (text.size() > kSignatureTextBytesMax) return rejected("signature_malformed");
    Result<std::string> signature = crypto::base64_decode(text);
    if (!signature) {
      return rejected("signature_malformed", "sign is not base64; was '+' sent unescaped?");
    }
    return signature;
  }

  [[nodiscard]] static Result<Fields> transcode(Charset charset, Fields fields) {
    if (charset == Charset::kUtf8) {
      const bool ok = std::ranges::all_of(fields.pairs(), [](const Fields::Pair& field) {
        return is_utf8(field.first) && is_utf8(field.second);
      });
      if (!ok) return rejected("text_malformed", "the text is not in the charset it names");
      return fields;
    }
    Fields result;
    for (const Fields::Pair& field : fields.pairs()) {
      POSTERN_ASSIGN_OR_RETURN(const std::string name, to_utf8(charset, std::string(field.first)));
      POSTERN_ASSIGN_OR_RETURN(const std::string value,
                               to_utf8(charset, std::string(field.second)));
      POSTERN_RETURN_IF_ERROR(result.add(name, value));
    }
    return result;
  }

  /// Whether the message is about a merchant we act for as a service provider.
  [[nodiscard]] bool is_for_sub_merchant(const Fields& fields) const {
    const auto sellers = settings_.sellers.find(fields.text("auth_app_id"));
    return sellers != settings_.sellers.end() && sellers->second.contains(fields.text("seller_id"));
  }

  [[nodiscard]] Result<void> check_identity(const Fields& fields) const {
    if (fields.text("app_id") != settings_.app_id) {
      return rejected("app_mismatch", "app_id is not this account's");
    }
    const std::optional<std::string_view> seller_id = fields.find("seller_id");
    // Only messages about trades must name a seller; service messages often name none.
    if (fields.text("notify_type") != kTradeMessage && !seller_id) return {};
    if (is_for_sub_merchant(fields)) return {};
    const std::string_view auth_app_id = fields.text("auth_app_id");
    const bool own_app = auth_app_id.empty() || auth_app_id == settings_.app_id;
    if (!settings_.seller_id.empty() && own_app) {
      if (seller_id == settings_.seller_id) return {};
      return rejected("seller_mismatch", "seller_id is not this account's");
    }
    if (settings_.sellers.contains(auth_app_id)) {
      return rejected("seller_mismatch", "seller_id is not that merchant's");
    }
    return rejected("sub_merchant_mismatch", "auth_app_id is not in `sellers`");
  }

  const AlipaySettings settings_;
  Acks acks_;
};

}  // namespace

Result<std::unique_ptr<Channel>> make_alipay(Settings& settings) {
  POSTERN_ASSIGN_OR_RETURN(AlipaySettings read, read_alipay_settings(settings));
  return std::make_unique<AlipayChannel>(std::move(read));
}

}  // namespace postern::channel
