#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/message.h"
#include "base/random.h"
#include "base/result.h"
#include "simulate/plan.h"

namespace postern::simulate {

enum class Platform : unsigned char { kAlipay, kWechatPayV3, kWechatPayV2 };

/// "alipay", "wechatpay-v3", "wechatpay-v2": the name of the channel that is the other side.
[[nodiscard]] std::string_view name(Platform platform);
/// @errors kRejected platform_unknown
[[nodiscard]] Result<Platform> parse_platform(std::string_view text);
/// The account name that works without configuration: "alipay", "wechat", "wechat-v2".
[[nodiscard]] std::string_view default_account(Platform platform);
[[nodiscard]] const std::vector<Platform>& all_platforms();

/// What a platform makes of the answer to its message.
enum class Answer : unsigned char {
  kAccepted,    ///< it will not send this again
  kRefused,     ///< not accepted, and the answer blames the message
  kRetryLater,  ///< not accepted, and the answer invites a resend
};
[[nodiscard]] std::string_view name(Answer answer);

/// Plays one payment platform towards one merchant account: makes the callbacks that it would send,
/// signed with keys that were generated here and are good for nothing else.
///
/// Messages are pure functions of plan, time and randomness. They go to
/// "/payment/{account}/callback". All ids are invented; names and accounts of people are left out.
/// @errors of the message makers: kRejected tamper_not_applicable, message_not_supported (the
///   platform sends no such message); kFault of the crypto room
/// @thread any
class Signer {
 public:
  virtual ~Signer() = default;
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

  [[nodiscard]] virtual Platform platform() const = 0;
  [[nodiscard]] virtual const std::string& account() const = 0;

  /// Writes all keys and ids into `folder`, each file readable by its owner only. An existing file
  /// is never replaced. @errors kFault file_exists, file_not_written
  [[nodiscard]] virtual Result<void> save(const std::filesystem::path& folder) const = 0;
  /// The "[account.NAME]" part of Postern's configuration that trusts this signer.
  /// @param folder  where `save` put the keys, as the configuration is to name it: absolute, or
  ///   relative to the configuration file's own folder
  /// @errors kRejected path_unsupported
  [[nodiscard]] virtual Result<std::string> settings(const std::filesystem::path& folder) const = 0;

  /// A number as the platform gives its payments and refunds.
  [[nodiscard]] virtual std::string new_payment_id(TimePoint at, Random& random) const = 0;
  [[nodiscard]] virtual std::string new_refund_id(TimePoint at, Random& random) const = 0;

  [[nodiscard]] virtual Result<HttpRequest> payment(const PaymentPlan& plan,
                                                    const Sending& sending) const = 0;
  [[nodiscard]] virtual Result<HttpRequest> refund(const RefundPlan& plan,
                                                   const Sending& sending) const = 0;
  [[nodiscard]] virtual Result<HttpRequest> close(const ClosePlan& plan,
                                                  const Sending& sending) const = 0;
  [[nodiscard]] virtual Result<HttpRequest> combined(const CombinedPlan& plan,
                                                     const Sending& sending) const = 0;

  [[nodiscard]] virtual Answer read_answer(const HttpResponse& response) const = 0;

 protected:
  Signer() = default;
};

/// A signer with fresh keys. @errors kFault key_generation_failed
[[nodiscard]] Result<std::unique_ptr<Signer>> generate_signer(Platform platform,
                                                              std::string account, TimePoint now,
                                                              Random& random);

/// The signer that `Signer::save` wrote into `folder` under this account name.
/// @errors kRejected keys_not_found, keys_malformed, platform_mismatch
[[nodiscard]] Result<std::unique_ptr<Signer>> load_signer(Platform platform,
                                                          const std::string& account,
                                                          const std::filesystem::path& folder);

}  // namespace postern::simulate
