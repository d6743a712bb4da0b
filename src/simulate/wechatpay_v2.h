#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "simulate/signer.h"

namespace postern::simulate {

/// Plays WeChat Pay v2: flat XML with an HMAC-SHA256 over its fields.
///
/// A refund notice carries no signature: its content is encrypted under a key made from the API
/// key, so kSignature and kAmount both damage the ciphertext there. No messages for closed orders
/// or combined payments, and no freshness window: `close`, `combined` and kStale are errors.
/// @source WeChat Pay v2 documentation, payment result and refund result notices
class WechatPayV2Signer final : public Signer {
 public:
  /// @errors none today; a Result so that all signers are made alike
  [[nodiscard]] static Result<std::unique_ptr<Signer>> generate(std::string account,
                                                                Random& random);
  /// @errors as `load_signer`
  [[nodiscard]] static Result<std::unique_ptr<Signer>> load(const std::string& account,
                                                            const std::filesystem::path& folder);

  [[nodiscard]] Platform platform() const override { return Platform::kWechatPayV2; }
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
    std::string mch_id;
    std::string app_id;
    Secret api_key;
    Secret stranger_key;
  };
  explicit WechatPayV2Signer(Keys keys) : keys_(std::move(keys)) {}

  [[nodiscard]] const Secret& key_for(Tamper tamper) const;
  [[nodiscard]] HttpRequest request_with(std::string body) const;

  const Keys keys_;
};

}  // namespace postern::simulate
