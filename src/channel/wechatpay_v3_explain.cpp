// Why a WeChat Pay v3 callback was refused. The signature tells which key made it (RSA gives the
// digest back), so headers, key, clock, body and decryption are looked at one by one. The body is
// put back byte by byte: WeChat writes compact JSON with its members in one order.
#include "channel/wechatpay_v3_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cstdlib>

#include "channel/charset.h"
#include "channel/form.h"
#include "channel/json.h"
#include "channel/pairs.h"
#include "channel/text.h"
#include "channel/trial.h"
#include "channel/wechatpay_v2_signature.h"
#include "channel/wechatpay_v3_api.h"

namespace postern::channel {
namespace {

namespace json = boost::json;

constexpr std::string_view kSignature = "Wechatpay-Signature";
constexpr std::string_view kTimestamp = "Wechatpay-Timestamp";
constexpr std::string_view kNonce = "Wechatpay-Nonce";
constexpr std::string_view kSerial = "Wechatpay-Serial";
constexpr std::array<std::string_view, 6> kEnvelope = {"id",         "create_time", "resource_type",
                                                       "event_type", "summary",     "resource"};
constexpr std::array<std::string_view, 5> kResource = {"original_type", "algorithm", "ciphertext",
                                                       "associated_data", "nonce"};
/// Orders of members that are tried: 6! = 720 of the envelope.
constexpr std::size_t kPermutedMax = 6;

[[nodiscard]] std::string replace_all(std::string text, std::string_view from,
                                      std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// The members of `object` in the order `names`; those not named come last.
[[nodiscard]] json::object ordered(const json::object& object,
                                   std::span<const std::string_view> names) {
  json::object result;
  for (const std::string_view name : names) {
    if (const json::value* value = object.if_contains(name)) result.emplace(name, *value);
  }
  for (const auto& member : object) result.insert(member);
  return result;
}

[[nodiscard]] std::vector<std::string_view> names_of(const json::object& object) {
  std::vector<std::string_view> names;
  for (const auto& member : object) names.push_back(member.key());
  return names;
}

class Explainer {
 public:
  Explainer(const Question& question, const WechatpayV3Settings& settings, WechatpayV3Maker make)
      : question_(question),
        settings_(settings),
        make_(make),
        own_(belongings_of(settings)),
        trial_(question.request) {}

  [[nodiscard]] Explanation run() {
    trial_.undo_headers({kSignature, kTimestamp, kNonce, kSerial});
    const Result<VerifiedCallback> verified = make_(settings_)->verify(question_.request, at());
    explanation_.verdict = verified ? "genuine" : std::string(verified.error().code);
    explanation_.detail = verified ? verified->scheme() : verified.error().detail;
    explanation_.expected = expected();
    if (question_.request.body.size() > kExplainedBytesMax) {
      found(Cause::kUnreadable, Certainty::kSuspected, "the body is longer than any callback");
      return std::move(explanation_);
    }
    body_ = question_.request.body;
    const bool has_headers = std::ranges::none_of(trial_.undone(), [](const Finding& finding) {
      return finding.cause == Cause::kHeaderMissing;
    });
    if (has_headers) explanation_.string_to_sign = shown_text();
    if (verified) return std::move(explanation_);
    const std::optional<Finding> missing = find_missing_body(question_);
    if (missing) explanation_.findings.push_back(*missing);
    if (verified.error().code == "probe") {
      found(Cause::kProbe, Certainty::kProved, "the signature begins with WECHATPAY/SIGNTEST/");
    } else if (!has_headers) {
      found(Cause::kHeaderMissing, Certainty::kProved, trial_.undone().back().detail);
    } else if (!missing) {
      explain_refusal(verified.error());
    }
    return std::move(explanation_);
  }

 private:
  void found(Cause cause, Certainty certainty, std::string detail) {
    add_finding(explanation_.findings, cause, certainty, std::move(detail));
  }

  [[nodiscard]] std::string_view header(std::string_view name) const {
    return trial_.request().headers.only(name).value_or(std::string_view());
  }

  [[nodiscard]] TimePoint at() const {
    return question_.received_at.value_or(own_time().value_or(question_.now));
  }

  /// What the message says when it was sent.
  [[nodiscard]] std::optional<TimePoint> own_time() const {
    constexpr std::size_t kDigitsMax = 12;
    const std::string_view text = header(kTimestamp);
    std::int64_t seconds = 0;
    const char* const end = text.data() + text.size();
    if (text.empty() || text.size() > kDigitsMax ||
        std::from_chars(text.data(), end, seconds).ptr != end) {
      return std::nullopt;
    }
    return TimePoint(std::chrono::seconds(seconds));
  }

  [[nodiscard]] std::string expected() const {
    std::string keys;
    for (const WechatpayV3Key& key : settings_.platform_keys) {
      keys += (keys.empty() ? "" : ", ") + key.id;
    }
    return fmt::format(
        "SHA-256 with RSA in Wechatpay-Signature, over timestamp, nonce and the body's bytes, each "
        "followed by a newline, by the key that Wechatpay-Serial names out of {}, within {} s",
        keys, kWechatpayV3Window.count());
  }

  [[nodiscard]] std::string text_over(std::string_view body) const {
    return fmt::format("{}\n{}\n{}\n", header(kTimestamp), header(kNonce), body);
  }

  /// A body that is not an envelope may hold what somebody decrypted, so only its size is shown.
  [[nodiscard]] std::string shown_text() const {
    std::string_view body = body_;
    if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
    const Result<json::object> envelope = parse_json_object(body);
    const bool is_sealed =
        envelope && std::ranges::all_of(*envelope, [](const auto& member) {
          return std::ranges::find(kEnvelope, std::string_view(member.key())) != kEnvelope.end();
        });
    return visible(text_over(is_sealed ? body_ : fmt::format("[{} bytes]", body_.size())));
  }

  void explain_refusal(const Error& error) {
    trial_.undo_content_type({"application/json"}, "application/json");
    if (!header("Wechatpay-Signature-Type").empty() && error.code == "algorithm_not_allowed") {
      found(Cause::kUnreadable, Certainty::kProved,
            "Wechatpay-Signature-Type names a scheme other than SHA-256 with RSA");
    }
    const std::optional<SignatureOrigin> origin =
        find_origin(header(kSignature), own_, question_.others);
    if (!origin) {
      return found(Cause::kSignatureEncoding, Certainty::kSuspected,
                   "Wechatpay-Signature is not base64");
    }
    if (!origin->maker) return name_unknown_key(*origin);
    const Maker& maker = *origin->maker;
    signature_text_ = origin->reading.text;
    if (origin->reading.cause) trial_.note(*origin->reading.cause, origin->reading.detail);
    if (const auto finding = finding_of(maker, at())) explanation_.findings.push_back(*finding);
    name_serial(maker);
    const bool is_put_back = put_back(*origin);
    if (!is_put_back) {
      found(Cause::kContentChanged, Certainty::kProved,
            fmt::format("key {} signed another body, timestamp or nonce", maker.id));
    } else {
      trial_.prove();
      explanation_.difference = describe_difference(question_.request.body, body_);
      name_clock(error);
    }
    explanation_.findings.insert(explanation_.findings.end(), trial_.undone().begin(),
                                 trial_.undone().end());
    if (is_put_back) look_inside(maker);
    if (explanation_.findings.empty()) {
      found(Cause::kUnreadable, Certainty::kSuspected,
            fmt::format("{}: {}", error.code, error.detail));
    }
  }

  [[nodiscard]] const WechatpayV3Key* named_key() const {
    const auto named = std::ranges::find_if(settings_.platform_keys, [&](const auto& key) {
      return equal_without_case(key.id, header(kSerial));
    });
    return named == settings_.platform_keys.end() ? nullptr : &*named;
  }

  /// Whether the message names the key that made it.
  void name_serial(const Maker& maker) {
    const std::string serial = visible(header(kSerial).substr(0, 128));
    const WechatpayV3Key* named = named_key();
    if (named != nullptr && named->key.fingerprint() == maker.key.fingerprint()) return;
    if (!maker.account.empty()) return;
    found(Cause::kWrongSerial, Certainty::kProved,
          fmt::format("it names {}{}, and was signed by the key configured as {}", serial,
                      named == nullptr ? ", which is not configured" : "", maker.id));
  }

  void name_unknown_key(const SignatureOrigin& origin) {
    const std::string serial = visible(header(kSerial).substr(0, 128));
    const WechatpayV3Key* named = named_key();
    if (named == nullptr) {
      const bool is_public_key = serial.starts_with("PUB_KEY_ID_");
      found(Cause::kKeyNotConfigured, Certainty::kProved,
            fmt::format("Wechatpay-Serial is {}, {}", serial,
                        is_public_key ? "a public key's id" : "a certificate's serial number"));
      return;
    }
    found(Cause::kUnknownKey, Certainty::kSuspected,
          fmt::format("the key configured as {} did not make the signature, nor did any other key "
                      "known here; it has {} bytes",
                      serial, origin.signature.size()));
  }

  void name_clock(const Error& error) {
    const std::optional<TimePoint> sent = own_time();
    if (!sent || !question_.received_at) {
      if (error.code == "certificate_expired") certificate();
      return;
    }
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(*question_.received_at - *sent).count();
    if (std::abs(seconds) >= kWechatpayV3Window.count()) {
      constexpr std::int64_t kChina = 8 * 3600;
      const bool is_zone = std::abs(std::abs(seconds) - kChina) < kWechatpayV3Window.count();
      found(Cause::kClock, Certainty::kProved,
            fmt::format(
                "it is signed, and its timestamp is {} s {} the time it was received at{}",
                std::abs(seconds), seconds > 0 ? "before" : "after",
                is_zone ? ": eight hours, so a clock may be set to China's time as UTC" : ""));
    }
    if (error.code == "certificate_expired") certificate();
  }

  void certificate() {
    found(Cause::kCertificateNotValid, Certainty::kProved,
          fmt::format("certificate {} signed it, and was not valid then",
                      visible(header(kSerial).substr(0, 128))));
  }

  /// Puts the body back until the signature covers it.
  [[nodiscard]] bool put_back(const SignatureOrigin& origin) {
    const auto attempt = [&](const std::string& body) {
      if (!origin.maker->key.verify(origin.maker->scheme, text_over(body), origin.signature)) {
        return false;
      }
      body_ = body;
      return true;
    };
    if (attempt(body_)) return true;
    const std::string came = body_;
    for (const auto& [cause, detail, body] : readings(came)) {
      if (body == came || !attempt(body)) continue;
      trial_.note(cause, std::string(detail));
      return true;
    }
    if (!reordered(came, attempt)) return false;
    trial_.note(Cause::kReserialised, "the JSON's members came in another order or spelling");
    return true;
  }

  struct Reading {
    Cause cause;
    std::string_view detail;
    std::string body;
  };

  [[nodiscard]] static std::vector<Reading> readings(const std::string& came) {
    const Result<json::object> parsed = parse_json_object(came);
    const bool has_mark = came.starts_with("\xEF\xBB\xBF");
    std::string_view stripped = came;
    while (!stripped.empty() && (stripped.back() == '\n' || stripped.back() == '\r')) {
      stripped.remove_suffix(1);
    }
    const std::string lf = replace_all(came, "\r\n", "\n");
    return {
        {Cause::kByteOrderMark, "the body begins with EF BB BF", has_mark ? came.substr(3) : came},
        {Cause::kNewlineAdded, "the body ends with a newline", std::string(stripped)},
        {Cause::kNewlineDropped, "a newline at the end was signed", came + "\n"},
        {Cause::kNewlineDropped, "CR LF at the end was signed", came + "\r\n"},
        {Cause::kLineEnds, "CR LF stands for LF", lf},
        {Cause::kLineEnds, "LF stands for CR LF", replace_all(lf, "\n", "\r\n")},
        {Cause::kReserialised, "the JSON came with other white space or escapes than were signed",
         parsed ? json::serialize(*parsed) : came},
        {Cause::kCharset, "GBK stands for UTF-8", to_utf8(Charset::kGb18030, came).value_or(came)},
        {Cause::kCharset, "UTF-8 stands for GBK",
         from_utf8(Charset::kGb18030, came).value_or(came)},
        {Cause::kHtmlEscaped, "quotes stand as HTML references",
         replace_all(replace_all(came, "&quot;", "\""), "&amp;", "&")},
        {Cause::kBackslashesAdded, "slashes or quotes are escaped",
         replace_all(replace_all(came, "\\/", "/"), "\\\"", "\"")},
        {Cause::kEncodedTwice, "the body is percent-encoded",
         std::string(parse_form("x=" + came).value_or(Fields()).text("x"))}};
  }

  /// Members in WeChat's order, else in every order of the envelope.
  [[nodiscard]] static bool reordered(const std::string& came,
                                      const std::function<bool(const std::string&)>& attempt) {
    const Result<json::object> parsed = parse_json_object(came);
    if (!parsed) return false;
    json::object envelope = ordered(*parsed, kEnvelope);
    const json::object* resource = json_object(envelope, "resource");
    if (resource != nullptr) envelope["resource"] = ordered(*resource, kResource);
    if (attempt(json::serialize(envelope))) return true;
    std::vector<std::string_view> names = names_of(envelope);
    if (names.size() > kPermutedMax) return false;
    std::ranges::sort(names);
    do {
      if (attempt(json::serialize(ordered(envelope, names)))) return true;
    } while (std::ranges::next_permutation(names).found);
    return false;
  }

  /// What comes behind the signature: decryption and identity.
  void look_inside(const Maker& maker) {
    const Result<json::object> envelope = parse_json_object(body_);
    const json::object* resource = envelope ? json_object(*envelope, "resource") : nullptr;
    if (resource == nullptr) return;
    Result<WechatpayV3Opened> opened =
        open_wechatpay_v3_resource(*resource, settings_.api_v3_keys.texts);
    if (opened) name_window(opened->key_index);
    WechatpayV3Settings settings = settings_;
    if (!opened && opened.error().code == "decryption_failed") {
      const Secret* key = find_api_key(*resource);
      if (key == nullptr) return;
      settings.api_v3_keys = {.texts = {*key}, .windows = {{}}};
      opened = open_wechatpay_v3_resource(*resource, settings.api_v3_keys.texts);
    }
    if (!opened) return;
    name_identity(std::move(settings), maker, opened->plaintext);
  }

  /// Whether the API v3 key that opens the resource counted then.
  void name_window(std::size_t index) {
    const auto finding = window_finding(wechatpay_v2_key_id(settings_.api_v3_keys.texts[index]),
                                        settings_.api_v3_keys.windows[index], at());
    if (finding) explanation_.findings.push_back(*finding);
  }

  /// The key of another account that opens the resource; says what was found.
  [[nodiscard]] const Secret* find_api_key(const json::object& resource) {
    for (const OtherAccount& other : question_.others) {
      for (const KnownKey& known : other.belongings.keys) {
        const Secret* key = known.secret();
        if (key == nullptr || !open_wechatpay_v3_resource(resource, std::span(key, 1))) continue;
        found(Cause::kOtherAccountsApiKey, Certainty::kProved,
              fmt::format("the signature is right, and the API key of account {} opens the content",
                          other.name));
        return key;
      }
    }
    for (const OtherAccount& other : question_.others) {
      for (const KnownKey& known : other.belongings.keys) {
        if (known.use != KnownKey::Use::kApiV2) continue;
        const bool is_ours = std::ranges::any_of(
            settings_.api_v3_keys.texts,
            [&](const Secret& own) { return own.reveal() == known.secret()->reveal(); });
        if (!is_ours) continue;
        found(Cause::kApiV2OrV3Key, Certainty::kSuspected,
              fmt::format("api_v3_key is the API v2 key of account {}", other.name));
      }
    }
    found(Cause::kWrongApiKey, Certainty::kProved,
          "the signature is right, and no API v3 key opens the content");
    return nullptr;
  }

  /// Whose message it is, by the whole verification with every mistake undone.
  void name_identity(WechatpayV3Settings settings, const Maker& maker, std::string_view opened) {
    if (!own_time()) return;
    settings.platform_keys = {{std::string(header(kSerial)), maker.key, {}, {}}};
    trial_.set_body(body_);
    trial_.set_header(kSignature, signature_text_);
    const Result<VerifiedCallback> verified =
        make_(std::move(settings))->verify(trial_.request(), *own_time());
    if (verified || !is_identity_code(verified.error().code)) return;
    const Result<json::object> plaintext = parse_json_object(opened);
    std::vector<std::string> ids;
    for (const std::string_view name :
         {"mchid", "sp_mchid", "appid", "sp_appid", "sub_mchid", "combine_mchid"}) {
      const std::string_view id = plaintext ? json_text(*plaintext, name) : std::string_view();
      if (!id.empty()) ids.emplace_back(id);
    }
    Finding finding =
        identity_finding(verified.error().code, verified.error().detail, ids, question_.others);
    std::string named;
    for (const std::string& id : ids) {
      named += (named.empty() ? "" : ", ") + visible(std::string_view(id).substr(0, 64));
    }
    finding.detail += fmt::format("; it names {}", named);
    add_finding(explanation_.findings, finding.cause, finding.certainty, finding.detail);
  }

  const Question& question_;
  const WechatpayV3Settings& settings_;
  const WechatpayV3Maker make_;
  const Belongings own_;
  Trial trial_;
  std::string body_;
  std::string signature_text_;  ///< as it was before it was spoiled
  Explanation explanation_;
};

}  // namespace

Explanation explain_wechatpay_v3(const Question& question, const WechatpayV3Settings& settings,
                                 WechatpayV3Maker make) {
  return Explainer(question, settings, make).run();
}

Belongings belongings_of(const WechatpayV3Settings& settings) {
  Belongings belongings;
  for (const WechatpayV3Key& key : settings.platform_keys) {
    belongings.keys.push_back({KnownKey::Use::kPlatform, key.id, key.key, key.window});
  }
  for (std::size_t i = 0; i < settings.api_v3_keys.texts.size(); ++i) {
    const Secret& key = settings.api_v3_keys.texts[i];
    belongings.keys.push_back(
        {KnownKey::Use::kApiV3, wechatpay_v2_key_id(key), key, settings.api_v3_keys.windows[i]});
  }
  belongings.ids = settings.app_ids;
  belongings.ids.push_back(settings.merchants.own);
  return belongings;
}

}  // namespace postern::channel
