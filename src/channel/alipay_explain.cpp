// Why an Alipay callback was refused. The signature tells most: RSA gives back which key made it
// and under which digest, so a wrong key, RSA in place of RSA2 and a changed form are told apart
// for certain. A changed form is put back mistake by mistake, and each result is verified.
#include "channel/alipay_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/value.hpp>

#include "channel/alipay_signature.h"
#include "channel/charset.h"
#include "channel/form.h"
#include "channel/json.h"
#include "channel/pairs.h"
#include "channel/trial.h"

namespace postern::channel {
namespace {

/// What Alipay sends; what is shown comes first, what may tell who paid after it.
constexpr std::array<std::string_view, 72> kNames = {
    "app_id", "auth_app_id", "charset", "version", "sign_type", "notify_time", "notify_type",
    "notify_id", "trade_no", "out_trade_no", "out_biz_no", "out_request_no", "seller_id",
    "trade_status", "total_amount", "receipt_amount", "invoice_amount", "buyer_pay_amount",
    "point_amount", "refund_fee", "gmt_create", "gmt_payment", "gmt_refund", "gmt_close",
    "send_back_fee", "refund_status", "alipay_cert_sn", "trans_currency", "pay_currency",
    "settle_currency", "settle_trans_rate", "trans_pay_rate", "settle_amount", "pay_amount",
    "mdiscount_amount", "discount_amount", "dback_status", "dback_amount", "hb_fq_num",
    "charge_amount", "charge_flags", "settlement_id", "method", "timestamp", "msg_method", "msg_id",
    "utc_timestamp", "notify_action_type", "merchant_order_no", "agreement_no",
    "external_agreement_no", "enterprise_pay_info", "biz_settle_mode",
    // Not shown:
    "sign", "subject", "body", "passback_params", "extra_common_param", "fund_bill_list",
    "voucher_detail_list", "buyer_id", "buyer_open_id", "buyer_logon_id", "buyer_email",
    "seller_email", "buyer_user_id", "receipt_currency_type", "biz_content", "extend_params",
    "store_id", "terminal_id", "operator_id"};
constexpr std::span<const std::string_view> kPlain = std::span(kNames).first(53);

constexpr auto kConstants = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"version", "1.0"},
    {"charset", "utf-8"},
    {"charset", "UTF-8"},
    {"charset", "GBK"},
    {"charset", "gbk"},
    {"sign_type", "RSA2"},
    {"sign_type", "RSA"},
});

constexpr std::array<std::string_view, 2> kNotSigned = {"sign", "sign_type"};
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";
/// App ids of Alipay's sandbox begin so.
constexpr std::string_view kSandboxApp = "9021";

/// Fields of a form with a name given twice: the first of each.
[[nodiscard]] Pairs first_of_each(std::string_view body) {
  Pairs pairs;
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(piece.size() + 1, body.size()));
    const Result<Fields> one = parse_form(piece);
    if (!one || one->pairs().empty()) continue;
    const std::string name(one->pairs().front().first);
    const bool is_known = std::ranges::find(pairs, name, &Pairs::value_type::first) != pairs.end();
    if (!is_known) pairs.emplace_back(name, one->pairs().front().second);
  }
  return pairs;
}

/// Fields of a form that was decoded before it came: a '&' counts only in front of a name of
/// Alipay's, since values may hold it too.
[[nodiscard]] Pairs undecoded(std::string_view body) {
  Pairs pairs;
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(piece.size() + 1, body.size()));
    const std::string_view name = piece.substr(0, piece.find('='));
    if (name.size() < piece.size() && std::ranges::find(kNames, name) != kNames.end()) {
      pairs.emplace_back(name, piece.substr(name.size() + 1));
    } else if (!pairs.empty()) {
      pairs.back().second.append("&").append(piece);
    }
  }
  return pairs;
}

[[nodiscard]] Pairs from_json(std::string_view body) {
  Pairs pairs;
  const Result<boost::json::object> object = parse_json_object(body);
  if (!object) return pairs;
  for (const auto& member : *object) {
    if (member.value().is_string()) {
      pairs.emplace_back(member.key(), json_text(*object, member.key()));
    }
  }
  return pairs;
}

[[nodiscard]] bool is_message(const Pairs& pairs) {
  return !value_of(pairs, "sign").empty() && !value_of(pairs, "app_id").empty();
}

class Explainer {
 public:
  Explainer(const Question& question, const AlipaySettings& settings, AlipayMaker make)
      : question_(question),
        settings_(settings),
        make_(make),
        own_(belongings_of(settings)),
        at_(question.received_at.value_or(question.now)),
        trial_(question.request) {}

  [[nodiscard]] Explanation run() {
    const Result<VerifiedCallback> verified = make_(settings_)->verify(question_.request, at_);
    explanation_.verdict = verified ? "genuine" : std::string(verified.error().code);
    explanation_.detail = verified ? verified->scheme() : verified.error().detail;
    explanation_.expected = expected();
    if (question_.request.body.size() > kExplainedBytesMax) {
      found(Cause::kUnreadable, Certainty::kSuspected, "the body is longer than any callback");
      return std::move(explanation_);
    }
    read();
    came_ = pairs_;
    explanation_.string_to_sign = show_pairs(came_, kNotSigned, kPlain);
    if (verified) return std::move(explanation_);
    const std::optional<Finding> missing = find_missing_body(question_);
    if (missing) explanation_.findings.push_back(*missing);
    if (is_identity_code(verified.error().code)) {
      name_identity(verified.error());
    } else if (!missing) {
      explain_refusal(verified.error());
    }
    return std::move(explanation_);
  }

 private:
  void found(Cause cause, Certainty certainty, std::string detail) {
    add_finding(explanation_.findings, cause, certainty, std::move(detail));
  }

  [[nodiscard]] std::string expected() const {
    std::string keys;
    for (const KnownKey& key : own_.keys) {
      if (key.use == KnownKey::Use::kPlatform) keys += (keys.empty() ? "" : ", ") + key.id;
    }
    std::string algorithms;
    for (const AlipayAlgorithm one : settings_.algorithms) {
      algorithms += algorithms.empty() ? "" : " or ";
      algorithms += one == AlipayAlgorithm::kRsa2 ? "RSA2 (SHA-256)" : "RSA (SHA-1)";
    }
    return fmt::format(
        "{} in `sign`, over all other fields but sign_type, decoded once and sorted by name, by "
        "one "
        "of Alipay's keys {}",
        algorithms, keys);
  }

  /// Finds the fields, undoing what keeps the form from being read.
  void read() {
    trial_.undo_byte_order_mark();
    trial_.undo_white_space_around_body();
    const std::string& body = trial_.request().body;
    const Result<Fields> fields = parse_form(body);
    if (fields) {
      pairs_ = to_pairs(*fields);
      return;
    }
    if (Pairs json = from_json(body); is_message(json)) {
      trial_.note(Cause::kSentAsJson, "the body is JSON");
      pairs_ = std::move(json);
    } else if (Pairs first = first_of_each(body);
               fields.error().code == "key_duplicate" && is_message(first)) {
      trial_.note(Cause::kFieldsDoubled, "names came more than once");
      pairs_ = std::move(first);
    } else if (Pairs plain = undecoded(body); is_message(plain)) {
      trial_.note(Cause::kDecodedOnTheWay, "the body holds bytes that a form escapes");
      pairs_ = std::move(plain);
    }
    trial_.undo_content_type({kFormType}, kFormType);
  }

  void explain_refusal(const Error& error) {
    trial_.undo_content_type({kFormType}, kFormType);
    if (pairs_.empty()) {
      return found(Cause::kUnreadable, Certainty::kSuspected, "no fields can be read");
    }
    const std::string sign(value_of(pairs_, "sign"));
    if (sign.empty()) {
      return found(Cause::kNotSigned, Certainty::kProved, "the form has no `sign`");
    }
    const std::optional<SignatureOrigin> origin = find_origin(sign, own_, question_.others);
    if (!origin) {
      return found(Cause::kSignatureEncoding, Certainty::kSuspected, "`sign` is not base64");
    }
    if (!origin->maker) return name_unknown_key(*origin);
    const Maker& maker = *origin->maker;
    if (origin->reading.cause) trial_.note(*origin->reading.cause, origin->reading.detail);
    const std::optional<Finding> of_maker = finding_of(maker, at_);
    const std::optional<Finding> of_scheme = scheme_finding(maker);
    if (of_maker) explanation_.findings.push_back(*of_maker);
    if (of_scheme) explanation_.findings.push_back(*of_scheme);
    if (!put_back(*origin)) {
      found(Cause::kContentChanged, Certainty::kProved,
            fmt::format("key {} signed another content", maker.id));
    } else {
      trial_.prove();
      explanation_.difference = describe_difference(came_, pairs_);
    }
    explanation_.findings.insert(explanation_.findings.end(), trial_.undone().begin(),
                                 trial_.undone().end());
    verify_again(*origin, error);
  }

  /// Puts the form back until the signature covers it.
  [[nodiscard]] bool put_back(const SignatureOrigin& origin) {
    const auto holds = [&](const Pairs& pairs) {
      const Result<Fields> fields = to_fields(pairs);
      const AlipaySigner signer{&origin.maker->key, origin.maker->id};
      return fields && verify_alipay_form(*fields, origin.maker->scheme, origin.signature,
                                          std::span(&signer, 1));
    };
    if (holds(pairs_)) return true;
    std::optional<PairGuess> guess = guess_from(pairs_, holds);
    if (!guess) {
      // A form may be decoded already and yet be readable as one.
      Pairs plain = undecoded(trial_.request().body);
      if (plain != pairs_ && is_message(plain)) {
        set_value(plain, "sign", std::string(value_of(pairs_, "sign")));
        if (holds(plain)) {
          guess = PairGuess{Cause::kDecodedOnTheWay, "its values are not encoded", plain};
        }
      }
    }
    if (!guess) return false;
    trial_.note(guess->cause, guess->detail);
    pairs_ = std::move(guess->signed_pairs);
    return true;
  }

  [[nodiscard]] std::optional<PairGuess> guess_from(
      const Pairs& pairs, const std::function<bool(const Pairs&)>& holds) const {
    const std::string_view target = question_.request.target;
    const std::size_t mark = target.find('?');
    std::vector<std::pair<std::string_view, std::string_view>> constants(kConstants.begin(),
                                                                         kConstants.end());
    constants.emplace_back("auth_app_id", value_of(pairs, "app_id"));
    constants.emplace_back("seller_id", settings_.seller_id);
    return guess_pairs(
        pairs,
        {.names = kNames,
         .constants = constants,
         .query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1)},
        holds);
  }

  [[nodiscard]] std::optional<Finding> scheme_finding(const Maker& maker) const {
    const bool is_rsa2 = maker.scheme == crypto::SignatureScheme::kRsaSha256;
    const std::string_view made = is_rsa2 ? "RSA2 (SHA-256)" : "RSA (SHA-1)";
    const std::string_view named = value_of(pairs_, "sign_type");
    const bool is_allowed =
        std::ranges::find(settings_.algorithms,
                          is_rsa2 ? AlipayAlgorithm::kRsa2 : AlipayAlgorithm::kRsa) !=
        settings_.algorithms.end();
    if (!named.empty() && named != (is_rsa2 ? "RSA2" : "RSA")) {
      return Finding{Cause::kRsaOrRsa2, Certainty::kProved,
                     fmt::format("sign_type says {}, but the signature is {}",
                                 visible(named.substr(0, 16)), made)};
    }
    if (is_allowed) return std::nullopt;
    return Finding{
        Cause::kRsaOrRsa2, Certainty::kProved,
        fmt::format("the signature is {}, which the account's `algorithms` do not list", made)};
  }

  void name_unknown_key(const SignatureOrigin& origin) {
    const std::string_view app_id = value_of(pairs_, "app_id");
    const bool is_sandbox = app_id.starts_with(kSandboxApp);
    if (app_id != settings_.app_id && is_sandbox != settings_.app_id.starts_with(kSandboxApp)) {
      found(Cause::kSandbox, Certainty::kSuspected,
            fmt::format("app_id {} is {} sandbox, and this account is {}", visible(app_id),
                        is_sandbox ? "of Alipay's" : "not of Alipay's",
                        is_sandbox ? "for production" : "for the sandbox"));
    }
    if (value_of(pairs_, "alipay_cert_sn").size() > 1 && !settings_.platform_certificates.empty() &&
        explanation_.verdict == "key_unknown") {
      found(Cause::kKeyNotConfigured, Certainty::kProved,
            fmt::format("no certificate has the number {}",
                        visible(value_of(pairs_, "alipay_cert_sn").substr(0, 64))));
    }
    std::string detail = "none of the keys known here made the signature";
    if (!app_id.empty() && app_id != settings_.app_id) {
      detail += fmt::format("; the message is of app {}", visible(app_id.substr(0, 64)));
    }
    detail += fmt::format("; it has {} bytes, as a key of {} bits makes", origin.signature.size(),
                          origin.signature.size() * 8);
    found(Cause::kUnknownKey, Certainty::kSuspected, std::move(detail));
  }

  /// The whole verification, with every mistake undone: what is left of the refusal?
  void verify_again(const SignatureOrigin& origin, const Error& first) {
    AlipaySettings settings = settings_;
    settings.platform_keys = {{origin.maker->key, {}}};
    settings.platform_certificates.clear();
    settings.algorithms = {AlipayAlgorithm::kRsa2, AlipayAlgorithm::kRsa};
    Pairs pairs = pairs_;
    set_value(pairs, "sign", origin.reading.text);
    set_value(pairs, "sign_type",
              origin.maker->scheme == crypto::SignatureScheme::kRsaSha256 ? "RSA2" : "RSA");
    trial_.set_body(encode_form(pairs));
    const Result<VerifiedCallback> verified =
        make_(std::move(settings))->verify(trial_.request(), at_);
    const std::string_view left = verified ? std::string_view() : verified.error().code;
    if (!verified && is_identity_code(left)) name_identity(verified.error());
    if (left == "text_malformed") {
      found(Cause::kCharset, Certainty::kProved,
            fmt::format("it was signed so, but its text is not {}",
                        visible(value_of(pairs, "charset").substr(0, 32))));
    }
    if (left == "body_malformed" && value_of(pairs, "notify_id").empty()) {
      found(Cause::kSynchronousReturn, Certainty::kProved, "it is genuine and has no notify_id");
    }
    if (!explanation_.findings.empty()) return;
    if (first.code == "key_unknown") {
      found(Cause::kWrongSerial, Certainty::kProved,
            fmt::format("it was signed by key {}, under another alipay_cert_sn", origin.maker->id));
    } else if (first.code.starts_with("certificate_")) {
      found(Cause::kCertificateNotValid, Certainty::kProved, std::string(first.code));
    } else {
      found(Cause::kUnreadable, Certainty::kSuspected, first.detail);
    }
  }

  void name_identity(const Error& error) {
    const std::vector<std::string> ids = {std::string(value_of(pairs_, "app_id")),
                                          std::string(value_of(pairs_, "seller_id"))};
    Finding finding = identity_finding(error.code, error.detail, ids, question_.others);
    finding.detail += fmt::format("; it names app {} and seller {}", visible(ids[0].substr(0, 64)),
                                  visible(ids[1].substr(0, 64)));
    add_finding(explanation_.findings, finding.cause, finding.certainty, finding.detail);
  }

  const Question& question_;
  const AlipaySettings& settings_;
  const AlipayMaker make_;
  const Belongings own_;
  const TimePoint at_;
  Trial trial_;
  Pairs came_;
  Pairs pairs_;
  Explanation explanation_;
};

}  // namespace

Explanation explain_alipay(const Question& question, const AlipaySettings& settings,
                           AlipayMaker make) {
  return Explainer(question, settings, make).run();
}

Belongings belongings_of(const AlipaySettings& settings) {
  Belongings belongings;
  for (const TimedPublicKey& one : settings.platform_keys) {
    belongings.keys.push_back(
        {KnownKey::Use::kPlatform, one.key.fingerprint(), one.key, one.window});
  }
  for (const AlipayCertificate& one : settings.platform_certificates) {
    belongings.keys.push_back(
        {KnownKey::Use::kPlatform, one.sn, one.certificate.public_key(), one.window});
  }
  if (settings.application_key) {
    const crypto::PublicKey key = settings.application_key->public_key();
    belongings.keys.push_back({KnownKey::Use::kApplication, key.fingerprint(), key, {}});
  }
  belongings.ids = {settings.app_id};
  if (!settings.seller_id.empty()) belongings.ids.push_back(settings.seller_id);
  return belongings;
}

}  // namespace postern::channel
