#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "crypto/key.h"
#include "simulate/signer.h"

namespace postern::simulate {

/// Plays Alipay in public-key mode: form posts signed with RSA2.
///
/// A refund message states the sum of all refunds so far and comes as TRADE_SUCCESS while something
/// is left, else as TRADE_CLOSED; it repeats the payment. There are no combined payments and no
/// freshness window, so `combined` and kStale are errors.
/// @source Alipay open platform, asynchronous notification
class AlipaySigner final : public Signer {
 public:
  /// @errors kFault key_generation_failed
  [[nodiscard]] static Result<std::unique_ptr<Signer>> generate(std::string account);
  /// @errors as `load_signer`
  [[nodiscard]] static Result<std::unique_ptr<Signer>> load(const std::string& account,
                                                            const std::filesystem::path& folder);

  [[nodiscard]] Platform platform() const override { return Platform::kAlipay; }
  [[nodiscard]] const std::string& account() const override { return keys_.account; }
  [[nodiscard]] Result<void> save(const std::filesystem::path& folder) const override;
  [[nodiscard]] Result<std::string> settings(const std::filesystem::path& folder) const override;
  [[nodiscard]] std::string new_payment_id(TimePoint at, Random& random) const override;
  [[nodiscard]] std::string new_refund_id(TimePoint at, Random& random) const override;
  [[nodiscard]] Result<HttpRequest> payment(const PaymentPlan& plan,
                                            const Sending& sending) const override;
  [[nodiscard]] Result<HttpRequest> refund(const RefundPlan& plan,
                                           const Sending& sending) const override;
  [[nodiscard]] Result<HttpRequest> close(const ClosePlan& plan,
                                          const Sending& sending) const override;
  [[nodiscard]] Result<HttpRequest> combined(const CombinedPlan& plan,
                                             const Sending& sending) const override;
  [[nodiscard]] Answer read_answer(const HttpResponse& response) const override;

 private:
  struct Keys {
    std::string account;
    std::string app_id;
    std::string seller_id;
    crypto::PrivateKey platform;
    crypto::PrivateKey stranger;
  };
  explicit AlipaySigner(Keys keys) : keys_(std::move(keys)) {}

  struct Message;
  [[nodiscard]] Message common_fields(const PaymentPlan& plan, std::string_view trade_status,
                                      const Sending& sending) const;
  [[nodiscard]] Result<HttpRequest> seal(Message message, const Sending& sending) const;

  const Keys keys_;
};

}  // namespace postern::simulate
