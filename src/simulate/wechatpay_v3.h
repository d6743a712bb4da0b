#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "simulate/signer.h"

namespace postern::simulate {

/// Plays WeChat Pay APIv3: JSON whose resource is encrypted, signed with RSA over timestamp, nonce
/// and body. Each message is signed by the platform's public key or by its certificate, as it falls
/// out: both are in use while a merchant moves from one to the other.
///
/// Unpaid orders are closed without a message, so `close` is an error.
/// @source WeChat Pay APIv3 documentation, callback signature and resource decryption
class WechatPayV3Signer final : public Signer {
 public:
  /// @param now  the certificate is valid from a day before to a year after it
  /// @errors kFault key_generation_failed, certificate_generation_failed
  [[nodiscard]] static Result<std::unique_ptr<Signer>> generate(std::string account, TimePoint now,
                                                                Random& random);
  /// @errors as `load_signer`
  [[nodiscard]] static Result<std::unique_ptr<Signer>> load(const std::string& account,
                                                            const std::filesystem::path& folder);

  [[nodiscard]] Platform platform() const override { return Platform::kWechatPayV3; }
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
    std::string mchid;
    std::string app_id;
    std::string public_key_id;
    Secret api_v3_key;
    crypto::PrivateKey platform;     ///< belongs to `public_key_id`
    crypto::PrivateKey certificate;  ///< belongs to `platform_certificate`
    crypto::PrivateKey stranger;
    crypto::Certificate platform_certificate;
  };
  explicit WechatPayV3Signer(Keys keys) : keys_(std::move(keys)) {}

  /// What is encrypted, and how the envelope names it.
  struct Resource {
    std::string_view event_type;
    std::string_view original_type;
    std::string_view summary;
    boost::json::object plain;
  };
  [[nodiscard]] Result<std::string> envelope(const Resource& resource,
                                             const Sending& sending) const;
  [[nodiscard]] Result<HttpRequest> seal(const Resource& resource, const Sending& sending) const;

  const Keys keys_;
};

}  // namespace postern::simulate
