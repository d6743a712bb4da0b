#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "channel/settings.h"

namespace postern::channel {

/// Settings out of a map, as the configuration reader would give them; secrets stand in it plainly.
class FakeSettings final : public Settings {
 public:
  explicit FakeSettings(std::string account = "shop") : account_(std::move(account)) {}

  FakeSettings& set(const std::string& key, std::string value) {
    values_[key] = {std::move(value)};
    return *this;
  }
  FakeSettings& set(const std::string& key, std::vector<std::string> values) {
    values_[key] = std::move(values);
    return *this;
  }
  /// Has every key whose text is `value` count in `window` only.
  FakeSettings& in_force(std::string value, KeyWindow window) {
    windows_.emplace_back(std::move(value), window);
    return *this;
  }
  FakeSettings& remove(const std::string& key) {
    values_.erase(key);
    return *this;
  }

  [[nodiscard]] std::string_view account() const override { return account_; }

  [[nodiscard]] Result<std::string> text(std::string_view key) override {
    const auto* values = find(key);
    if (values == nullptr) return rejected("setting_missing", std::string(key));
    if (values->size() != 1) return std::unexpected(wrong(key, "write one text"));
    return values->front();
  }
  [[nodiscard]] Result<std::optional<std::string>> optional_text(std::string_view key) override {
    if (find(key) == nullptr) return std::nullopt;
    POSTERN_ASSIGN_OR_RETURN(std::string value, text(key));
    return value;
  }
  [[nodiscard]] Result<std::vector<std::string>> texts(std::string_view key) override {
    const auto* values = find(key);
    return values == nullptr ? std::vector<std::string>() : *values;
  }
  [[nodiscard]] Result<Secret> secret(std::string_view key) override {
    POSTERN_ASSIGN_OR_RETURN(std::string value, text(key));
    return Secret(std::move(value));
  }
  [[nodiscard]] Result<std::optional<Secret>> optional_secret(std::string_view key) override {
    if (find(key) == nullptr) return std::nullopt;
    POSTERN_ASSIGN_OR_RETURN(Secret value, secret(key));
    return value;
  }
  [[nodiscard]] Result<std::optional<ListedKey>> optional_key(std::string_view key) override {
    if (find(key) == nullptr) return std::nullopt;
    POSTERN_ASSIGN_OR_RETURN(std::string value, text(key));
    return listed(std::move(value));
  }
  [[nodiscard]] Result<std::vector<ListedKey>> keys(std::string_view key,
                                                    KeyKind /*kind*/) override {
    POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> values, texts(key));
    std::vector<ListedKey> keys;
    for (const std::string& value : values) keys.push_back(listed(value));
    return keys;
  }
  [[nodiscard]] Error wrong(std::string_view key, std::string_view what_to_do) const override {
    return {ErrorClass::kRejected, "setting_malformed",
            std::string(key) + ": " + std::string(what_to_do)};
  }

  /// Keys that were set and that nobody asked for: the reader would refuse them as unknown.
  [[nodiscard]] std::vector<std::string> never_read() const {
    std::vector<std::string> result;
    for (const auto& [key, values] : values_) {
      if (std::ranges::find(read_, key) == read_.end()) result.push_back(key);
    }
    return result;
  }

 private:
  [[nodiscard]] const std::vector<std::string>* find(std::string_view key) {
    read_.emplace_back(key);
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }

  [[nodiscard]] ListedKey listed(std::string value) const {
    const auto found =
        std::ranges::find(windows_, value, &std::pair<std::string, KeyWindow>::first);
    const KeyWindow window = found == windows_.end() ? KeyWindow() : found->second;
    return {Secret(std::move(value)), window};
  }

  std::string account_;
  std::vector<std::pair<std::string, KeyWindow>> windows_;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> read_;
};

}  // namespace postern::channel
