#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "channel/channel.h"
#include "simulate/seeded_random.h"
#include "simulate/signer.h"

namespace postern::simulate::testing {

/// A folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// 2026-01-05T10:00:00+08:00
[[nodiscard]] TimePoint test_now();
[[nodiscard]] core::Money cny(std::int64_t minor);
[[nodiscard]] PaymentPlan payment_plan(std::string number = "T1001", std::int64_t minor = 8888);
[[nodiscard]] RefundPlan refund_plan(std::int64_t minor, std::int64_t total);

/// A signer whose keys went through a folder, and the real channel that was configured with the
/// settings it wrote. One per platform and process, since keys take a while to make.
struct SimulatedAccount {
  std::unique_ptr<Signer> signer;
  std::unique_ptr<channel::Channel> channel;
  std::vector<std::string> settings_unknown;  ///< written by the signer, not known to the channel

  [[nodiscard]] static const SimulatedAccount& of(Platform platform);
  /// The code with which the channel refuses the message, or "ok".
  [[nodiscard]] std::string verdict(const Result<HttpRequest>& request) const;
  /// What the channel makes of a message that must be genuine.
  [[nodiscard]] channel::Statement statement(const Result<HttpRequest>& request) const;
};

}  // namespace postern::simulate::testing
