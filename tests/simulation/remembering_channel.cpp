#include "tests/simulation/remembering_channel.h"

#include <charconv>
#include <deque>
#include <string>
#include <unordered_map>

#include "base/check.h"

namespace postern::simulation {
namespace {

/// What is known about one message. A proof cannot be copied with its content at no cost, so it is
/// given without, and names this by its message id.
struct Known {
  std::string key_id, scheme, event_type, place;
  channel::Trust trust = channel::Trust::kSigned;
  TimePoint received_at{};
  std::optional<Error> refusal;
  Result<channel::Statement> statement = channel::Statement();
};

class RememberingChannel final : public channel::Channel {
 public:
  RememberingChannel(std::shared_ptr<const channel::Channel> real, TimePoint now)
      : real_(std::move(real)), now_(now) {}

  Result<channel::VerifiedCallback> verify(const HttpRequest& request,
                                           TimePoint /*now*/) const override {
    const Known& known = find(request);
    if (known.refusal) return std::unexpected(*known.refusal);
    return attest({.key_id = known.key_id,
                   .scheme = known.scheme,
                   .message_id = known.place,
                   .event_type = known.event_type,
                   .trust = known.trust,
                   .received_at = known.received_at,
                   .content = {}});
  }

  Result<channel::Statement> adapt(const channel::VerifiedCallback& callback) const override {
    const std::string& text = callback.message_id();
    std::size_t place = 0;
    POSTERN_CHECK(std::from_chars(text.data(), text.data() + text.size(), place).ec == std::errc{});
    return known_.at(place).statement;
  }

  const HttpResponse& ack(channel::Ack ack) const override { return real_->ack(ack); }
  channel::Explanation explain(const channel::Question& question) const override {
    return real_->explain(question);
  }
  channel::Belongings belongings() const override { return real_->belongings(); }
  Result<std::unique_ptr<channel::Channel>> with_key(
      const channel::CandidateKey& candidate) const override {
    return real_->with_key(candidate);
  }
  std::string_view channel_name() const override { return real_->channel_name(); }

 private:
  [[nodiscard]] const Known& find(const HttpRequest& request) const {
    const auto [at, is_new] =
        places_.try_emplace(request.headers.block() + request.body, known_.size());
    if (is_new) known_.push_back(learn(request));
    return known_[at->second];
  }

  [[nodiscard]] Known learn(const HttpRequest& request) const {
    const auto verified = real_->verify(request, now_);
    Known known{.place = std::to_string(known_.size()), .refusal = {}};
    if (!verified) {
      known.refusal = verified.error();
      return known;
    }
    known.key_id = verified->key_id();
    known.scheme = verified->scheme();
    known.event_type = verified->event_type();
    known.trust = verified->trust();
    known.received_at = verified->received_at();
    known.statement = real_->adapt(*verified);
    return known;
  }

  const std::shared_ptr<const channel::Channel> real_;
  const TimePoint now_;
  // Simulations have one thread.
  mutable std::unordered_map<std::string, std::size_t> places_;
  mutable std::deque<Known> known_;
};

}  // namespace

std::shared_ptr<const channel::Channel> make_remembering_channel(
    std::shared_ptr<const channel::Channel> real, TimePoint now) {
  return std::make_shared<RememberingChannel>(std::move(real), now);
}

}  // namespace postern::simulation
