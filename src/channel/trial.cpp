#include "channel/trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "channel/form.h"
#include "channel/request.h"
#include "channel/text.h"
#include "crypto/encoding.h"

namespace postern::channel {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kWhiteSpace = " \t\r\n";

using Line = std::pair<std::string_view, std::string_view>;

[[nodiscard]] std::vector<Line> lines_of(const Headers& headers) {
  std::vector<Line> lines;
  std::string_view block = headers.block();
  while (!block.empty()) {
    const std::string_view line = block.substr(0, block.find("\r\n"));
    if (const std::size_t colon = line.find(": "); colon != std::string_view::npos) {
      lines.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    }
    block.remove_prefix(std::min(line.size() + 2, block.size()));
  }
  return lines;
}

/// Whether a proxy may have made `name` out of `wanted`: prefixes such as X-, HTTP_ or
/// X-Forwarded- in front, underscores for hyphens.
[[nodiscard]] bool is_renamed(std::string_view name, std::string_view wanted) {
  if (name.size() < wanted.size()) return false;
  std::string tail(name.substr(name.size() - wanted.size()));
  std::ranges::replace(tail, '_', '-');
  if (!equal_without_case(tail, wanted)) return false;
  const std::string_view prefix = name.substr(0, name.size() - wanted.size());
  return prefix.empty() || prefix.ends_with('-') || prefix.ends_with('_');
}

[[nodiscard]] std::string without(std::string_view text, std::string_view characters) {
  std::string result(text);
  std::erase_if(result, [&](char c) { return characters.find(c) != std::string_view::npos; });
  return result;
}

[[nodiscard]] std::string replaced(std::string_view text, char from, char to) {
  std::string result(text);
  std::ranges::replace(result, from, to);
  return result;
}

[[nodiscard]] std::string padded(std::string text) {
  while (text.size() % 4 != 0) text.push_back('=');
  return text;
}

/// Percent-decoded by the reader of forms, which decodes exactly once.
[[nodiscard]] std::string decoded(std::string_view text) {
  const Result<Fields> fields = parse_form("x=" + std::string(text));
  return fields ? std::string(fields->text("x")) : std::string(text);
}

[[nodiscard]] Cause identity_cause(std::string_view code) {
  if (code == "app_mismatch") return Cause::kWrongApp;
  if (code == "merchant_mismatch") return Cause::kWrongMerchant;
  if (code == "seller_mismatch") return Cause::kWrongSeller;
  return Cause::kWrongSubMerchant;
}

}  // namespace

void Trial::note(Cause cause, std::string detail) {
  add_finding(undone_, cause, Certainty::kSuspected, std::move(detail));
}

void Trial::prove() {
  for (Finding& finding : undone_) finding.certainty = Certainty::kProved;
}

void Trial::undo_byte_order_mark() {
  if (!request_.body.starts_with(kByteOrderMark)) return;
  request_.body.erase(0, kByteOrderMark.size());
  note(Cause::kByteOrderMark, "the body begins with the bytes EF BB BF");
}

void Trial::undo_white_space_around_body() {
  const std::string_view body = request_.body;
  const std::size_t begin = std::min(body.find_first_not_of(kWhiteSpace), body.size());
  const std::size_t end = body.find_last_not_of(kWhiteSpace) + 1;
  if (begin == 0 && end == body.size()) return;
  note(Cause::kNewlineAdded,
       fmt::format("white space: {} bytes in front of the body, {} bytes behind it", begin,
                   body.size() - std::max(begin, end)));
  request_.body = std::string(body.substr(begin, std::max(begin, end) - begin));
}

void Trial::set_header(std::string_view name, std::string_view value) {
  Headers headers;
  for (const auto& [other, text] : lines_of(request_.headers)) {
    if (!equal_without_case(other, name)) headers.add(other, text);
  }
  headers.add(name, value);
  request_.headers = std::move(headers);
}

void Trial::undo_content_type(std::initializer_list<std::string_view> allowed,
                              std::string_view usual) {
  if (check_content_type(request_.headers, allowed)) return;
  const std::optional<std::string_view> given = request_.headers.only("Content-Type");
  note(Cause::kContentType, given ? fmt::format("it came as {}", visible(given->substr(0, 100)))
                                  : std::string("it is missing, or came twice"));
  set_header("Content-Type", usual);
}

void Trial::undo_header(std::string_view name) {
  std::vector<std::string> values;
  std::string renamed;
  for (const auto& [other, value] : lines_of(request_.headers)) {
    if (!is_renamed(other, name)) continue;
    if (!equal_without_case(other, name)) renamed = other;
    values.emplace_back(value);
  }
  if (values.empty()) {
    note(Cause::kHeaderMissing, fmt::format("there is no {}", name));
    return;
  }
  if (request_.headers.only(name)) return;
  if (renamed.empty()) {
    note(Cause::kHeaderDoubled, fmt::format("{} came {} times", name, values.size()));
  } else {
    note(Cause::kHeaderRenamed, fmt::format("{} came as {}", name, visible(renamed)));
  }
  set_header(name, values.front());
}

void Trial::undo_headers(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) undo_header(name);
}

std::optional<Finding> find_missing_body(const Question& question) {
  const std::size_t kept = question.request.body.size();
  if (question.body_bytes > kept) {
    return Finding{Cause::kBodyNotKept, Certainty::kProved,
                   fmt::format("{} of {} bytes were kept", kept, question.body_bytes)};
  }
  const std::optional<std::string_view> length = question.request.headers.only("Content-Length");
  if (!length) return std::nullopt;
  std::size_t announced = 0;
  const char* const end = length->data() + length->size();
  if (std::from_chars(length->data(), end, announced).ptr != end || announced <= kept) {
    return std::nullopt;
  }
  return Finding{Cause::kBodyTruncated, Certainty::kProved,
                 fmt::format("Content-Length says {} bytes, {} came", announced, kept)};
}

std::vector<SignatureReading> signature_readings(std::string_view text) {
  const std::string joined = without(text, "\r\n\t");
  const std::string common = replaced(replaced(joined, '-', '+'), '_', '/');
  const std::string once_more = decoded(text);
  std::vector<SignatureReading> readings = {
      {std::nullopt, "", std::string(text)},
      {Cause::kSignatureEncoding, "the signature holds line breaks", joined},
      {Cause::kSignatureEncoding, "the signature holds blanks", without(joined, " ")},
      {Cause::kPlusBecameSpace, "the signature holds blanks where '+' belongs",
       replaced(joined, ' ', '+')},
      {Cause::kSignatureEncoding, "the signature is written in the alphabet for URLs",
       padded(common)},
      {Cause::kSignatureEncoding, "the signature's padding is missing", padded(joined)},
      {Cause::kEncodedTwice, "the signature is percent-encoded once more", once_more}};
  std::erase_if(readings, [&](const SignatureReading& one) {
    return (one.cause && one.text == text) || one.text.empty() || !crypto::base64_decode(one.text);
  });
  return readings;
}

std::optional<Maker> find_maker(std::string_view signature, const Belongings& own,
                                std::span<const OtherAccount> others) {
  const auto among = [&](const Belongings& belongings,
                         const std::string& account) -> std::optional<Maker> {
    for (const KnownKey& known : belongings.keys) {
      const crypto::PublicKey* key = known.public_key();
      if (key == nullptr) continue;
      if (const auto scheme = key->scheme_made(signature)) {
        return Maker{*key, known.id, known.use, account, *scheme, known.window};
      }
    }
    return std::nullopt;
  };
  if (std::optional<Maker> maker = among(own, "")) return maker;
  for (const OtherAccount& other : others) {
    if (std::optional<Maker> maker = among(other.belongings, other.name)) return maker;
  }
  return std::nullopt;
}

std::optional<SignatureOrigin> find_origin(std::string_view text, const Belongings& own,
                                           std::span<const OtherAccount> others) {
  std::optional<SignatureOrigin> plainest;
  for (SignatureReading& reading : signature_readings(text)) {
    std::string signature = crypto::base64_decode(reading.text).value_or(std::string());
    std::optional<Maker> maker = find_maker(signature, own, others);
    const bool is_made = maker.has_value();
    if (!is_made && plainest) continue;
    SignatureOrigin origin{std::move(reading), std::move(signature), std::move(maker)};
    if (is_made) return origin;
    plainest = std::move(origin);
  }
  return plainest;
}

std::optional<Finding> window_finding(std::string_view id, const KeyWindow& window, TimePoint at) {
  if (window.holds(at)) return std::nullopt;
  const bool is_early = at < window.from;
  return Finding{Cause::kKeyNotInForce, Certainty::kProved,
                 fmt::format("key {} is the right one, but {} {}", id,
                             is_early ? "is not in force until" : "was in force only until",
                             format_rfc3339(is_early ? window.from : window.until))};
}

std::optional<Finding> finding_of(const Maker& maker, TimePoint at) {
  const std::string_view whose =
      maker.use == KnownKey::Use::kApplication ? "application" : "platform";
  if (!maker.account.empty()) {
    return Finding{
        Cause::kOtherAccountsKey, Certainty::kProved,
        fmt::format("signed by key {}, the {} key of account {}", maker.id, whose, maker.account)};
  }
  if (maker.use == KnownKey::Use::kPlatform) return window_finding(maker.id, maker.window, at);
  return Finding{Cause::kApplicationKey, Certainty::kProved,
                 fmt::format("signed by key {}, which is application_key's", maker.id)};
}

Finding identity_finding(std::string_view code, std::string_view detail,
                         std::span<const std::string> ids, std::span<const OtherAccount> others) {
  std::string text(detail);
  for (const OtherAccount& other : others) {
    for (const std::string& id : ids) {
      if (std::ranges::find(other.belongings.ids, id) == other.belongings.ids.end()) continue;
      text += fmt::format("; {} is account {}'s", visible(id), other.name);
      return {identity_cause(code), Certainty::kProved, std::move(text)};
    }
  }
  return {identity_cause(code), Certainty::kProved, std::move(text)};
}

}  // namespace postern::channel
