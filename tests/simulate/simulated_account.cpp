#include "tests/simulate/simulated_account.h"

#include <gtest/gtest.h>
#include <stdlib.h>  // NOLINT: mkdtemp is POSIX
#include <toml++/toml.h>

#include <fstream>
#include <iterator>
#include <map>

#include "base/system.h"
#include "channel/alipay.h"
#include "channel/wechatpay_v2.h"
#include "channel/wechatpay_v3.h"
#include "tests/channel/fake_settings.h"

namespace postern::simulate::testing {
namespace {

/// What the value stands for: the file's content without one final line end, where it says "file:".
[[nodiscard]] std::string resolve(std::string value) {
  constexpr std::string_view kFile = "file:";
  if (!value.starts_with(kFile)) return value;
  std::ifstream file(value.substr(kFile.size()), std::ios::binary);
  EXPECT_TRUE(file.good()) << value;
  std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (content.ends_with('\n')) content.pop_back();
  return content;
}

[[nodiscard]] channel::FakeSettings read_settings(const std::string& toml_text,
                                                  const std::string& account) {
  const toml::table root = toml::parse(toml_text);
  const toml::table* table = root["account"][account].as_table();
  EXPECT_NE(table, nullptr) << toml_text;
  channel::FakeSettings settings(account);
  for (const auto& [key, node] : *table) {
    if (key.str() == "channel") continue;
    if (const auto* array = node.as_array()) {
      std::vector<std::string> values;
      for (const auto& one : *array) values.push_back(resolve(one.value<std::string>().value()));
      settings.set(std::string(key.str()), std::move(values));
    } else {
      settings.set(std::string(key.str()), resolve(node.value<std::string>().value()));
    }
  }
  return settings;
}

[[nodiscard]] channel::ChannelFactory factory_of(Platform platform) {
  switch (platform) {
    case Platform::kAlipay:
      return channel::make_alipay;
    case Platform::kWechatPayV3:
      return channel::make_wechatpay_v3;
    case Platform::kWechatPayV2:
      return channel::make_wechatpay_v2;
  }
  return nullptr;
}

template <class T>
[[nodiscard]] T must(Result<T> result) {
  if (!result) throw std::runtime_error(std::string(result.error().code) + result.error().detail);
  return std::move(result).value();
}

[[nodiscard]] SimulatedAccount make_account(Platform platform) {
  const TemporaryFolder folder;
  SystemRandom random;
  const std::string name(default_account(platform));
  const auto generated = must(generate_signer(platform, name, test_now(), random));
  EXPECT_TRUE(generated->save(folder.path()).has_value());
  SimulatedAccount account;
  account.signer = must(load_signer(platform, name, folder.path()));
  channel::FakeSettings settings =
      read_settings(must(account.signer->settings(folder.path())), name);
  account.channel = must(factory_of(platform)(settings));
  account.settings_unknown = settings.never_read();
  return account;
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "postern-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

TimePoint test_now() {
  return TimePoint{std::chrono::seconds{1'767'578'400}};
}

core::Money cny(std::int64_t minor) {
  return core::Money::of(minor, core::Currency::parse("CNY").value());
}

PaymentPlan payment_plan(std::string number, std::int64_t minor) {
  return {.number = std::move(number),
          .payment_id = "2026010522000000000000000001",
          .sum = cny(minor),
          .paid_at = test_now() - std::chrono::seconds(5)};
}

RefundPlan refund_plan(std::int64_t minor, std::int64_t total) {
  return {.payment = payment_plan(),
          .number = "RF1001",
          .refund_id = "5030000000202601050000000001",
          .sum = cny(minor),
          .total = cny(total),
          .refunded_at = test_now() - std::chrono::milliseconds(1500)};
}

const SimulatedAccount& SimulatedAccount::of(Platform platform) {
  static const std::map<Platform, SimulatedAccount> accounts = [] {
    std::map<Platform, SimulatedAccount> made;
    for (const Platform one : all_platforms()) made.emplace(one, make_account(one));
    return made;
  }();
  return accounts.at(platform);
}

std::string SimulatedAccount::verdict(const Result<HttpRequest>& request) const {
  if (!request) return "not made: " + std::string(request.error().code);
  const auto verified = channel->verify(*request, test_now());
  return verified ? "ok" : std::string(verified.error().code);
}

channel::Statement SimulatedAccount::statement(const Result<HttpRequest>& request) const {
  return must(channel->adapt(must(channel->verify(must(request), test_now()))));
}

}  // namespace postern::simulate::testing
