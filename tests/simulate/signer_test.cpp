// Goal: what the signers send is what the platforms send: the real channels, configured with the
// settings the signers write, accept every genuine message and refuse every spoiled one for the
// right reason (P3, P4).
// Method: keys through a folder and back, settings through a TOML reader, messages through
// Channel::verify and adapt. Nothing is stubbed.
#include "simulate/signer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/system.h"
#include "tests/simulate/simulated_account.h"

namespace postern::simulate {
namespace {

using namespace testing;  // NOLINT: the vocabulary of these tests
using core::FactKind;

class EachPlatform : public ::testing::TestWithParam<Platform> {
 protected:
  const SimulatedAccount& account_ = SimulatedAccount::of(GetParam());
  SeededRandom random_{7};
  [[nodiscard]] Sending sending(Tamper tamper = Tamper::kNone) {
    return {.now = test_now(), .random = random_, .tamper = tamper};
  }
};

INSTANTIATE_TEST_SUITE_P(All, EachPlatform, ::testing::ValuesIn(all_platforms()),
                         [](const auto& one) {
                           std::string text(name(one.param));
                           std::erase(text, '-');
                           return text;
                         });

TEST_P(EachPlatform, WritesSettingsThatItsChannelKnows) {
  EXPECT_EQ(account_.settings_unknown, std::vector<std::string>());
  EXPECT_EQ(account_.channel->channel_name(), name(GetParam()));
}

TEST_P(EachPlatform, PaymentBecomesThePaymentFactOfItsPlan) {
  // Several, since keys and nonces are drawn.
  for (int i = 0; i < 20; ++i) {
    const PaymentPlan plan = payment_plan("T-100" + std::to_string(i), 8888 + i);
    const channel::Statement statement =
        account_.statement(account_.signer->payment(plan, sending()));
    ASSERT_EQ(statement.purpose, channel::Statement::Purpose::kFacts);
    ASSERT_EQ(statement.facts.size(), 1U);
    const core::Fact& fact = statement.facts.front();
    EXPECT_EQ(fact.kind, FactKind::kPayment);
    EXPECT_EQ(fact.attempt.account.text(), account_.signer->account());
    EXPECT_EQ(fact.attempt.number, plan.number);
    EXPECT_EQ(fact.payment_id, plan.payment_id);
    EXPECT_EQ(fact.money, plan.sum);
    EXPECT_EQ(fact.occurred_at, plan.paid_at);
  }
}

TEST_P(EachPlatform, TwoMessagesOfOnePlanStateOneFact) {
  const auto first = account_.statement(account_.signer->payment(payment_plan(), sending()));
  const auto again = account_.statement(account_.signer->payment(payment_plan(), sending()));
  EXPECT_EQ(core::fact_key(first.facts.front()), core::fact_key(again.facts.front()));
  EXPECT_FALSE(core::conflict(first.facts.front(), again.facts.front()));
}

TEST_P(EachPlatform, SpoiledPaymentIsRefusedForTheRightReason) {
  const auto verdict = [&](Tamper tamper) {
    return account_.verdict(account_.signer->payment(payment_plan(), sending(tamper)));
  };
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(verdict(Tamper::kAmount), "signature_not_verified");
    EXPECT_EQ(verdict(Tamper::kSignature), "signature_not_verified");
    EXPECT_EQ(verdict(Tamper::kWrongKey), "signature_not_verified");
    EXPECT_EQ(verdict(Tamper::kOtherApp), "app_mismatch");
    EXPECT_EQ(verdict(Tamper::kStale), GetParam() == Platform::kWechatPayV3
                                           ? "timestamp_outside_window"
                                           : "not made: tamper_not_applicable");
  }
}

TEST_P(EachPlatform, WrongAmountIsGenuineAndStatesAnotherSum) {
  const channel::Statement statement =
      account_.statement(account_.signer->payment(payment_plan(), sending(Tamper::kWrongAmount)));
  ASSERT_EQ(statement.facts.size(), 1U);
  EXPECT_EQ(statement.facts.front().money, cny(1));
}

TEST_P(EachPlatform, SpoiledRefundIsRefused) {
  for (const Tamper tamper : {Tamper::kAmount, Tamper::kSignature, Tamper::kWrongKey,
                              Tamper::kOtherApp, Tamper::kStale}) {
    for (int i = 0; i < 4; ++i) {
      const auto request = account_.signer->refund(refund_plan(2000, 2000), sending(tamper));
      if (!request) {
        EXPECT_EQ(request.error().code, "tamper_not_applicable");
        continue;
      }
      EXPECT_NE(account_.verdict(request), "ok") << name(tamper);
    }
  }
}

TEST_P(EachPlatform, SameSeedGivesSameBytes) {
  const auto make = [&] {
    SeededRandom random(42);
    return account_.signer->payment(payment_plan(), {.now = test_now(), .random = random});
  };
  EXPECT_EQ(make()->body, make()->body);
  EXPECT_EQ(make()->headers.block(), make()->headers.block());
}

TEST_P(EachPlatform, ReadsTheAcksOfItsChannel) {
  EXPECT_EQ(account_.signer->read_answer(account_.channel->ack(channel::Ack::kAccepted)),
            Answer::kAccepted);
  EXPECT_EQ(account_.signer->read_answer(account_.channel->ack(channel::Ack::kRefused)),
            Answer::kRefused);
  EXPECT_EQ(account_.signer->read_answer(account_.channel->ack(channel::Ack::kRetryLater)),
            Answer::kRetryLater);
}

TEST_P(EachPlatform, KeyFilesAreTheOwnersOnlyAndNeverReplaced) {
  const TemporaryFolder folder;
  const std::filesystem::path keys = folder.path() / "keys";
  ASSERT_TRUE(account_.signer->save(keys).has_value());
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(keys)) {
    struct stat facts{};
    ASSERT_EQ(::stat(entry.path().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0600U) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 3U);
  const auto again = account_.signer->save(keys);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, "file_exists");
}

TEST_P(EachPlatform, LoadingNamesWhatIsWrong) {
  const TemporaryFolder folder;
  const auto absent = load_signer(GetParam(), account_.signer->account(), folder.path());
  ASSERT_FALSE(absent.has_value());
  EXPECT_EQ(absent.error().code, "keys_not_found");

  ASSERT_TRUE(account_.signer->save(folder.path()).has_value());
  const Platform other =
      GetParam() == Platform::kAlipay ? Platform::kWechatPayV3 : Platform::kAlipay;
  const auto mismatched = load_signer(other, account_.signer->account(), folder.path());
  ASSERT_FALSE(mismatched.has_value());
  EXPECT_EQ(mismatched.error().code, "platform_mismatch");
}

TEST(AlipaySigner, RefundsAreCumulativeAndRepeatThePayment) {
  const SimulatedAccount& account = SimulatedAccount::of(Platform::kAlipay);
  SeededRandom random(1);
  const Sending sending{.now = test_now(), .random = random};
  const auto partial = account.statement(account.signer->refund(refund_plan(1000, 3000), sending));
  ASSERT_EQ(partial.facts.size(), 2U);
  EXPECT_EQ(partial.facts[0].kind, FactKind::kPayment);
  EXPECT_EQ(partial.facts[0].money, cny(8888));
  EXPECT_EQ(partial.facts[1].kind, FactKind::kRefundTotal);
  EXPECT_EQ(partial.facts[1].money, cny(3000));
  EXPECT_EQ(partial.facts[1].occurred_at, refund_plan(1, 1).refunded_at);

  const auto full = account.statement(account.signer->refund(refund_plan(5888, 8888), sending));
  ASSERT_EQ(full.facts.size(), 2U);
  EXPECT_EQ(full.facts[1].money, cny(8888));
}

TEST(AlipaySigner, CloseIsACloseOfTheAttempt) {
  const SimulatedAccount& account = SimulatedAccount::of(Platform::kAlipay);
  SeededRandom random(1);
  const ClosePlan plan{"T1001", "2026010522000000000000000001", cny(8888), test_now()};
  const auto closed =
      account.statement(account.signer->close(plan, {.now = test_now(), .random = random}));
  ASSERT_EQ(closed.facts.size(), 1U);
  EXPECT_EQ(closed.facts[0].kind, FactKind::kClose);
  EXPECT_EQ(closed.facts[0].occurred_at, test_now());
}

TEST(WechatPayV3Signer, RefundStatesItsOwnSum) {
  const SimulatedAccount& account = SimulatedAccount::of(Platform::kWechatPayV3);
  SeededRandom random(1);
  const auto refund = account.statement(
      account.signer->refund(refund_plan(1000, 3000), {.now = test_now(), .random = random}));
  ASSERT_EQ(refund.facts.size(), 1U);
  EXPECT_EQ(refund.facts[0].kind, FactKind::kRefund);
  EXPECT_EQ(refund.facts[0].money, cny(1000));
  EXPECT_EQ(refund.facts[0].refund_id, refund_plan(1, 1).refund_id);
}

TEST(WechatPayV3Signer, BothKindsOfKeyAreInUse) {
  const SimulatedAccount& account = SimulatedAccount::of(Platform::kWechatPayV3);
  SeededRandom random(1);
  std::size_t by_public_key = 0;
  for (int i = 0; i < 40; ++i) {
    const auto request =
        account.signer->payment(payment_plan(), {.now = test_now(), .random = random});
    const auto serial = request->headers.only("wechatpay-serial");
    ASSERT_TRUE(serial.has_value());
    if (serial->starts_with("PUB_KEY_ID_")) ++by_public_key;
  }
  EXPECT_GT(by_public_key, 0U);
  EXPECT_LT(by_public_key, 40U);
}

TEST(WechatPayV3Signer, CombinedPaymentStatesAPaymentForEachOrder) {
  const SimulatedAccount& account = SimulatedAccount::of(Platform::kWechatPayV3);
  SeededRandom random(1);
  CombinedPlan plan{.number = "C1", .parts = {payment_plan("T1", 100), payment_plan("T2", 250)}};
  plan.parts[1].payment_id = "4200000000202601050000000002";
  const Sending sending{.now = test_now(), .random = random};
  const auto combined = account.statement(account.signer->combined(plan, sending));
  ASSERT_EQ(combined.facts.size(), 2U);
  EXPECT_EQ(combined.left_out, std::vector<std::string>());
  EXPECT_EQ(combined.facts[0].attempt.number, "T1");
  EXPECT_EQ(combined.facts[0].money, cny(100));
  EXPECT_EQ(combined.facts[1].attempt.number, "T2");
  EXPECT_EQ(combined.facts[1].payment_id, plan.parts[1].payment_id);
  EXPECT_EQ(account.verdict(account.signer->combined(
                plan, {.now = test_now(), .random = random, .tamper = Tamper::kOtherApp})),
            "app_mismatch");
}

TEST(WechatPayV2Signer, RefundIsAHintToBeConfirmed) {
  const SimulatedAccount& account = SimulatedAccount::of(Platform::kWechatPayV2);
  SeededRandom random(1);
  const auto refund = account.statement(
      account.signer->refund(refund_plan(1000, 1000), {.now = test_now(), .random = random}));
  EXPECT_EQ(refund.purpose, channel::Statement::Purpose::kToBeConfirmed);
}

TEST(Signer, MessagesThatAPlatformDoesNotSendAreErrors) {
  SeededRandom random(1);
  const Sending sending{.now = test_now(), .random = random};
  const ClosePlan close{"T1", "P1", cny(1), test_now()};
  for (const Platform platform : {Platform::kWechatPayV3, Platform::kWechatPayV2}) {
    EXPECT_FALSE(SimulatedAccount::of(platform).signer->close(close, sending).has_value());
  }
  for (const Platform platform : {Platform::kAlipay, Platform::kWechatPayV2}) {
    EXPECT_FALSE(SimulatedAccount::of(platform).signer->combined({}, sending).has_value());
  }
}

TEST(Tamper, NamesGoThereAndBack) {
  for (const char* text :
       {"none", "amount", "signature", "wrong_key", "stale", "other_app", "wrong_amount"}) {
    ASSERT_TRUE(parse_tamper(text).has_value()) << text;
    EXPECT_EQ(name(*parse_tamper(text)), text);
  }
  EXPECT_FALSE(parse_tamper("Amount").has_value());
  EXPECT_FALSE(must_be_refused(Tamper::kWrongAmount));
  EXPECT_TRUE(must_be_refused(Tamper::kOtherApp));
}

}  // namespace
}  // namespace postern::simulate
