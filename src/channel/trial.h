#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/message.h"
#include "channel/explanation.h"
#include "crypto/key.h"

namespace postern::channel {

/// A refused request on its way back to what was signed: the mistakes that can be seen are undone
/// one after the other, each noted. What is noted counts as proved once a verification succeeds.
class Trial {
 public:
  explicit Trial(HttpRequest request) : request_(std::move(request)) {}

  [[nodiscard]] const HttpRequest& request() const { return request_; }
  [[nodiscard]] const std::vector<Finding>& undone() const { return undone_; }

  /// Notes a mistake that the caller undid.
  void note(Cause cause, std::string detail);
  void set_body(std::string body) { request_.body = std::move(body); }
  /// In place of all fields of that name.
  void set_header(std::string_view name, std::string_view value);
  /// Calls every mistake undone so far proved.
  void prove();

  /// Removes a byte order mark.
  void undo_byte_order_mark();
  /// Removes white space around the body, which forms and XML do not begin or end with.
  void undo_white_space_around_body();
  /// Puts `usual` where the Content-Type is missing, doubled or not one of `allowed`.
  void undo_content_type(std::initializer_list<std::string_view> allowed, std::string_view usual);
  /// Gives the headers `names` back their names, and each only once. Where one cannot be found it
  /// is noted as missing.
  void undo_headers(std::initializer_list<std::string_view> names);

 private:
  void undo_header(std::string_view name);

  HttpRequest request_;
  std::vector<Finding> undone_;
};

/// Whether the body is shorter than its Content-Length, or only partly kept.
[[nodiscard]] std::optional<Finding> find_missing_body(const Question& question);

/// A way to read the text of a base64 signature; without a cause: as it stands.
struct SignatureReading {
  std::optional<Cause> cause;
  std::string detail;
  std::string text;
};

/// The ways that give base64, the plainest first.
[[nodiscard]] std::vector<SignatureReading> signature_readings(std::string_view text);

/// The key that made a signature, whatever was signed.
struct Maker {
  crypto::PublicKey key;
  std::string id;
  KnownKey::Use use = KnownKey::Use::kPlatform;
  std::string account;  ///< empty: the account's own
  crypto::SignatureScheme scheme = crypto::SignatureScheme::kRsaSha256;
  KeyWindow window = {};
};

/// Looks among the account's own keys, then among the other accounts'.
/// @param signature  raw bytes
[[nodiscard]] std::optional<Maker> find_maker(std::string_view signature, const Belongings& own,
                                              std::span<const OtherAccount> others);

/// A signature's text, read, and who made it.
struct SignatureOrigin {
  SignatureReading reading;
  std::string signature;  ///< raw bytes
  std::optional<Maker> maker;
};

/// The reading that a known key made, else the plainest; nothing where no reading is base64.
[[nodiscard]] std::optional<SignatureOrigin> find_origin(std::string_view text,
                                                         const Belongings& own,
                                                         std::span<const OtherAccount> others);

/// What `maker` says about the configuration; nothing where it is this account's platform key, and
/// counted at `at`.
[[nodiscard]] std::optional<Finding> finding_of(const Maker& maker, TimePoint at);

/// That key `id` is the right one and did not count at `at`; nothing where it did.
[[nodiscard]] std::optional<Finding> window_finding(std::string_view id, const KeyWindow& window,
                                                    TimePoint at);

/// The finding for a genuine message for somebody else.
/// @param code  for which is_identity_code holds
/// @param ids  that the message names
[[nodiscard]] Finding identity_finding(std::string_view code, std::string_view detail,
                                       std::span<const std::string> ids,
                                       std::span<const OtherAccount> others);

}  // namespace postern::channel
