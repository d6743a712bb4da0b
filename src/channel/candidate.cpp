#include "channel/candidate.h"

#include <fmt/format.h>

namespace postern::channel {

Result<std::string> CandidateSettings::text(std::string_view key) {
  return std::unexpected(wrong(key, "it is missing"));
}

Result<std::optional<std::string>> CandidateSettings::optional_text(std::string_view /*key*/) {
  return std::nullopt;
}

Result<std::vector<std::string>> CandidateSettings::texts(std::string_view key) {
  if (key != ids_setting_ || candidate_.id.empty()) return std::vector<std::string>();
  return std::vector<std::string>{candidate_.id};
}

Result<Secret> CandidateSettings::secret(std::string_view key) {
  if (key == candidate_.setting) return candidate_.text;
  return std::unexpected(wrong(key, "it is missing"));
}

Result<std::optional<Secret>> CandidateSettings::optional_secret(std::string_view key) {
  if (key == candidate_.setting) return candidate_.text;
  return std::nullopt;
}

Result<std::optional<ListedKey>> CandidateSettings::optional_key(std::string_view key) {
  if (key == candidate_.setting) return ListedKey{candidate_.text, {}};
  return std::nullopt;
}

Result<std::vector<ListedKey>> CandidateSettings::keys(std::string_view key, KeyKind /*kind*/) {
  if (key == candidate_.setting) return std::vector{ListedKey{candidate_.text, {}}};
  return std::vector<ListedKey>();
}

Error CandidateSettings::wrong(std::string_view key, std::string_view what_to_do) const {
  return {ErrorClass::kRejected, "key_refused", fmt::format("{}: {}", key, what_to_do)};
}

KeyKind kind_of_setting(std::string_view setting) {
  return setting.starts_with("api_") ? KeyKind::kSecret : KeyKind::kPublic;
}

std::unexpected<Error> not_a_key_setting(std::string_view setting,
                                         std::string_view those_that_are) {
  return rejected("key_refused", fmt::format("{} does not verify callbacks of this account; {} do",
                                             setting, those_that_are));
}

}  // namespace postern::channel
