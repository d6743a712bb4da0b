#pragma once

#include <string>
#include <string_view>

#include "base/message.h"
#include "base/system.h"
#include "simulate/seeded_random.h"
#include "simulate/signer.h"
#include "tests/support/temporary_folder.h"

namespace postern::functional {

inline constexpr std::string_view kApiKey = "functional-tests-0123456789abcdef";

inline constexpr std::string_view kWebhookSecret =
    "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=";

/// The signer of a platform, with keys made once per process: making them takes a while.
[[nodiscard]] const simulate::Signer& signer(simulate::Platform platform);

/// The folder of one installation: a configuration that trusts all three signers under their
/// default account names, with free ports, and room for the store.
class Site {
 public:
  /// @param further  lines to add to the configuration
  explicit Site(std::string_view further = {});

  [[nodiscard]] const testing::TemporaryFolder& folder() const { return folder_; }
  [[nodiscard]] std::string config_file() const { return folder_ / "postern.toml"; }

  /// A payment as the platform would announce it now. The same number is the same payment.
  [[nodiscard]] simulate::PaymentPlan plan(simulate::Platform platform, const std::string& number,
                                           std::int64_t minor = 8800) const;
  [[nodiscard]] HttpRequest payment(simulate::Platform platform, const std::string& number,
                                    std::int64_t minor = 8800,
                                    simulate::Tamper tamper = simulate::Tamper::kNone);

 private:
  testing::TemporaryFolder folder_;
  SystemClock clock_;
  simulate::SeededRandom random_{20261123};
  TimePoint paid_at_;
};

/// The body of POST /v1/orders.
[[nodiscard]] std::string order_body(const std::string& number, std::int64_t minor = 8800);

}  // namespace postern::functional
