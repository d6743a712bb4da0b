#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/message.h"
#include "base/result.h"
#include "base/secret.h"
#include "channel/settings.h"
#include "crypto/key.h"

/// Why a callback was refused: for the operator only, never for the sender.
namespace postern::channel {

/// What can have gone wrong. Published names never change.
enum class Cause : unsigned char {
  // Keys and schemes.
  kApplicationKey,
  kOtherAccountsKey,
  kUnknownKey,
  kKeyNotConfigured,
  kWrongSerial,
  kCertificateNotValid,
  kKeyNotInForce,
  kRsaOrRsa2,
  kMd5OrHmac,
  kWrongApiKey,
  kOtherAccountsApiKey,
  kApiV2OrV3Key,
  kSandbox,
  // Whose message it is.
  kWrongApp,
  kWrongMerchant,
  kWrongSeller,
  kWrongSubMerchant,
  // What became of the body between the platform and here.
  kDecodedOnTheWay,
  kDecodedTwice,
  kEncodedTwice,
  kPlusBecameSpace,
  kSpaceBecamePlus,
  kEmptyFieldDropped,
  kFieldDropped,
  kFieldAdded,
  kQueryMerged,
  kFieldsDoubled,
  kHtmlEscaped,
  kBackslashesAdded,
  kTrimmed,
  kWhiteSpaceAdded,
  kCharset,
  kReserialised,
  kSentAsJson,
  kNewlineAdded,
  kNewlineDropped,
  kLineEnds,
  kByteOrderMark,
  kBodyTruncated,
  kBodyNotKept,
  kContentChanged,
  kUnreadable,
  // Headers and the signature's own text.
  kContentType,
  kHeaderMissing,
  kHeaderRenamed,
  kHeaderDoubled,
  kSignatureEncoding,
  kSignatureLowerCase,
  kNotSigned,
  // The rest.
  kClock,
  kProbe,
  kSynchronousReturn,
};

/// "application_key", "decoded_twice", ...
[[nodiscard]] std::string_view name(Cause cause);
/// What the operator does about it: one or two sentences.
[[nodiscard]] std::string_view what_to_do(Cause cause);

enum class Certainty : unsigned char {
  kProved,  ///< with the mistake undone the verification succeeds, or the message itself shows it
  kSuspected,  ///< it fits what is seen
};
[[nodiscard]] std::string_view name(Certainty certainty);

struct Finding {
  Cause cause;
  Certainty certainty;
  std::string detail;  ///< what was seen: names keys by their ids, holds no secrets
};

/// An answer to "why did this callback fail?". Holds neither secrets nor personal data: keys are
/// named by id, values of fields that may tell who paid stand as "[16 bytes]", and control
/// characters are written visibly.
struct Explanation {
  std::string verdict;         ///< "genuine", or the code of the refusal
  std::string detail;          ///< of the refusal
  std::string expected;        ///< which signature, by which keys, would be believed
  std::string string_to_sign;  ///< as made from what came; empty where none can be made
  std::string difference;      ///< where it first differs from what was signed; empty if not known
  std::vector<Finding> findings;  ///< likeliest first; empty where it is genuine
};

/// A key or secret that the configuration names.
struct KnownKey {
  enum class Use : unsigned char { kPlatform, kApplication, kApiV2, kApiV3 };
  Use use;
  std::string id;  ///< fingerprint, serial number or key id
  std::variant<crypto::PublicKey, Secret> key;
  KeyWindow window = {};

  [[nodiscard]] const crypto::PublicKey* public_key() const {
    return std::get_if<crypto::PublicKey>(&key);
  }
  [[nodiscard]] const Secret* secret() const { return std::get_if<Secret>(&key); }
};

/// What an account calls its own, so that a message gone to a wrong account is known for what it
/// is.
struct Belongings {
  std::vector<KnownKey> keys;
  std::vector<std::string> ids;  ///< of apps, merchants, sellers
};

/// Another account of the same configuration.
struct OtherAccount {
  std::string name;
  Belongings belongings;
};

/// A callback to be explained. Everything in it outlives the call.
struct Question {
  const HttpRequest& request;
  /// Nothing where a capture does not say: then nothing is said about the clock.
  std::optional<TimePoint> received_at;
  TimePoint now;
  std::span<const OtherAccount> others;
  /// Of the body as it came; more than `request.body` where only its beginning was kept.
  std::size_t body_bytes = 0;
};

/// Largest body that is taken apart to explain it. Callbacks have a few KiB; the work grows with
/// the size, and an operator's question must not keep a thread for minutes.
inline constexpr std::size_t kExplainedBytesMax = std::size_t{32} * 1024;

/// `text` with what cannot be seen written out (\n, \x1B), cut after `kShownBytesMax`.
[[nodiscard]] std::string visible(std::string_view text);
inline constexpr std::size_t kShownBytesMax = 4096;

/// Adds a finding, unless its cause is found already.
void add_finding(std::vector<Finding>& findings, Cause cause, Certainty certainty,
                 std::string detail);

}  // namespace postern::channel
