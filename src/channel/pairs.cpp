// The usual mistakes between a platform and a verifier of form fields, each with its opposite. A
// mistake is undone in all fields at once, then in one field alone, because a forwarder spoils all
// of them and a developer's code often one.
#include "channel/pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "channel/charset.h"
#include "channel/form.h"

namespace postern::channel {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n";
/// Fields that are looked at in all. A message of a platform's needs some 2,000 attempts of 40
/// fields; one made to keep us busy must end too.
constexpr std::size_t kFieldsTriedMax = 150'000;

enum class HexCase : unsigned char { kUpper, kLower };
enum class Blank : unsigned char { kPlus, kEscaped };

[[nodiscard]] std::string percent_encode(std::string_view text, HexCase hex, Blank blank) {
  std::string result;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '*';
    const auto byte = static_cast<unsigned>(static_cast<unsigned char>(c));
    if (is_plain) {
      result.push_back(c);
    } else if (c == ' ' && blank == Blank::kPlus) {
      result.push_back('+');
    } else {
      result +=
          hex == HexCase::kUpper ? fmt::format("%{:02X}", byte) : fmt::format("%{:02x}", byte);
    }
  }
  return result;
}

[[nodiscard]] std::string replace_all(std::string text, std::string_view from,
                                      std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

[[nodiscard]] std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

[[nodiscard]] std::string html_unescaped(std::string text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kReferences = {
      {{"&quot;", "\""},
       {"&#34;", "\""},
       {"&#39;", "'"},
       {"&lt;", "<"},
       {"&gt;", ">"},
       {"&amp;", "&"}}};
  for (const auto& [reference, plain] : kReferences) {
    text = replace_all(std::move(text), reference, plain);
  }
  return text;
}

[[nodiscard]] std::string decoded_again(const std::string& text) {
  const Result<Fields> fields = parse_form("x=" + text);
  return fields && fields->pairs().size() == 1 ? std::string(fields->text("x")) : text;
}

[[nodiscard]] std::string compact_json(const std::string& text) {
  if (!text.starts_with('[') && !text.starts_with('{')) return text;
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  return error ? text : boost::json::serialize(value);
}

/// UTF-8 that was read as ISO 8859-1 and written as UTF-8 once more, put back.
[[nodiscard]] std::string from_latin1(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      result.push_back(text[i]);
    } else if ((byte == 0xC2 || byte == 0xC3) && i + 1 < text.size()) {
      const auto next = static_cast<unsigned char>(text[++i]);
      result.push_back(static_cast<char>((byte & 0x03U) << 6U | (next & 0x3FU)));
    } else {
      return text;
    }
  }
  return result;
}

[[nodiscard]] bool is_signature_field(std::string_view name) {
  return name == "sign" || name == "sign_type";
}

class Guesser {
 public:
  Guesser(const Pairs& pairs, const PairKnowledge& knowledge,
          const std::function<bool(const Pairs&)>& holds)
      : pairs_(pairs), knowledge_(knowledge), holds_(holds) {}

  [[nodiscard]] std::optional<PairGuess> run() {
    (void)(added() || spoiled() || charset() || dropped());
    return std::move(found_);
  }

 private:
  using Change = std::function<std::string(const std::string&)>;

  [[nodiscard]] bool attempt(Cause cause, std::string detail, Pairs pairs) {
    if (pairs == pairs_ || tried_ > kFieldsTriedMax) return false;
    tried_ += pairs.size();
    if (!holds_(pairs)) return false;
    found_ = PairGuess{cause, std::move(detail), std::move(pairs)};
    return true;
  }

  /// Changes the values of all fields, then of one alone.
  [[nodiscard]] bool change(Cause cause, std::string_view what, const Change& undo) {
    Pairs all = pairs_;
    std::string names;
    for (auto& [name, value] : all) {
      if (is_signature_field(name)) continue;
      std::string undone = undo(value);
      if (undone != value) names += (names.empty() ? "" : ", ") + visible(name);
      value = std::move(undone);
    }
    if (names.empty()) return false;
    if (attempt(cause, fmt::format("{} in {}", what, names), std::move(all))) return true;
    return std::ranges::any_of(pairs_, [&](const auto& pair) {
      if (is_signature_field(pair.first)) return false;
      return change_one(cause, what, pair.first, undo(pair.second));
    });
  }

  [[nodiscard]] bool change_one(Cause cause, std::string_view what, const std::string& name,
                                std::string value) {
    Pairs changed = pairs_;
    set_value(changed, name, std::move(value));
    return attempt(cause, fmt::format("{} in {}", what, visible(name)), std::move(changed));
  }

  [[nodiscard]] bool remove(Cause cause, const std::function<bool(std::string_view)>& is_removed) {
    Pairs left;
    std::string names;
    for (const auto& pair : pairs_) {
      if (is_removed(pair.first)) {
        names += (names.empty() ? "" : ", ") + visible(pair.first);
      } else {
        left.push_back(pair);
      }
    }
    return attempt(cause, fmt::format("not signed: {}", names), std::move(left));
  }

  [[nodiscard]] bool added() {
    if (const Result<Fields> query = parse_form(knowledge_.query)) {
      if (remove(Cause::kQueryMerged, [&](std::string_view name) {
            return !is_signature_field(name) && query->find(name).has_value();
          })) {
        return true;
      }
    }
    const auto is_unknown = [&](std::string_view name) {
      return !is_signature_field(name) &&
             std::ranges::find(knowledge_.names, name) == knowledge_.names.end();
    };
    if (remove(Cause::kFieldAdded, is_unknown)) return true;
    return std::ranges::any_of(pairs_, [&](const auto& pair) {
      return !is_signature_field(pair.first) &&
             remove(Cause::kFieldAdded, [&](std::string_view name) { return name == pair.first; });
    });
  }

  [[nodiscard]] bool spoiled() {
    return change(Cause::kHtmlEscaped, "characters stand as HTML references", html_unescaped) ||
           change(Cause::kBackslashesAdded, "backslashes stand in front of quotes",
                  [](const std::string& text) {
                    return replace_all(replace_all(text, "\\\"", "\""), "\\'", "'");
                  }) ||
           change(Cause::kEncodedTwice, "a value is percent-encoded once more", decoded_again) ||
           change(Cause::kSpaceBecamePlus, "'+' stands for a blank",
                  [](const std::string& text) { return replace_all(text, "+", " "); }) ||
           plus_became_space() || decoded_twice() ||
           change(Cause::kLineEnds, "CR LF stands for LF",
                  [](const std::string& text) { return replace_all(text, "\r\n", "\n"); }) ||
           change(Cause::kLineEnds, "LF stands for CR LF",
                  [](const std::string& text) {
                    return replace_all(replace_all(text, "\r\n", "\n"), "\n", "\r\n");
                  }) ||
           change(Cause::kWhiteSpaceAdded, "white space stands around the value", trimmed) ||
           change(Cause::kReserialised, "the JSON is written another way", compact_json) ||
           was_trimmed();
  }

  /// Which blanks were pluses nobody knows: all of a field, then each alone.
  [[nodiscard]] bool plus_became_space() {
    constexpr std::string_view kWhat = "a blank stands for '+'";
    if (change(Cause::kPlusBecameSpace, kWhat,
               [](const std::string& text) { return replace_all(text, " ", "+"); })) {
      return true;
    }
    for (const auto& [name, value] : pairs_) {
      if (is_signature_field(name)) continue;
      for (std::size_t at = value.find(' '); at != std::string::npos;
           at = value.find(' ', at + 1)) {
        std::string undone = value;
        undone[at] = '+';
        if (change_one(Cause::kPlusBecameSpace, kWhat, name, std::move(undone))) return true;
      }
    }
    return false;
  }

  [[nodiscard]] bool decoded_twice() {
    for (const HexCase hex : {HexCase::kUpper, HexCase::kLower}) {
      for (const Blank blank : {Blank::kPlus, Blank::kEscaped}) {
        if (change(Cause::kDecodedTwice, "a value is decoded once too often",
                   [&](const std::string& text) { return percent_encode(text, hex, blank); })) {
          return true;
        }
      }
    }
    return false;
  }

  [[nodiscard]] bool was_trimmed() {
    for (const std::string_view end : {" ", "\n", "\r\n", "\t", "  "}) {
      for (const auto& [name, value] : pairs_) {
        if (is_signature_field(name) || value.empty()) continue;
        if (change_one(Cause::kTrimmed, "white space is missing", name, value + std::string(end)) ||
            change_one(Cause::kTrimmed, "white space is missing", name, std::string(end) + value)) {
          return true;
        }
      }
    }
    return false;
  }

  [[nodiscard]] bool charset() {
    const auto keep_if_malformed = [](auto convert) {
      return [convert](const std::string& text) {
        return convert(Charset::kGb18030, text).value_or(text);
      };
    };
    return change(Cause::kCharset, "UTF-8 stands for GBK", keep_if_malformed(from_utf8)) ||
           change(Cause::kCharset, "GBK stands for UTF-8", keep_if_malformed(to_utf8)) ||
           change(Cause::kCharset, "UTF-8 was read as ISO 8859-1", from_latin1);
  }

  [[nodiscard]] bool put_back(Cause cause, std::string_view name, std::string_view value,
                              Pairs pairs, std::string detail) {
    pairs.emplace_back(name, value);
    return attempt(cause, std::move(detail), std::move(pairs));
  }

  [[nodiscard]] bool dropped() {
    for (const auto& [name, value] : knowledge_.constants) {
      const bool is_there =
          std::ranges::find(pairs_, name, &Pairs::value_type::first) != pairs_.end();
      if (is_there) continue;
      if (put_back(Cause::kFieldDropped, name, value, pairs_,
                   fmt::format("{}={} was signed and did not come", name, value))) {
        return true;
      }
    }
    std::vector<std::string_view> absent;
    for (const std::string_view name : knowledge_.names) {
      const bool is_there =
          std::ranges::find(pairs_, name, &Pairs::value_type::first) != pairs_.end();
      if (!is_there && !is_signature_field(name)) absent.push_back(name);
    }
    for (std::size_t i = 0; i < absent.size(); ++i) {
      if (put_back(Cause::kEmptyFieldDropped, absent[i], "", pairs_,
                   fmt::format("{} was signed empty and did not come", absent[i]))) {
        return true;
      }
    }
    for (std::size_t i = 0; i < absent.size(); ++i) {
      Pairs with_one = pairs_;
      with_one.emplace_back(absent[i], "");
      for (std::size_t j = i + 1; j < absent.size(); ++j) {
        if (put_back(Cause::kEmptyFieldDropped, absent[j], "", with_one,
                     fmt::format("{} and {} were signed empty and did not come", absent[i],
                                 absent[j]))) {
          return true;
        }
      }
    }
    return false;
  }

  const Pairs& pairs_;
  const PairKnowledge& knowledge_;
  const std::function<bool(const Pairs&)>& holds_;
  std::size_t tried_ = 0;
  std::optional<PairGuess> found_;
};

[[nodiscard]] std::string byte_at(std::string_view text, std::size_t at) {
  if (at >= text.size()) return "nothing";
  return fmt::format("0x{:02X} ({})", static_cast<unsigned>(static_cast<unsigned char>(text[at])),
                     visible(text.substr(at, 1)));
}

}  // namespace

Pairs to_pairs(const Fields& fields) {
  return {fields.pairs().begin(), fields.pairs().end()};
}

Result<Fields> to_fields(const Pairs& pairs) {
  Fields fields;
  for (const auto& [name, value] : pairs) POSTERN_RETURN_IF_ERROR(fields.add(name, value));
  return fields;
}

std::string_view value_of(const Pairs& pairs, std::string_view name) {
  const auto found = std::ranges::find(pairs, name, &Pairs::value_type::first);
  return found == pairs.end() ? std::string_view() : found->second;
}

void set_value(Pairs& pairs, std::string_view name, std::string value) {
  const auto found = std::ranges::find(pairs, name, &Pairs::value_type::first);
  if (found == pairs.end()) {
    pairs.emplace_back(name, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

std::string encode_form(const Pairs& pairs) {
  std::string body;
  for (const auto& [name, value] : pairs) {
    if (!body.empty()) body.push_back('&');
    body += percent_encode(name, HexCase::kUpper, Blank::kPlus) + "=" +
            percent_encode(value, HexCase::kUpper, Blank::kPlus);
  }
  return body;
}

std::optional<PairGuess> guess_pairs(const Pairs& pairs, const PairKnowledge& knowledge,
                                     const std::function<bool(const Pairs&)>& holds) {
  return Guesser(pairs, knowledge, holds).run();
}

std::string show_pairs(const Pairs& pairs, std::span<const std::string_view> left_out,
                       std::span<const std::string_view> plain) {
  Pairs sorted = pairs;
  std::ranges::sort(sorted, {}, &Pairs::value_type::first);
  std::string text;
  for (const auto& [name, value] : sorted) {
    if (std::ranges::find(left_out, name) != left_out.end()) continue;
    if (!text.empty()) text += "&";
    const bool is_plain = value.empty() || std::ranges::find(plain, name) != plain.end();
    text += fmt::format("{}={}", visible(name),
                        is_plain ? visible(value) : fmt::format("[{} bytes]", value.size()));
  }
  return visible(text);
}

std::string describe_difference(const Pairs& came, const Pairs& signed_pairs) {
  Pairs ours = came;
  Pairs theirs = signed_pairs;
  std::ranges::sort(ours, {}, &Pairs::value_type::first);
  std::ranges::sort(theirs, {}, &Pairs::value_type::first);
  const auto is_outside = [](const auto& pair) { return is_signature_field(pair.first); };
  std::erase_if(ours, is_outside);
  std::erase_if(theirs, is_outside);
  for (std::size_t i = 0; i < std::max(ours.size(), theirs.size()); ++i) {
    const bool only_theirs =
        i >= ours.size() || (i < theirs.size() && theirs[i].first < ours[i].first);
    const bool only_ours =
        i >= theirs.size() || (i < ours.size() && ours[i].first < theirs[i].first);
    if (only_theirs) {
      return fmt::format("{} was signed ({} bytes) and did not come", visible(theirs[i].first),
                         theirs[i].second.size());
    }
    if (only_ours) return fmt::format("{} came and was not signed", visible(ours[i].first));
    const std::string inside = describe_difference(ours[i].second, theirs[i].second);
    if (!inside.empty()) return fmt::format("in {}: {}", visible(ours[i].first), inside);
  }
  return {};
}

std::string describe_difference(std::string_view came, std::string_view signed_text) {
  if (came == signed_text) return {};
  const auto [one, other] = std::ranges::mismatch(came, signed_text);
  const auto at = static_cast<std::size_t>(one - came.begin());
  return fmt::format("byte {} of {} came as {}; what was signed has {} bytes and there {}", at + 1,
                     came.size(), byte_at(came, at), signed_text.size(), byte_at(signed_text, at));
}

}  // namespace postern::channel
