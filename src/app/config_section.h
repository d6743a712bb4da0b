#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/secret_source.h"
#include "base/result.h"
#include "base/secret.h"
#include "channel/settings.h"

namespace postern::app {

/// What a section was read as, so that another reading can be compared with it.
struct SectionNotes {
  struct Setting {
    /// As TOML, with a digest of what each secret and file it names held. Never shown.
    std::string value;
    toml::source_index line = 0;
  };
  toml::source_index line = 0;
  std::map<std::string, Setting, std::less<>> settings;
};
/// By title, such as "account.alipay".
using ConfigNotes = std::map<std::string, SectionNotes, std::less<>>;

/// The file being read: its name for messages, and the folder that relative paths start from.
struct ConfigFile {
  std::string name;
  std::filesystem::path folder;
  ConfigNotes* notes = nullptr;  ///< where sections write what they are asked for; nullptr: nowhere
};

/// One table of the configuration, such as [account.alipay].
///
/// Remembers which keys were asked for, so that `finish` can refuse the others. Every error reads
/// "FILE:LINE: [section] key: what to write", and repeats no value.
/// Lifetime: file and table outlive the section.
class Section {
 public:
  /// @param title  such as "account.alipay"
  /// @param table  nullptr: the section is not there, and all its keys are missing
  Section(const ConfigFile& file, std::string title, const toml::table* table)
      : file_(file), title_(std::move(title)), table_(table) {}

  // Texts are not empty. @errors setting_missing, setting_malformed
  [[nodiscard]] Result<std::string> text(std::string_view key);
  [[nodiscard]] Result<std::optional<std::string>> optional_text(std::string_view key);
  /// An absent list is empty.
  [[nodiscard]] Result<std::vector<std::string>> texts(std::string_view key);
  [[nodiscard]] Result<std::optional<std::int64_t>> optional_integer(std::string_view key,
                                                                     std::int64_t min,
                                                                     std::int64_t max);
  /// An absent flag is false.
  [[nodiscard]] Result<bool> flag(std::string_view key);
  [[nodiscard]] Result<Secret> secret(std::string_view key);
  [[nodiscard]] Result<std::optional<Secret>> optional_secret(std::string_view key,
                                                              SourceKind kind = SourceKind::kKey);
  [[nodiscard]] Result<std::vector<Secret>> secrets(std::string_view key);
  /// "env:...", "file:...", or { source = "file:...", from = TIME, until = TIME } with at least one
  /// of the times, which name their offset from UTC.
  [[nodiscard]] Result<std::optional<channel::ListedKey>> optional_key(
      std::string_view key, SourceKind kind = SourceKind::kKey);
  /// A list of these; an absent one is empty.
  [[nodiscard]] Result<std::vector<channel::ListedKey>> keys(std::string_view key, SourceKind kind);
  /// A list of "name=env:..." or "name=file:...".
  [[nodiscard]] Result<std::vector<std::pair<std::string, Secret>>> named_secrets(
      std::string_view key);

  /// Notes that the value of `key` stands for `content`, such as a file's: where that differs, so
  /// does the setting.
  void note_content(std::string_view key, std::string_view content) const;

  /// The table `key` within this one, such as [server.tls] within [server]; lives as long as this
  /// section's own.
  [[nodiscard]] Result<std::optional<Section>> optional_section(std::string_view key);

  /// Where `key` stands: "FILE:LINE: [section] key".
  [[nodiscard]] std::string place(std::string_view key) const;
  /// Whether `key` is there, if only as an empty list.
  [[nodiscard]] bool has(std::string_view key) const {
    return table_ != nullptr && table_->contains(key);
  }

  /// An error about the value of `key`, at its line.
  [[nodiscard]] Error wrong(std::string_view key, std::string_view what_to_do) const;

  /// @errors setting_unknown: a key that nobody asked for
  [[nodiscard]] Result<void> finish() const;

  [[nodiscard]] const std::string& title() const { return title_; }

 private:
  [[nodiscard]] const toml::node* ask(std::string_view key);
  [[nodiscard]] Error missing(std::string_view key, std::string_view what_to_do) const;
  [[nodiscard]] Error wrong_at(toml::source_index line, std::string_view key,
                               std::string_view what_to_do) const;
  [[nodiscard]] Result<Secret> read(std::string_view key, const std::string& source,
                                    SourceKind kind) const;
  [[nodiscard]] Result<channel::ListedKey> read_key(std::string_view key, const toml::node& node,
                                                    SourceKind kind) const;

  const ConfigFile& file_;
  std::string title_;
  const toml::table* table_;
  std::set<std::string, std::less<>> asked_;
};

/// "FILE:LINE: message"; without a line where there is none.
[[nodiscard]] std::string at(const ConfigFile& file, toml::source_index line,
                             std::string_view message);

}  // namespace postern::app
