#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace postern {

/// Longest text of an id; every platform's numbers are far shorter.
inline constexpr std::size_t kIdBytesMax = 128;

/// Whether `text` can be an id: 1 to 128 bytes, none of them a control character or DEL. Nothing
/// is trimmed or folded: "ABC", "abc" and "ABC " are three ids.
[[nodiscard]] bool is_id_text(std::string_view text);

/// A validated text id. Ids of different tags neither convert nor compare.
template <class Tag>
class Id {
 public:
  /// @errors id_malformed
  [[nodiscard]] static Result<Id> parse(std::string_view text) {
    if (!is_id_text(text)) {
      return rejected("id_malformed", "an id is 1 to 128 bytes without control characters");
    }
    return Id(std::string(text));
  }
  /// For text that has been validated before, such as a row of our own store.
  [[nodiscard]] static Id trusted(std::string text) { return Id(std::move(text)); }

  [[nodiscard]] const std::string& text() const { return text_; }
  friend auto operator<=>(const Id&, const Id&) = default;

 private:
  explicit Id(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

using AccountName = Id<struct AccountTag>;
using MerchantName = Id<struct MerchantTag>;
using MerchantOrderId = Id<struct MerchantOrderTag>;
using EndpointName = Id<struct EndpointTag>;

}  // namespace postern
