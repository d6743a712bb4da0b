#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"

namespace postern::delivery {

/// One event as an endpoint is told it. The same for every try and every endpoint.
struct Message {
  std::string id;    ///< "evt_k3f9a2_17": consumers dedupe by it
  std::string type;  ///< "order.paid"
  TimePoint created_at;
  std::string merchant;
  std::string merchant_order_id;
  std::int64_t sequence = 0;  ///< 1, 2, 3, ... per order
  std::string body;           ///< JSON, byte for byte as stored
};

/// What came of one try.
struct Answer {
  enum class Verdict : unsigned char {
    kDelivered,     ///< the other side has confirmed it
    kNotDelivered,  ///< certainly not taken
    kUnknown,       ///< it may have been taken: the next try may be a repeat
  };
  Verdict verdict = Verdict::kUnknown;
  /// An HTTP code ("503") or a word such as connect_failed, tls_failed, timed_out,
  /// address_not_allowed, redirect_refused, nacked, returned; lower snake case, few distinct ones.
  std::string code;
  /// For the operator: the first bytes of the answer or the library's words; printable, no secrets,
  /// at most 256 bytes.
  std::string excerpt;
  /// When the other side asked to be left alone until.
  std::optional<std::chrono::milliseconds> retry_after;
  /// The other side said that it will never take anything again (HTTP 410).
  bool is_gone = false;
};

/// A way out: an HTTP endpoint, an exchange, a topic.
/// @thread `send` any; `done` runs on the sink's own thread
class Sink {
 public:
  virtual ~Sink() = default;
  /// Tries once. Never blocks and never throws; `done` is called exactly once, at the latest when
  /// the sink's own deadline has passed, or while the sink is destroyed.
  virtual void send(Message message, std::move_only_function<void(Answer)> done) = 0;
};

}  // namespace postern::delivery
