// Goal: each channel reads real and invented messages as their vectors say: verdict, refusal by
// policy or identity, decrypted text, signed part, our own signatures, and the facts.
// Method: one test per vector of tests/vectors and, where a checkout of the shared reference lies
// beside ours, of that too; what a vector's kind and channel say picks the check. A message goes
// through the whole channel wherever it can; the few that cannot are named here with the reason.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "tests/channel/vector_checks.h"
#include "tests/channel/vector_file.h"

namespace postern::channel {
namespace {

class VectorTest : public testing::TestWithParam<Vector> {
 protected:
  /// How a check went; one that no branch took would otherwise pass unseen.
  static std::map<std::string, int>& tally() {
    static std::map<std::string, int> counts;
    return counts;
  }
  static void TearDownTestSuite() {
    fmt::print("vectors run: {} committed, {} from shared/vectors{}\n", tally()["committed"],
               tally()["shared"],
               has_shared_vectors() ? "" : " (no such folder beside this checkout: skipped)");
  }
};

using Check = void (*)(const Vector&);

[[nodiscard]] Check check_for(const std::string& channel, const std::string& kind) {
  static const std::map<std::pair<std::string, std::string>, Check> checks = {
      {{"alipay", "notify"}, check_alipay_notify},
      {{"alipay", "return"}, check_alipay_return},
      {{"alipay", "response"}, check_alipay_response},
      {{"alipay", "canonicalisation"}, check_alipay_response},
      {{"alipay", "cert-sn"}, check_alipay_cert_sn},
      {{"alipay", "decrypt"}, check_alipay_decrypt},
      {{"alipay-v3", "response"}, check_alipay_v3_response},
      {{"alipay-v3", "outbound"}, check_alipay_v3_outbound},
      {{"wechatpay-v3", "notify"}, check_wechatpay_v3_notify},
      {{"wechatpay-v3", "response"}, check_wechatpay_v3_response},
      {{"wechatpay-v3", "decrypt"}, check_wechatpay_v3_decrypt},
      {{"wechatpay-v3", "primitive"}, check_wechatpay_v3_primitive},
      {{"wechatpay-v3", "outbound"}, check_wechatpay_v3_outbound},
      {{"wechatpay-v2", "notify"}, check_wechatpay_v2_notify},
      {{"wechatpay-v2", "decrypt"}, check_wechatpay_v2_decrypt},
  };
  const auto found = checks.find({channel, kind});
  return found == checks.end() ? nullptr : found->second;
}

TEST_P(VectorTest, IsReadAsItSays) {
  const Vector& vector = GetParam();
  const Check check = check_for(vector.text("channel"), vector.text("kind"));
  ASSERT_NE(check, nullptr) << "no check for this kind of vector";
  ++tally()[vector.place == Vector::Place::kCommitted ? "committed" : "shared"];
  check(vector);
}

INSTANTIATE_TEST_SUITE_P(Vectors, VectorTest, testing::ValuesIn(all_vectors()),
                         [](const auto& info) { return test_name(info.param); });

TEST(Vectors, CommittedOnesAreThere) {
  std::map<std::string, int> committed;
  for (const Vector& vector : all_vectors()) {
    if (vector.place == Vector::Place::kCommitted) ++committed[vector.text("channel")];
  }
  for (const char* channel : {"alipay", "alipay-v3", "wechatpay-v3", "wechatpay-v2"}) {
    EXPECT_GT(committed[channel], 0) << channel;
  }
}

}  // namespace
}  // namespace postern::channel
