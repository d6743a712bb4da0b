#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "channel/settings.h"

namespace postern::channel {

/// A key that is not configured yet, to be tried in place of those that are.
struct CandidateKey {
  std::string setting;  ///< such as "platform_keys"
  Secret text;
  std::string id;  ///< where messages name the key by an id that it does not tell: "PUB_KEY_ID_..."
};

/// Settings that hold one key and nothing else, so that a candidate is read by the very code that
/// reads a configured one. Errors name the setting alone: there is no file.
class CandidateSettings final : public Settings {
 public:
  /// @param ids_setting  lists `candidate.id`; empty: no setting does
  CandidateSettings(const CandidateKey& candidate, std::string_view account,
                    std::string_view ids_setting = {})
      : candidate_(candidate), account_(account), ids_setting_(ids_setting) {}

  [[nodiscard]] std::string_view account() const override { return account_; }
  [[nodiscard]] Result<std::string> text(std::string_view key) override;
  [[nodiscard]] Result<std::optional<std::string>> optional_text(std::string_view key) override;
  [[nodiscard]] Result<std::vector<std::string>> texts(std::string_view key) override;
  [[nodiscard]] Result<Secret> secret(std::string_view key) override;
  [[nodiscard]] Result<std::optional<Secret>> optional_secret(std::string_view key) override;
  [[nodiscard]] Result<std::optional<ListedKey>> optional_key(std::string_view key) override;
  [[nodiscard]] Result<std::vector<ListedKey>> keys(std::string_view key, KeyKind kind) override;
  [[nodiscard]] Error wrong(std::string_view key, std::string_view what_to_do) const override;

 private:
  const CandidateKey& candidate_;
  const std::string_view account_;
  const std::string_view ids_setting_;
};

/// Whether the value of a setting has to be hidden.
[[nodiscard]] KeyKind kind_of_setting(std::string_view setting);

/// The refusal of a candidate for a setting that holds no keys that callbacks are verified with.
[[nodiscard]] std::unexpected<Error> not_a_key_setting(std::string_view setting,
                                                       std::string_view those_that_are);

}  // namespace postern::channel
