#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/message.h"
#include "base/result.h"
#include "core/fact.h"

namespace postern::channel {

/// What is asked of a platform: how an attempt ended, or how one of its refunds did.
struct Query {
  core::AttemptKey attempt;
  std::string refund_number;  ///< the merchant's number of the refund; empty: about the attempt
};

/// What makes a request one of its kind.
struct QueryStamp {
  TimePoint now;
  std::string nonce;  ///< 32 random letters and digits, fresh for each request
};

/// A request to a platform: the target stands in `request.target`.
struct QueryCall {
  std::string origin;  ///< "https://openapi.alipay.com"
  HttpRequest request;
};

/// What a platform has answered, once it is proven that it was the platform.
struct QueryAnswer {
  enum class State : unsigned char {
    kFinal,    ///< nothing more will happen to what was asked about, but for refunds and disputes
    kPending,  ///< nothing has happened yet, or the platform does not know it yet: ask again
  };
  State state = State::kPending;
  /// In the order in which they happened, with FactSource::kQuery; may be empty.
  std::vector<core::Fact> facts;
  std::string summary;  ///< for the operator: the platform's own words, such as "NOTPAY"
};

/// Checks that an answer is about what was asked.
/// @param name  of the platform's field that says so, `told` its value
/// @errors kRejected answer_about_another
[[nodiscard]] Result<void> check_names(std::string_view name, std::string_view told,
                                       std::string_view asked);

/// @param word  the platform's own, for the summary
[[nodiscard]] QueryAnswer pending_answer(std::string_view word);
/// The facts are told to come from a query.
[[nodiscard]] QueryAnswer final_answer(std::vector<core::Fact> facts, std::string_view word);

}  // namespace postern::channel
