#include "tests/functional/site.h"

#include <fmt/format.h>

#include <map>
#include <memory>

#include "base/check.h"

namespace postern::functional {

const simulate::Signer& signer(simulate::Platform platform) {
  static const auto signers = [] {
    SystemClock clock;
    SystemRandom random;
    std::map<simulate::Platform, std::unique_ptr<simulate::Signer>> made;
    for (const simulate::Platform one : simulate::all_platforms()) {
      made[one] = simulate::generate_signer(one, std::string(simulate::default_account(one)),
                                            clock.now(), random)
                      .value();
    }
    return made;
  }();
  return *signers.at(platform);
}

Site::Site(std::string_view further) : paid_at_(clock_.now()) {
  std::string config = R"([server]
listen = ["127.0.0.1:0"]
[admin]
listen = "127.0.0.1:0"
api_key = "file:admin.key"
)";
  for (const simulate::Platform platform : simulate::all_platforms()) {
    POSTERN_CHECK(signer(platform).save(folder_ / "keys").has_value());
    config += signer(platform).settings("keys").value();
  }
  folder_.write("admin.key", kApiKey);
  folder_.write("webhook.key", kWebhookSecret);
  folder_.write("postern.toml", config + std::string(further));
}

simulate::PaymentPlan Site::plan(simulate::Platform platform, const std::string& number,
                                 std::int64_t minor) const {
  // The id follows from the number, so that a resend is a resend.
  simulate::SeededRandom random(std::hash<std::string>{}(number));
  return {.number = number,
          .payment_id = signer(platform).new_payment_id(paid_at_, random),
          .sum = core::Money::of(minor, *core::Currency::parse("CNY")),
          .paid_at = paid_at_};
}

HttpRequest Site::payment(simulate::Platform platform, const std::string& number,
                          std::int64_t minor, simulate::Tamper tamper) {
  return signer(platform)
      .payment(plan(platform, number, minor),
               {.now = clock_.now(), .random = random_, .tamper = tamper})
      .value();
}

std::string order_body(const std::string& number, std::int64_t minor) {
  return fmt::format(R"({{"merchant_order_id":"{}","expected":{{"minor":{},"currency":"CNY"}}}})",
                     number, minor);
}

}  // namespace postern::functional
