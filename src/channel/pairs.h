#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "channel/explanation.h"
#include "channel/fields.h"

namespace postern::channel {

/// Decoded fields that may be changed, in the order received; for explaining only.
using Pairs = std::vector<std::pair<std::string, std::string>>;

[[nodiscard]] Pairs to_pairs(const Fields& fields);
/// @errors key_duplicate, fields_too_many
[[nodiscard]] Result<Fields> to_fields(const Pairs& pairs);
/// The value of `name`; empty where there is none.
[[nodiscard]] std::string_view value_of(const Pairs& pairs, std::string_view name);
void set_value(Pairs& pairs, std::string_view name, std::string value);
/// As a form is sent.
[[nodiscard]] std::string encode_form(const Pairs& pairs);

/// What a platform is known to send.
struct PairKnowledge {
  std::span<const std::string_view> names;  ///< every field it may send
  /// Fields that are always the same, by which a dropped one can be guessed.
  std::span<const std::pair<std::string_view, std::string_view>> constants;
  std::string_view query;  ///< of the notify URL
};

/// The fields as they were signed, and what had become of them.
struct PairGuess {
  Cause cause;
  std::string detail;
  Pairs signed_pairs;
};

/// Undoes the usual mistakes one at a time, until `holds` says that a signature covers the result.
/// Fields called "sign" and "sign_type" are left alone.
[[nodiscard]] std::optional<PairGuess> guess_pairs(const Pairs& pairs,
                                                   const PairKnowledge& knowledge,
                                                   const std::function<bool(const Pairs&)>& holds);

/// "name=value&..." by name, without `left_out`; values of fields that are not `plain` stand as
/// their length, since they may tell who paid.
[[nodiscard]] std::string show_pairs(const Pairs& pairs, std::span<const std::string_view> left_out,
                                     std::span<const std::string_view> plain);

/// Where what came first differs from what was signed; empty where it does not.
[[nodiscard]] std::string describe_difference(const Pairs& came, const Pairs& signed_pairs);

/// The same for two texts: the place, and the bytes there.
[[nodiscard]] std::string describe_difference(std::string_view came, std::string_view signed_text);

}  // namespace postern::channel
