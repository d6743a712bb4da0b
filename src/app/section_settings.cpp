#include "app/section_settings.h"

namespace postern::app {

Result<std::string> SectionSettings::text(std::string_view key) {
  return section_.text(key);
}

Result<std::optional<std::string>> SectionSettings::optional_text(std::string_view key) {
  return section_.optional_text(key);
}

Result<std::vector<std::string>> SectionSettings::texts(std::string_view key) {
  return section_.texts(key);
}

Result<Secret> SectionSettings::secret(std::string_view key) {
  Result<Secret> secret = section_.secret(key);
  if (secret) keys_.push_back(summarize_key(key, *secret));
  return secret;
}

Result<std::optional<Secret>> SectionSettings::optional_secret(std::string_view key) {
  Result<std::optional<Secret>> secret = section_.optional_secret(key);
  if (secret && *secret) keys_.push_back(summarize_key(key, **secret));
  return secret;
}

Result<std::optional<channel::ListedKey>> SectionSettings::optional_key(std::string_view key) {
  Result<std::optional<channel::ListedKey>> read = section_.optional_key(key);
  if (read && *read) keys_.push_back(summarize_key(key, (*read)->text, (*read)->window));
  return read;
}

Result<std::vector<channel::ListedKey>> SectionSettings::keys(std::string_view key,
                                                              channel::KeyKind kind) {
  Result<std::vector<channel::ListedKey>> read = section_.keys(
      key, kind == channel::KeyKind::kPublic ? SourceKind::kPublic : SourceKind::kKey);
  if (read) {
    for (const channel::ListedKey& one : *read) {
      keys_.push_back(summarize_key(key, one.text, one.window));
    }
  }
  return read;
}

Error SectionSettings::wrong(std::string_view key, std::string_view what_to_do) const {
  return section_.wrong(key, what_to_do);
}

}  // namespace postern::app
