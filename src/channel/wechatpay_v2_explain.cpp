// Why a WeChat Pay v2 notice was refused. A MAC does not tell who made it, so every key of the
// configuration is tried under both types, on the fields as they came and with each of the usual
// mistakes undone.
#include "channel/wechatpay_v2_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/value.hpp>

#include "channel/charset.h"
#include "channel/form.h"
#include "channel/json.h"
#include "channel/pairs.h"
#include "channel/trial.h"
#include "channel/xml.h"

namespace postern::channel {
namespace {

/// What WeChat Pay sends; what is shown comes first, what may tell who paid after it.
constexpr std::array<std::string_view, 40> kNames = {
    "return_code", "return_msg", "result_code", "err_code", "err_code_des", "appid", "mch_id",
    "sub_appid", "sub_mch_id", "device_info", "nonce_str", "sign_type", "trade_type", "bank_type",
    "total_fee", "settlement_total_fee", "fee_type", "cash_fee", "cash_fee_type", "coupon_fee",
    "coupon_count", "coupon_id_0", "coupon_fee_0", "coupon_type_0", "transaction_id",
    "out_trade_no", "time_end", "is_subscribe", "sub_is_subscribe", "version", "rate_value",
    "combine_mch_id", "combine_appid",
    // Not shown:
    "sign", "openid", "sub_openid", "attach", "req_info", "promotion_detail", "detail"};
constexpr std::span<const std::string_view> kPlain = std::span(kNames).first(33);
constexpr std::array<std::string_view, 1> kNotSigned = {"sign"};

constexpr auto kConstants = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"sign_type", "HMAC-SHA256"},
    {"sign_type", "MD5"},
    {"fee_type", "CNY"},
    {"return_code", "SUCCESS"},
    {"result_code", "SUCCESS"},
    {"is_subscribe", "N"},
    {"is_subscribe", "Y"},
});

/// Keys that are tried with each mistake undone.
constexpr std::size_t kGuessedKeysMax = 16;

/// A key that may have signed, and whose it is.
struct Candidate {
  const Secret* key;
  std::string id;
  std::string account;  ///< empty: the account's own
  KnownKey::Use use = KnownKey::Use::kApiV2;
  KeyWindow window = {};
};

[[nodiscard]] Pairs from_json(std::string_view body) {
  Pairs pairs;
  const Result<boost::json::object> object = parse_json_object(body);
  if (!object) return pairs;
  const boost::json::object* inner = json_object(*object, "xml");
  const boost::json::object& fields = inner == nullptr ? *object : *inner;
  for (const auto& member : fields) {
    if (member.value().is_string()) {
      pairs.emplace_back(member.key(), json_text(fields, member.key()));
    } else if (const auto number = json_integer(fields, member.key())) {
      pairs.emplace_back(member.key(), std::to_string(*number));
    }
  }
  return pairs;
}

/// XML that names its encoding, read as GBK and without its declaration.
[[nodiscard]] std::string from_gbk(const std::string& body) {
  const std::size_t end = body.starts_with("<?xml") ? body.find("?>") : std::string::npos;
  const std::string rest = end == std::string::npos ? body : body.substr(end + 2);
  const std::string text = to_utf8(Charset::kGb18030, rest).value_or(std::string());
  return text.substr(std::min(text.find('<'), text.size()));
}

[[nodiscard]] std::string unescaped(std::string text) {
  for (const auto& [reference, plain] :
       {std::pair("&lt;", "<"), std::pair("&gt;", ">"), std::pair("&amp;", "&")}) {
    const std::string_view from = reference;
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + 1)) {
      text.replace(at, from.size(), plain);
    }
  }
  return text;
}

class Explainer {
 public:
  Explainer(const Question& question, const WechatpayV2Settings& settings, WechatpayV2Maker make)
      : question_(question),
        settings_(settings),
        make_(make),
        own_(belongings_of(settings)),
        trial_(question.request) {
    for (const KnownKey& key : own_.keys)
      candidates_.push_back({key.secret(), key.id, "", key.use, key.window});
    for (const OtherAccount& other : question.others) {
      for (const KnownKey& key : other.belongings.keys) {
        if (key.secret() == nullptr) continue;
        candidates_.push_back({key.secret(), key.id, other.name, key.use, key.window});
      }
    }
  }

  [[nodiscard]] Explanation run() {
    const TimePoint at = question_.received_at.value_or(question_.now);
    const Result<VerifiedCallback> verified = make_(settings_)->verify(question_.request, at);
    explanation_.verdict = verified ? "genuine" : std::string(verified.error().code);
    explanation_.detail = verified ? verified->scheme() : verified.error().detail;
    explanation_.expected = expected();
    if (question_.request.body.size() > kExplainedBytesMax) {
      found(Cause::kUnreadable, Certainty::kSuspected, "the body is longer than any notice");
      return std::move(explanation_);
    }
    read();
    came_ = pairs_;
    if (!came_.empty()) {
      explanation_.string_to_sign =
          show_pairs(without_empties(came_), kNotSigned, kPlain) + "&key=[the API key]";
    }
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

  [[nodiscard]] static Pairs without_empties(Pairs pairs) {
    std::erase_if(pairs, [](const auto& pair) { return pair.second.empty(); });
    return pairs;
  }

  [[nodiscard]] std::string expected() const {
    std::string types;
    for (const WechatpayV2SignType type : settings_.sign_types) {
      types += types.empty() ? "" : " or ";
      types += name(type);
    }
    std::string keys;
    for (const std::string& id : settings_.key_ids) keys += (keys.empty() ? "" : ", ") + id;
    return fmt::format(
        "{} in `sign`, upper-case hexadecimal, over all other fields that are not empty, sorted by "
        "name, by API key {}",
        types, keys);
  }

  void read() {
    trial_.undo_byte_order_mark();
    trial_.undo_white_space_around_body();
    const std::string body = trial_.request().body;
    if (take(body)) return;
    const struct {
      Cause cause;
      std::string_view detail;
      std::string body;
    } readings[] = {{Cause::kCharset, "the XML is written in GBK", from_gbk(body)},
                    {Cause::kHtmlEscaped, "the XML's own brackets are escaped", unescaped(body)},
                    {Cause::kEncodedTwice, "the XML is percent-encoded",
                     std::string(parse_form("x=" + body).value_or(Fields()).text("x"))}};
    for (const auto& reading : readings) {
      if (reading.body == body || !take(reading.body)) continue;
      trial_.note(reading.cause, std::string(reading.detail));
      return;
    }
    pairs_ = from_json(body);
    if (!pairs_.empty()) trial_.note(Cause::kSentAsJson, "the body is JSON");
  }

  [[nodiscard]] bool take(std::string_view body) {
    const Result<Fields> fields = parse_flat_xml(body, "xml");
    if (fields) pairs_ = to_pairs(*fields);
    return fields.has_value();
  }

  void explain_refusal(const Error& error) {
    trial_.undo_content_type({"text/xml", "application/xml"}, "text/xml");
    if (pairs_.empty()) {
      return found(Cause::kUnreadable, Certainty::kSuspected, "no fields can be read");
    }
    if (value_of(pairs_, "return_code") == "FAIL") {
      return found(Cause::kNotSigned, Certainty::kProved, "return_code is FAIL");
    }
    if (!value_of(pairs_, "req_info").empty()) return explain_refund(error);
    const std::string sign(value_of(pairs_, "sign"));
    if (sign.empty()) {
      return found(Cause::kNotSigned, Certainty::kProved, "the notice has no `sign`");
    }
    std::string upper;
    for (const char c : sign) {
      if (c == ' ' || c == '\r' || c == '\n') continue;
      upper.push_back(c >= 'a' && c <= 'f' ? static_cast<char>(c - ('a' - 'A')) : c);
    }
    if (upper != sign) {
      trial_.note(Cause::kSignatureLowerCase, "`sign` is not upper-case hexadecimal");
      set_value(pairs_, "sign", upper);
    }
    if (!put_back()) return name_unknown_key(sign);
    trial_.prove();
    name_match();
    explanation_.difference = describe_difference(came_, pairs_);
    explanation_.findings.insert(explanation_.findings.end(), trial_.undone().begin(),
                                 trial_.undone().end());
    verify_again(error);
  }

  [[nodiscard]] bool put_back() {
    const std::array<WechatpayV2SignType, 2> types = {WechatpayV2SignType::kMd5,
                                                      WechatpayV2SignType::kHmacSha256};
    std::vector<Secret> keys;
    for (const Candidate& candidate : candidates_) keys.push_back(*candidate.key);
    const auto holds = [&](const Pairs& pairs) {
      const Result<Fields> fields = to_fields(pairs);
      if (!fields) return false;
      const Result<WechatpayV2Match> match = verify_wechatpay_v2(*fields, keys, types);
      if (match) match_ = *match;
      return match.has_value();
    };
    if (holds(pairs_)) return true;
    // A service provider may have thousands; the account's own come first.
    keys.resize(std::min(keys.size(), kGuessedKeysMax));
    const std::string_view target = question_.request.target;
    const std::size_t mark = target.find('?');
    std::optional<PairGuess> guess = guess_pairs(
        pairs_,
        {.names = kNames,
         .constants = kConstants,
         .query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1)},
        holds);
    if (!guess) return false;
    trial_.note(guess->cause, guess->detail);
    pairs_ = std::move(guess->signed_pairs);
    return true;
  }

  /// Whether a key of our own counted then.
  void name_window(const Candidate& candidate) {
    if (!candidate.account.empty()) return;
    const TimePoint at = question_.received_at.value_or(question_.now);
    if (const auto finding = window_finding(candidate.id, candidate.window, at)) {
      explanation_.findings.push_back(*finding);
    }
  }

  /// What key and type say about the configuration.
  void name_match() {
    const Candidate& candidate = candidates_[match_->key_index];
    name_window(candidate);
    if (!candidate.account.empty()) {
      found(Cause::kOtherAccountsApiKey, Certainty::kProved,
            fmt::format("signed by key {} of account {}", candidate.id, candidate.account));
    }
    if (std::ranges::find(settings_.sign_types, match_->type) == settings_.sign_types.end()) {
      found(Cause::kMd5OrHmac, Certainty::kProved,
            fmt::format("signed with {}, which `sign_types` does not list", name(match_->type)));
    }
  }

  void name_unknown_key(std::string_view sign) {
    for (const KnownKey& own : own_.keys) {
      for (const Candidate& other : candidates_) {
        if (other.use != KnownKey::Use::kApiV3 || other.key->reveal() != own.secret()->reveal()) {
          continue;
        }
        found(Cause::kApiV2OrV3Key, Certainty::kSuspected,
              fmt::format("api_key {} is the API v3 key of account {}", own.id, other.account));
      }
    }
    const bool is_length = sign.size() == 32 || sign.size() == 64;
    found(Cause::kWrongApiKey, Certainty::kSuspected,
          is_length ? "no API key known here signed this, by MD5 or HMAC-SHA256"
                    : fmt::format("`sign` has {} characters; MD5 has 32, HMAC-SHA256 has 64",
                                  sign.size()));
    // Without the right key a changed content cannot be told from a wrong key.
    found(Cause::kContentChanged, Certainty::kSuspected,
          "or the key is right and the notice was changed in a way not tried here");
  }

  /// A refund notice is not signed but encrypted.
  void explain_refund(const Error& error) {
    for (const SignatureReading& reading : signature_readings(value_of(pairs_, "req_info"))) {
      for (const Candidate& candidate : candidates_) {
        const Result<std::string> plaintext =
            decrypt_wechatpay_v2_refund(reading.text, *candidate.key);
        if (!plaintext || !parse_flat_xml(*plaintext, "root")) continue;
        if (!candidate.account.empty()) {
          found(
              Cause::kOtherAccountsApiKey, Certainty::kProved,
              fmt::format("key {} of account {} opens req_info", candidate.id, candidate.account));
        }
        name_window(candidate);
        if (reading.cause) trial_.note(*reading.cause, "in req_info: " + reading.detail);
        set_value(pairs_, "req_info", reading.text);
        trial_.prove();
        explanation_.findings.insert(explanation_.findings.end(), trial_.undone().begin(),
                                     trial_.undone().end());
        match_ = WechatpayV2Match{WechatpayV2SignType::kHmacSha256,
                                  static_cast<std::size_t>(&candidate - candidates_.data())};
        return verify_again(error);
      }
    }
    found(Cause::kWrongApiKey, Certainty::kSuspected, "no API key known here opens req_info");
  }

  /// The whole verification, with every mistake undone: what is left of the refusal?
  void verify_again(const Error& first) {
    WechatpayV2Settings settings = settings_;
    settings.api_keys = {.texts = {*candidates_[match_->key_index].key}, .windows = {{}}};
    settings.key_ids = {candidates_[match_->key_index].id};
    settings.sign_types = {WechatpayV2SignType::kMd5, WechatpayV2SignType::kHmacSha256};
    std::string body = "<xml>";
    for (const auto& [name, value] : pairs_) {
      body += fmt::format("<{0}><![CDATA[{1}]]></{0}>", name, value);
    }
    trial_.set_body(body + "</xml>");
    const Result<VerifiedCallback> verified =
        make_(std::move(settings))->verify(trial_.request(), question_.now);
    if (!verified && is_identity_code(verified.error().code)) name_identity(verified.error());
    if (explanation_.findings.empty()) {
      found(Cause::kUnreadable, Certainty::kSuspected, first.detail);
    }
  }

  void name_identity(const Error& error) {
    const std::vector<std::string> ids = {std::string(value_of(pairs_, "mch_id")),
                                          std::string(value_of(pairs_, "appid")),
                                          std::string(value_of(pairs_, "sub_mch_id"))};
    Finding finding = identity_finding(error.code, error.detail, ids, question_.others);
    finding.detail += fmt::format("; it names merchant {} and app {}",
                                  visible(ids[0].substr(0, 64)), visible(ids[1].substr(0, 64)));
    add_finding(explanation_.findings, finding.cause, finding.certainty, finding.detail);
  }

  const Question& question_;
  const WechatpayV2Settings& settings_;
  const WechatpayV2Maker make_;
  const Belongings own_;
  Trial trial_;
  std::vector<Candidate> candidates_;
  std::optional<WechatpayV2Match> match_;
  Pairs came_;
  Pairs pairs_;
  Explanation explanation_;
};

}  // namespace

Explanation explain_wechatpay_v2(const Question& question, const WechatpayV2Settings& settings,
                                 WechatpayV2Maker make) {
  return Explainer(question, settings, make).run();
}

Belongings belongings_of(const WechatpayV2Settings& settings) {
  Belongings belongings;
  for (std::size_t i = 0; i < settings.key_ids.size(); ++i) {
    belongings.keys.push_back({KnownKey::Use::kApiV2, settings.key_ids[i],
                               settings.api_keys.texts[i], settings.api_keys.windows[i]});
  }
  belongings.ids = settings.app_ids;
  belongings.ids.push_back(settings.merchants.own);
  return belongings;
}

}  // namespace postern::channel
