#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace postern::channel {

/// When a key counts: from `from` on, and before `until`.
struct KeyWindow {
  TimePoint from = TimePoint::min();
  TimePoint until = TimePoint::max();

  [[nodiscard]] bool holds(TimePoint now) const { return from <= now && now < until; }
  friend bool operator==(const KeyWindow&, const KeyWindow&) = default;
};

/// A key as the operator gave it, and when it counts.
struct ListedKey {
  Secret text;
  KeyWindow window;
};

/// Whether whoever reads a key could do anything with it.
enum class KeyKind : unsigned char { kSecret, kPublic };

/// The settings of one account, as the operator wrote them; the configuration reader implements it.
///
/// Every error names the file, the line and the key, and says what to write. A key that no getter
/// asked for is refused by the reader afterwards, so a channel asks for every key it knows.
/// @errors setting_missing, setting_malformed
class Settings {
 public:
  virtual ~Settings() = default;
  /// The account's name: the path segment of its callback URL.
  [[nodiscard]] virtual std::string_view account() const = 0;

  [[nodiscard]] virtual Result<std::string> text(std::string_view key) = 0;
  [[nodiscard]] virtual Result<std::optional<std::string>> optional_text(std::string_view key) = 0;
  /// An absent list is empty.
  [[nodiscard]] virtual Result<std::vector<std::string>> texts(std::string_view key) = 0;
  /// What `env:NAME` or `file:PATH` in the setting points at, without one final line end.
  [[nodiscard]] virtual Result<Secret> secret(std::string_view key) = 0;
  [[nodiscard]] virtual Result<std::optional<Secret>> optional_secret(std::string_view key) = 0;
  /// The same, where it may also say when it counts.
  [[nodiscard]] virtual Result<std::optional<ListedKey>> optional_key(std::string_view key) = 0;
  /// A list of them; an absent one is empty.
  [[nodiscard]] virtual Result<std::vector<ListedKey>> keys(std::string_view key, KeyKind kind) = 0;
  /// An error about the value of `key`, with its place in the file.
  [[nodiscard]] virtual Error wrong(std::string_view key, std::string_view what_to_do) const = 0;
};

}  // namespace postern::channel
