#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/message.h"

namespace postern::ingest {

/// A callback that was refused, kept for a while so that an operator can see why.
struct RejectedCallback {
  TimePoint received_at;
  HttpRequest request;
  std::string code;    ///< why, never told to the sender
  std::string detail;  ///< what the operator can do
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

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::deque<RejectedCallback>> kept_;
};

}  // namespace postern::ingest
