#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/message.h"
#include "base/result.h"
#include "channel/candidate.h"
#include "channel/explanation.h"
#include "channel/fields.h"
#include "channel/settings.h"
#include "core/fact.h"

namespace postern::channel {

/// How far the platform's message can be trusted.
enum class Trust : unsigned char {
  kSigned,     ///< a signature over all of it was verified
  kEncrypted,  ///< it decrypted, but nothing protects it against changes: a hint to be confirmed
};

class Channel;

/// A callback whose origin has been proven. Only `Channel::verify` makes one.
class VerifiedCallback {
 public:
  using Content = std::variant<Fields, boost::json::object>;

  /// Fingerprint or id of the key that verified it.
  [[nodiscard]] const std::string& key_id() const { return key_id_; }
  /// Which scheme and variant matched, such as "RSA2/A"; for logs and evidence.
  [[nodiscard]] const std::string& scheme() const { return scheme_; }
  [[nodiscard]] Trust trust() const { return trust_; }
  /// The platform's id of this message, empty where it gives none.
  [[nodiscard]] const std::string& message_id() const { return message_id_; }
  /// The platform's name of what happened, empty where it gives none.
  [[nodiscard]] const std::string& event_type() const { return event_type_; }
  /// The `now` of its verification: stands in where the platform names no time of its own.
  [[nodiscard]] TimePoint received_at() const { return received_at_; }
  /// What was signed or decrypted, parsed once. Text is UTF-8.
  [[nodiscard]] const Content& content() const { return content_; }

 private:
  friend class Channel;
  VerifiedCallback() = default;
  std::string key_id_, scheme_, message_id_, event_type_;
  Trust trust_ = Trust::kSigned;
  TimePoint received_at_{};
  Content content_;
};

/// What a verified callback says, in Postern's words.
struct Statement {
  enum class Purpose : unsigned char {
    kFacts,    ///< `facts` is not empty
    kNothing,  ///< genuine, but nothing to record about an order (WAIT_BUYER_PAY, service messages)
    kToBeConfirmed,  ///< a hint: the facts may be true, but only a query may confirm them
  };
  Purpose purpose = Purpose::kNothing;
  /// In the order in which they happened: a payment stands before its refund. For kToBeConfirmed
  /// what is claimed; never applied.
  std::vector<core::Fact> facts;
  /// Names a message that yields no fact, so that its copies are known: the platform's message id,
  /// or a text made from its content. Never empty where `purpose` is not kFacts.
  std::string message_key;
  /// For the operator: what the platform called it, such as "trade_status_sync WAIT_BUYER_PAY".
  std::string summary;
  /// Parts of a combined callback that are missing from `facts`, each with its reason ("SUB-2:
  /// sub_merchant_mismatch"). A bad part quarantines only itself, so somebody must look at these.
  std::vector<std::string> left_out;
};

/// The three things that can be said back to a platform.
enum class Ack : unsigned char {
  kAccepted,    ///< durable: do not send again
  kRefused,     ///< the uniform refusal, no reason given
  kRetryLater,  ///< our trouble: send again later
};

/// A platform's exact replies.
struct Acks {
  HttpResponse accepted, refused, retry_later;
  [[nodiscard]] const HttpResponse& of(Ack ack) const;
};

/// A platform's protocol bound to one account's settings: a strategy.
///
/// Immutable after construction, no sockets, no clock of its own. Adding a platform is a new
/// subclass and one line in the table of channels; nothing else changes.
/// @thread any
class Channel {
 public:
  virtual ~Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Proves who sent `request` and that its account is ours.
  ///
  /// Fails closed: whatever is missing, doubled, unknown or in doubt is an error. The order of work
  /// is that of the platform's documentation: shape, key selection, freshness, signature,
  /// decryption, identity.
  /// @param request  as received; headers compared without case, body not decoded
  /// @param now      UTC, for schemes with a freshness window
  /// @errors kRejected with a code such as signature_not_verified, signature_missing,
  ///         timestamp_outside_window, key_unknown, body_malformed, key_duplicate,
  ///         algorithm_not_allowed, probe (a deliberate wrong signature); with one of
  ///         identity_codes() where the signature is right but the account is another's
  [[nodiscard]] virtual Result<VerifiedCallback> verify(const HttpRequest& request,
                                                        TimePoint now) const = 0;

  /// Puts a verified callback into Postern's words. @errors kRejected body_malformed
  [[nodiscard]] virtual Result<Statement> adapt(const VerifiedCallback& callback) const = 0;

  /// The platform's exact reply for `ack`.
  [[nodiscard]] virtual const HttpResponse& ack(Ack ack) const = 0;

  /// Says why `verify` refuses a request, for the operator: tries again with each of the usual
  /// mistakes undone. Dear, so it is done on demand, and never for the sender. @thread any; pure
  [[nodiscard]] virtual Explanation explain(const Question& question) const = 0;

  /// Keys and ids of this account, by which `explain` of another one knows them.
  [[nodiscard]] virtual Belongings belongings() const = 0;

  /// The same account with `candidate` in place of all keys that verify callbacks: what would this
  /// key alone accept? @errors kRejected key_refused @thread any
  [[nodiscard]] virtual Result<std::unique_ptr<Channel>> with_key(
      const CandidateKey& candidate) const = 0;

  /// The name of the protocol, such as "alipay".
  [[nodiscard]] virtual std::string_view channel_name() const = 0;

  // query_request and query_response take their place here when compensation needs them.

 protected:
  Channel() = default;

  /// Makes the proof. Call it at the end of `verify` only.
  struct Proof {
    std::string key_id, scheme, message_id, event_type;
    Trust trust = Trust::kSigned;
    TimePoint received_at{};
    VerifiedCallback::Content content;
  };
  [[nodiscard]] static VerifiedCallback attest(Proof proof);
};

/// Whether `code` says that the signature was right and the account another's: worth an incident.
/// The codes are app_mismatch, merchant_mismatch, seller_mismatch, sub_merchant_mismatch.
[[nodiscard]] bool is_identity_code(std::string_view code);

/// Makes a channel for one account. @errors those of Settings, and of the keys
using ChannelFactory = Result<std::unique_ptr<Channel>> (*)(Settings& settings);

}  // namespace postern::channel
