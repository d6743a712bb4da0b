#pragma once

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "channel/channel.h"
#include "fuzz/require.h"
#include "tests/channel/messages.h"

namespace postern::channel {

/// How the input is used; its last byte says which (FuzzedDataProvider reads numbers from the end).
enum class Attack : unsigned char {
  kRawBody,   ///< the input is the body, headers are the genuine ones
  kEdited,    ///< the input edits the genuine body; nobody signs it again
  kResigned,  ///< the input edits what is signed, and the platform signs that
  kMaxValue = kResigned,
};

/// `text` with up to eight pieces of it replaced, as the input says.
[[nodiscard]] inline std::string edited(std::string text, FuzzedDataProvider& input) {
  const int edits = input.ConsumeIntegralInRange(1, 8);
  for (int i = 0; i < edits; ++i) {
    const auto begin = input.ConsumeIntegralInRange<std::size_t>(0, text.size());
    const auto size = input.ConsumeIntegralInRange<std::size_t>(
        0, std::min<std::size_t>(64, text.size() - begin));
    text.replace(begin, size, input.ConsumeRandomLengthString(64));
  }
  return text;
}

/// Facts out of a message that was not signed again are some of those that were.
inline void require_only_genuine_facts(const Channel& channel, const VerifiedCallback& callback,
                                       const Statement& genuine) {
  const auto statement = channel.adapt(callback);
  if (!statement) return;
  for (const core::Fact& fact : statement->facts) {
    const bool known = std::ranges::any_of(genuine.facts, [&](const core::Fact& one) {
      return core::fact_key(one) == core::fact_key(fact) && !core::conflict(one, fact);
    });
    POSTERN_REQUIRE(known);
  }
}

/// Whatever a signed message says, its facts are complete and its money is not negative.
inline void require_sound_facts(const Channel& channel, const VerifiedCallback& callback) {
  const auto statement = channel.adapt(callback);
  if (!statement) return;
  POSTERN_REQUIRE((statement->purpose == Statement::Purpose::kFacts) <= !statement->facts.empty());
  POSTERN_REQUIRE(statement->purpose == Statement::Purpose::kFacts ||
                  !statement->message_key.empty());
  for (const core::Fact& fact : statement->facts) {
    POSTERN_REQUIRE(is_id_text(fact.attempt.number));
    POSTERN_REQUIRE(!fact.money || fact.money->minor() >= 0);
    POSTERN_REQUIRE(fact.kind != core::FactKind::kPayment || is_id_text(fact.payment_id));
  }
}

}  // namespace postern::channel
