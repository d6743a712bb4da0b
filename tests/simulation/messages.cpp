#include "tests/simulation/messages.h"

#include <filesystem>
#include <set>
#include <utility>

#include "app/config.h"
#include "base/check.h"
#include "base/system.h"
#include "simulate/key_folder.h"
#include "simulate/plan.h"
#include "simulate/seeded_random.h"
#include "tests/simulation/remembering_channel.h"

namespace postern::simulation {
namespace {

namespace fs = std::filesystem;
using simulate::PaymentPlan;
using simulate::Platform;
using simulate::Sending;
using simulate::Signer;
using simulate::Tamper;

/// The value, or the end of a broken test.
template <class T>
[[nodiscard]] T must(Result<T> result) {
  POSTERN_CHECK(result.has_value());
  return std::move(result).value();
}

[[nodiscard]] core::Money cny(std::int64_t minor) {
  return core::Money::of(minor, must(core::Currency::parse("CNY")));
}

/// A folder for the signers' keys, gone with the object.
class KeysFolder {
 public:
  KeysFolder() {
    std::string name = (fs::temp_directory_path() / "postern-simulation-XXXXXX").string();
    POSTERN_CHECK(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~KeysFolder() { fs::remove_all(path_); }
  KeysFolder(const KeysFolder&) = delete;
  KeysFolder& operator=(const KeysFolder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

constexpr std::string_view kConfig = R"(
[admin]
listen = "127.0.0.1:0"
api_key = "file:admin.key"
[store]
url = "sqlite:unused.db"
[endpoint.all]
kind = "webhook"
url = "http://127.0.0.1:9/events"
insecure_http = true
allow_networks = ["127.0.0.0/8"]
secret = "file:webhook.key"
events = ["order.*"]
[endpoint.paid]
kind = "webhook"
url = "http://127.0.0.1:9/paid"
insecure_http = true
allow_networks = ["127.0.0.0/8"]
secret = "file:webhook.key"
events = ["order.paid"]
)";

}  // namespace

/// What is needed while the set is made.
struct Messages::Maker {
  TimePoint now;
  simulate::SeededRandom random{20260105};
  std::map<Platform, std::unique_ptr<Signer>> signers;

  [[nodiscard]] Sending sending(Tamper tamper = Tamper::kNone) { return {now, random, tamper}; }
  [[nodiscard]] const Signer& signer(Platform platform) const { return *signers.at(platform); }
  [[nodiscard]] PaymentPlan plan(Platform platform, std::string number, std::int64_t minor,
                                 int second = 0) {
    const TimePoint paid_at = now - std::chrono::seconds{120 - second};
    return {std::move(number), signer(platform).new_payment_id(paid_at, random), cny(minor),
            paid_at};
  }
  [[nodiscard]] simulate::RefundPlan refund(Platform platform, const PaymentPlan& payment,
                                            std::int64_t minor, std::int64_t total) {
    return {payment,
            payment.number + "-R" + std::to_string(total),
            signer(platform).new_refund_id(now, random),
            cny(minor),
            cny(total),
            now - std::chrono::seconds{30}};
  }
};

Messages::Messages() {
  Maker maker{.now = SystemClock().now(), .signers = {}};
  signed_at_ = maker.now;
  const KeysFolder folder;
  std::string text(kConfig);
  for (const Platform platform : simulate::all_platforms()) {
    auto signer = must(simulate::generate_signer(
        platform, std::string(simulate::default_account(platform)), maker.now, maker.random));
    POSTERN_CHECK(signer->save(folder.path()).has_value());
    text += must(signer->settings(folder.path())) + "\n";
    maker.signers.emplace(platform, std::move(signer));
  }
  POSTERN_CHECK(
      simulate::write_private_file(folder.path() / "admin.key", "simulated-admin-key-0123456789")
          .has_value());
  POSTERN_CHECK(simulate::write_private_file(folder.path() / "webhook.key",
                                             "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=")
                    .has_value());
  app::Config config = must(app::parse_config(text, folder.path() / "postern.toml"));
  policy_ = std::make_shared<const ledger::Policy>(config.policy());
  for (app::AccountConfig& account : config.accounts) {
    channels_.emplace(account.name.text(), std::move(account.channel));
  }
  make_orders(maker);
  make_forgeries(maker);
  for (PlannedOrder& order : orders_) finish(order);
  for (auto& [name, channel] : channels_) channel = make_remembering_channel(channel, signed_at_);
}

void Messages::make_orders(Maker& maker) {
  const Signer& alipay = maker.signer(Platform::kAlipay);
  const Signer& wechat = maker.signer(Platform::kWechatPayV3);
  const Signer& wechat_v2 = maker.signer(Platform::kWechatPayV2);

  // Alipay: a payment, two refunds as growing totals.
  PaymentPlan plan = maker.plan(Platform::kAlipay, "A1", 8888);
  announce("A1", 8888, {"alipay"});
  add(must(alipay.payment(plan, maker.sending())));
  add(must(alipay.refund(maker.refund(Platform::kAlipay, plan, 1000, 1000), maker.sending())));
  add(must(alipay.refund(maker.refund(Platform::kAlipay, plan, 2000, 3000), maker.sending())));
  end_story();

  // WeChat v3: a payment and two refunds that add up to all of it.
  plan = maker.plan(Platform::kWechatPayV3, "W1", 500);
  announce("W1", 500, {"wechat"});
  add(must(wechat.payment(plan, maker.sending())));
  add(must(wechat.refund(maker.refund(Platform::kWechatPayV3, plan, 200, 200), maker.sending())));
  add(must(wechat.refund(maker.refund(Platform::kWechatPayV3, plan, 300, 500), maker.sending())));
  end_story();

  // WeChat v3: one payment of two orders.
  announce("C1", 100, {"wechat"});
  announce("C2", 200, {"wechat"});
  add(must(wechat.combined({"C0",
                            {maker.plan(Platform::kWechatPayV3, "C1", 100),
                             maker.plan(Platform::kWechatPayV3, "C2", 200)}},
                           maker.sending())));
  end_story();

  // WeChat v2: a payment; its refund notice is a hint and has no effect.
  plan = maker.plan(Platform::kWechatPayV2, "V1", 700);
  announce("V1", 700, {"wechat-v2"});
  add(must(wechat_v2.payment(plan, maker.sending())));
  add(must(
      wechat_v2.refund(maker.refund(Platform::kWechatPayV2, plan, 700, 700), maker.sending())));
  end_story();

  // Paid by two platforms; the later one is refunded, as it should be.
  announce("D1", 900, {"alipay", "wechat"});
  add(must(alipay.payment(maker.plan(Platform::kAlipay, "D1", 900, 1), maker.sending())));
  plan = maker.plan(Platform::kWechatPayV3, "D1", 900, 2);
  add(must(wechat.payment(plan, maker.sending())));
  add(must(wechat.refund(maker.refund(Platform::kWechatPayV3, plan, 900, 900), maker.sending())));
  end_story();

  // Closed, then paid all the same.
  plan = maker.plan(Platform::kAlipay, "L1", 300, 60);
  announce("L1", 300, {"alipay"});
  add(must(alipay.close({"L1", plan.payment_id, cny(300), maker.now}, maker.sending())));
  add(must(alipay.payment(plan, maker.sending())));
  end_story();

  // Paid with a wrong sum only.
  announce("Q1", 1000, {"wechat-v2"});
  add(must(wechat_v2.payment(maker.plan(Platform::kWechatPayV2, "Q1", 999), maker.sending())));
  end_story();
}

void Messages::make_forgeries(Maker& maker) {
  for (const auto& [platform, signer] : maker.signers) {
    for (const Tamper tamper :
         {Tamper::kAmount, Tamper::kSignature, Tamper::kWrongKey, Tamper::kOtherApp}) {
      const PaymentPlan plan = maker.plan(platform, "Q1", 1000);
      forgeries_.push_back(messages_.size());
      messages_.push_back({.account = signer->account(),
                           .request = must(signer->payment(plan, maker.sending(tamper))),
                           .genuine = false,
                           .fact_keys = {}});
    }
  }
}

void Messages::end_story() {
  Story story;
  for (std::size_t i = stories_.empty() ? 0 : stories_.back().orders.back() + 1; i < orders_.size();
       ++i) {
    story.orders.push_back(i);
  }
  for (std::size_t i = stories_.empty() ? 0 : stories_.back().messages.back() + 1;
       i < messages_.size(); ++i) {
    story.messages.push_back(i);
  }
  stories_.push_back(std::move(story));
}

void Messages::announce(const std::string& number, std::int64_t minor,
                        const std::vector<std::string>& accounts) {
  PlannedOrder order{
      .registering = {.key = {MerchantName::trusted("default"), MerchantOrderId::trusted(number)},
                      .expected = cny(minor),
                      .attempts = {}},
      .expected = {}};
  for (const std::string& account : accounts) {
    order.registering.attempts.push_back({AccountName::trusted(account), "", number});
  }
  orders_.push_back(std::move(order));
}

void Messages::add(HttpRequest request) {
  const std::string account(ingest::account_in(request.target));
  const channel::Channel& channel = *channels_.at(account);
  const channel::Statement statement =
      must(channel.adapt(must(channel.verify(request, signed_at_))));
  Message message{.account = account, .request = std::move(request), .fact_keys = {}};
  if (statement.purpose == channel::Statement::Purpose::kFacts) {
    for (const core::Fact& fact : statement.facts) {
      message.fact_keys.push_back(core::fact_key(fact));
      facts_.emplace(message.fact_keys.back(), fact);
    }
  }
  messages_.push_back(std::move(message));
}

/// What all messages together must make of an order.
void Messages::finish(PlannedOrder& order) const {
  const std::set<core::AttemptKey> attempts(order.registering.attempts.begin(),
                                            order.registering.attempts.end());
  std::vector<const core::Fact*> facts;
  for (const auto& [key, fact] : facts_) {
    if (attempts.contains(fact.attempt)) facts.push_back(&fact);
  }
  order.expected = core::fold(
      {.expected = order.registering.expected, .attempts = order.registering.attempts}, facts);
}

const HttpResponse& Messages::accepted(const std::string& account) const {
  return channels_.at(account)->ack(channel::Ack::kAccepted);
}

}  // namespace postern::simulation
