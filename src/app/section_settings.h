#pragma once

#include <string>
#include <vector>

#include "app/config_section.h"
#include "app/key_summary.h"
#include "channel/settings.h"

namespace postern::app {

/// Shows an account's section to its channel, and notes which keys the channel read.
/// Lifetime: the section outlives it.
class SectionSettings final : public channel::Settings {
 public:
  SectionSettings(Section& section, std::string account)
      : section_(section), account_(std::move(account)) {}

  [[nodiscard]] std::string_view account() const override { return account_; }
  [[nodiscard]] Result<std::string> text(std::string_view key) override;
  [[nodiscard]] Result<std::optional<std::string>> optional_text(std::string_view key) override;
  [[nodiscard]] Result<std::vector<std::string>> texts(std::string_view key) override;
  [[nodiscard]] Result<Secret> secret(std::string_view key) override;
  [[nodiscard]] Result<std::optional<Secret>> optional_secret(std::string_view key) override;
  [[nodiscard]] Result<std::optional<channel::ListedKey>> optional_key(
      std::string_view key) override;
  [[nodiscard]] Result<std::vector<channel::ListedKey>> keys(std::string_view key,
                                                             channel::KeyKind kind) override;
  [[nodiscard]] Error wrong(std::string_view key, std::string_view what_to_do) const override;

  [[nodiscard]] std::vector<KeySummary> take_keys() { return std::move(keys_); }

 private:
  Section& section_;
  std::string account_;
  std::vector<KeySummary> keys_;
};

}  // namespace postern::app
