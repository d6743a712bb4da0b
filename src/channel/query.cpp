#include "channel/query.h"

#include <fmt/format.h>

#include <utility>

#include "channel/statement.h"

namespace postern::channel {

Result<void> check_names(std::string_view name, std::string_view told, std::string_view asked) {
  if (told == asked) return {};
  return rejected("answer_about_another", fmt::format("the answer names another {}", name));
}

QueryAnswer pending_answer(std::string_view word) {
  return {.state = QueryAnswer::State::kPending, .facts = {}, .summary = std::string(label(word))};
}

QueryAnswer final_answer(std::vector<core::Fact> facts, std::string_view word) {
  for (core::Fact& fact : facts) fact.source = core::FactSource::kQuery;
  return {.state = QueryAnswer::State::kFinal,
          .facts = std::move(facts),
          .summary = std::string(label(word))};
}

}  // namespace postern::channel
