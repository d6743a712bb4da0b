#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channel/channel.h"
#include "tests/channel/accounts.h"

namespace postern::channel {

/// A request, the account it came to, and the other accounts of the configuration.
struct Asked {
  HttpRequest request;
  const Channel& channel;
  std::vector<OtherAccount> others = {};
  std::optional<TimePoint> received_at = test_now();
};

[[nodiscard]] inline Explanation explain(const Asked& asked) {
  return asked.channel.explain({.request = asked.request,
                                .received_at = asked.received_at,
                                .now = test_now(),
                                .others = asked.others,
                                .body_bytes = asked.request.body.size()});
}

[[nodiscard]] inline std::string causes(const Explanation& explanation) {
  std::string text;
  for (const Finding& finding : explanation.findings) {
    text += std::string(name(finding.cause)) + " (" + std::string(name(finding.certainty)) +
            "): " + finding.detail + "\n";
  }
  return text;
}

/// Checks that `cause`, and nothing else, is given as the proved cause of a refusal.
inline void expect_proved(const Asked& asked, Cause cause) {
  const auto verified = asked.channel.verify(asked.request, asked.received_at.value_or(test_now()));
  ASSERT_FALSE(verified) << "the mistake does not make it fail";
  const Explanation explanation = explain(asked);
  EXPECT_EQ(explanation.verdict, verified.error().code);
  ASSERT_EQ(explanation.findings.size(), 1u) << causes(explanation);
  EXPECT_EQ(name(explanation.findings[0].cause), name(cause)) << causes(explanation);
  EXPECT_EQ(explanation.findings[0].certainty, Certainty::kProved) << causes(explanation);
}

/// Checks that `cause` comes first, as a suspicion.
inline void expect_suspected(const Asked& asked, Cause cause) {
  ASSERT_FALSE(asked.channel.verify(asked.request, test_now()));
  const Explanation explanation = explain(asked);
  ASSERT_FALSE(explanation.findings.empty());
  EXPECT_EQ(name(explanation.findings[0].cause), name(cause)) << causes(explanation);
  EXPECT_EQ(explanation.findings[0].certainty, Certainty::kSuspected) << causes(explanation);
}

/// `text` with the first `from`, which must be there, replaced.
[[nodiscard]] inline std::string replaced(std::string text, std::string_view from,
                                          std::string_view to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("nothing to replace");
  return text.replace(at, from.size(), to);
}

/// The same request with the header `from` called `to`, or left out where `to` is empty.
[[nodiscard]] inline HttpRequest with_header_renamed(HttpRequest request, std::string_view from,
                                                     std::string_view to) {
  std::string block = request.headers.block();
  const std::size_t at = block.find(std::string(from) + ": ");
  if (at == std::string::npos) throw std::runtime_error("no such header");
  if (to.empty()) {
    block.erase(at, block.find("\r\n", at) + 2 - at);
  } else {
    block.replace(at, from.size(), to);
  }
  request.headers = Headers::from_block(block);
  return request;
}

}  // namespace postern::channel
