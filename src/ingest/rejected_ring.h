#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/message.h"

namespace postern::ingest {

/// A callback that was refused, kept for a while so that an operator can see why.
struct RejectedCallback {
  TimePoint received_at;
  HttpRequest request;
  std::string code;            ///< why, never told to the sender
  std::string detail;          ///< what the operator can do
  std::uint64_t number = 0;    ///< 1, 2, 3, ... since the start; given by the ring
  std::size_t body_bytes = 0;  ///< of the whole body; given by the ring
};

/// The last refused callbacks of each account, in memory: strangers' input creates nothing that
/// grows. Bodies above 16 KiB are cut. @thread any
class RejectedRing {
 public:
  static constexpr std::size_t kKeptPerAccount = 32;
  static constexpr std::size_t kBodyBytesMax = 16 * 1024;

  void add(const std::string& account, RejectedCallback rejected);
  /// Newest first.
  [[nodiscard]] std::vector<RejectedCallback> of(const std::string& account) const;

  struct Found {
    std::string account;
    RejectedCallback rejected;
  };
  /// Nothing where it was never there, or is not any more.
  [[nodiscard]] std::optional<Found> find(std::uint64_t number) const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t numbered_ = 0;
  std::map<std::string, std::deque<RejectedCallback>> kept_;
};

}  // namespace postern::ingest
