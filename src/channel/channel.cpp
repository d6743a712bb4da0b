#include "channel/channel.h"

namespace postern::channel {

VerifiedCallback Channel::attest(Proof proof) {
  VerifiedCallback callback;
  callback.key_id_ = std::move(proof.key_id);
  callback.scheme_ = std::move(proof.scheme);
  callback.message_id_ = std::move(proof.message_id);
  callback.event_type_ = std::move(proof.event_type);
  callback.trust_ = proof.trust;
  callback.received_at_ = proof.received_at;
  callback.content_ = std::move(proof.content);
  return callback;
}

const HttpResponse& Acks::of(Ack ack) const {
  switch (ack) {
    case Ack::kAccepted:
      return accepted;
    case Ack::kRefused:
      return refused;
    case Ack::kRetryLater:
      return retry_later;
  }
  return retry_later;
}

bool is_identity_code(std::string_view code) {
  return code == "app_mismatch" || code == "merchant_mismatch" || code == "seller_mismatch" ||
         code == "sub_merchant_mismatch";
}

}  // namespace postern::channel
