#include "app/config_section.h"

#include <fmt/format.h>

#include <chrono>
#include <sstream>

#include "crypto/digest.h"

namespace postern::app {
namespace {

constexpr std::string_view kSecretForm = R"("env:NAME" or "file:PATH")";
constexpr std::string_view kWindowForm =
    R"({ source = "file:PATH", from = 2026-12-01T00:00:00Z, until = 2027-12-01T00:00:00Z })";

/// Nothing where the value is no time, or one that does not say how far it is from UTC: a key that
/// begins to count eight hours late refuses what is genuine.
[[nodiscard]] std::optional<TimePoint> instant(const toml::node& node) {
  const auto* value = node.as_date_time();
  if (value == nullptr || !value->get().offset) return std::nullopt;
  const toml::date_time& given = value->get();
  const std::chrono::year_month_day date{std::chrono::year(given.date.year),
                                         std::chrono::month(given.date.month),
                                         std::chrono::day(given.date.day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(given.time.hour) +
         std::chrono::minutes(given.time.minute) + std::chrono::seconds(given.time.second) +
         std::chrono::milliseconds(given.time.nanosecond / 1'000'000) -
         std::chrono::minutes(given.offset->minutes);
}

}  // namespace

std::string at(const ConfigFile& file, toml::source_index line, std::string_view message) {
  if (line == 0) return fmt::format("{}: {}", file.name, message);
  return fmt::format("{}:{}: {}", file.name, line, message);
}

const toml::node* Section::ask(std::string_view key) {
  asked_.emplace(key);
  const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
  // A section's keys are noted by itself; a table within a line is a value.
  const bool is_section = node != nullptr && node->is_table() && !node->as_table()->is_inline();
  if (node == nullptr || is_section || file_.notes == nullptr) return node;
  SectionNotes& notes = (*file_.notes)[title_];
  notes.line = table_->source().begin.line;
  std::ostringstream text;
  text << toml::toml_formatter(*node);
  notes.settings[std::string(key)] = {.value = text.str(), .line = node->source().begin.line};
  return node;
}

void Section::note_content(std::string_view key, std::string_view content) const {
  if (file_.notes == nullptr) return;
  (*file_.notes)[title_].settings[std::string(key)].value +=
      crypto::digest(crypto::DigestAlgorithm::kSha256, content);
}

Error Section::wrong(std::string_view key, std::string_view what_to_do) const {
  const toml::node* value = table_ == nullptr ? nullptr : table_->get(key);
  if (value == nullptr) return missing(key, what_to_do);
  return wrong_at(value->source().begin.line, key, what_to_do);
}

Error Section::wrong_at(toml::source_index line, std::string_view key,
                        std::string_view what_to_do) const {
  return {ErrorClass::kFault, "setting_malformed",
          at(file_, line, fmt::format("[{}] {}: {}", title_, key, what_to_do))};
}

Error Section::missing(std::string_view key, std::string_view what_to_do) const {
  const toml::source_index line = table_ == nullptr ? 0 : table_->source().begin.line;
  return {ErrorClass::kFault, "setting_missing",
          at(file_, line, fmt::format("[{}] {} is missing: {}", title_, key, what_to_do))};
}

Result<std::optional<std::string>> Section::optional_text(std::string_view key) {
  const toml::node* node = ask(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_string();
  if (value == nullptr) return std::unexpected(wrong(key, "write a text in quotes"));
  if (value->get().empty()) {
    return std::unexpected(wrong(key, "it is empty; write a value or leave the key out"));
  }
  return value->get();
}

Result<std::string> Section::text(std::string_view key) {
  POSTERN_ASSIGN_OR_RETURN(std::optional<std::string> value, optional_text(key));
  if (!value) {
    return std::unexpected(missing(key, fmt::format("write {} = \"...\"", key)));
  }
  return std::move(*value);
}

Result<std::vector<std::string>> Section::texts(std::string_view key) {
  const toml::node* node = ask(key);
  if (node == nullptr) return std::vector<std::string>();
  const toml::array* array = node->as_array();
  const std::string form = fmt::format(R"(write a list of texts: {} = ["...", "..."])", key);
  if (array == nullptr) return std::unexpected(wrong(key, form));
  std::vector<std::string> values;
  for (const toml::node& element : *array) {
    const auto* value = element.as_string();
    if (value == nullptr || value->get().empty()) {
      return std::unexpected(
          wrong_at(element.source().begin.line, key, fmt::format("{}, none of them empty", form)));
    }
    values.push_back(value->get());
  }
  return values;
}

Result<std::optional<std::int64_t>> Section::optional_integer(std::string_view key,
                                                              std::int64_t min, std::int64_t max) {
  const toml::node* node = ask(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_integer();
  if (value == nullptr || value->get() < min || value->get() > max) {
    return std::unexpected(wrong(key, fmt::format("write a whole number from {} to {}", min, max)));
  }
  return value->get();
}

Result<bool> Section::flag(std::string_view key) {
  const toml::node* node = ask(key);
  if (node == nullptr) return false;
  const auto* value = node->as_boolean();
  if (value == nullptr) return std::unexpected(wrong(key, "write true or false"));
  return value->get();
}

Result<std::optional<Section>> Section::optional_section(std::string_view key) {
  const toml::node* node = ask(key);
  if (node == nullptr) return std::nullopt;
  if (file_.notes != nullptr) (*file_.notes)[title_].settings.erase(std::string(key));
  std::string title = fmt::format("{}.{}", title_, key);
  if (!node->is_table()) {
    return std::unexpected(wrong(key, fmt::format("write [{}] on a line of its own", title)));
  }
  return Section(file_, std::move(title), node->as_table());
}

std::string Section::place(std::string_view key) const {
  const toml::node* value = table_ == nullptr ? nullptr : table_->get(key);
  return at(file_, value == nullptr ? 0 : value->source().begin.line,
            fmt::format("[{}] {}", title_, key));
}

Result<Secret> Section::read(std::string_view key, const std::string& source,
                             SourceKind kind) const {
  Result<Secret> secret = read_secret(source, file_.folder, kind);
  if (!secret) return std::unexpected(wrong(key, secret.error().detail));
  note_content(key, secret->reveal());
  return secret;
}

Result<channel::ListedKey> Section::read_key(std::string_view key, const toml::node& node,
                                             SourceKind kind) const {
  const toml::source_index line = node.source().begin.line;
  const auto malformed = [&](std::string_view what) {
    return std::unexpected(wrong_at(line, key, what));
  };
  channel::ListedKey read;
  const toml::table* table = node.as_table();
  const toml::node* source = table == nullptr ? &node : table->get("source");
  if (source == nullptr || !source->is_string()) {
    return malformed(fmt::format("write {}, or {}", kSecretForm, kWindowForm));
  }
  if (table != nullptr) {
    for (const auto& [name, value] : *table) {
      if (name == "source") continue;
      const std::optional<TimePoint> time = instant(value);
      if ((name != "from" && name != "until") || !time) {
        return malformed(fmt::format(
            "write {} with either time or both; a time ends with Z or with its offset from UTC, "
            "such as +08:00",
            kWindowForm));
      }
      (name == "from" ? read.window.from : read.window.until) = *time;
    }
    if (read.window.from >= read.window.until) {
      return malformed("`until` is not after `from`, so the key would never count");
    }
  }
  Result<Secret> text = read_secret(source->as_string()->get(), file_.folder, kind);
  if (!text) return malformed(text.error().detail);
  note_content(key, text->reveal());
  read.text = std::move(*text);
  return read;
}

Result<std::optional<channel::ListedKey>> Section::optional_key(std::string_view key,
                                                                SourceKind kind) {
  const toml::node* node = ask(key);
  if (node == nullptr) return std::nullopt;
  POSTERN_ASSIGN_OR_RETURN(channel::ListedKey read, read_key(key, *node, kind));
  return std::optional(std::move(read));
}

Result<std::vector<channel::ListedKey>> Section::keys(std::string_view key, SourceKind kind) {
  const toml::node* node = ask(key);
  if (node == nullptr) return std::vector<channel::ListedKey>();
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    return std::unexpected(
        wrong(key, fmt::format(R"(write a list: {} = ["file:...", {}])", key, kWindowForm)));
  }
  std::vector<channel::ListedKey> keys;
  for (const toml::node& element : *array) {
    POSTERN_ASSIGN_OR_RETURN(channel::ListedKey read, read_key(key, element, kind));
    keys.push_back(std::move(read));
  }
  return keys;
}

Result<std::optional<Secret>> Section::optional_secret(std::string_view key, SourceKind kind) {
  const toml::node* node = ask(key);
  if (node == nullptr) return std::nullopt;
  const auto* source = node->as_string();
  if (source == nullptr) {
    return std::unexpected(wrong(key, fmt::format("write {}", kSecretForm)));
  }
  POSTERN_ASSIGN_OR_RETURN(Secret secret, read(key, source->get(), kind));
  return std::optional(std::move(secret));
}

Result<Secret> Section::secret(std::string_view key) {
  POSTERN_ASSIGN_OR_RETURN(std::optional<Secret> secret, optional_secret(key));
  if (!secret) {
    return std::unexpected(missing(key, fmt::format("write {} = {}", key, kSecretForm)));
  }
  return std::move(*secret);
}

Result<std::vector<Secret>> Section::secrets(std::string_view key) {
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> sources, texts(key));
  std::vector<Secret> secrets;
  for (const std::string& source : sources) {
    POSTERN_ASSIGN_OR_RETURN(Secret secret, read(key, source, SourceKind::kKey));
    secrets.push_back(std::move(secret));
  }
  return secrets;
}

Result<std::vector<std::pair<std::string, Secret>>> Section::named_secrets(std::string_view key) {
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> sources, texts(key));
  std::vector<std::pair<std::string, Secret>> secrets;
  for (const std::string& source : sources) {
    const std::size_t equals = source.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return std::unexpected(wrong(key, R"(write them as "name=env:NAME" or "name=file:PATH")"));
    }
    POSTERN_ASSIGN_OR_RETURN(Secret secret,
                             read(key, source.substr(equals + 1), SourceKind::kPassword));
    secrets.emplace_back(source.substr(0, equals), std::move(secret));
  }
  return secrets;
}

Result<void> Section::finish() const {
  if (table_ == nullptr) return {};
  for (const auto& [key, value] : *table_) {
    if (asked_.contains(key.str())) continue;
    return fault("setting_unknown", at(file_, key.source().begin.line,
                                       fmt::format("[{}] there is no key {}; the keys are {}",
                                                   title_, key.str(), fmt::join(asked_, ", "))));
  }
  return {};
}

}  // namespace postern::app
