#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/message.h"
#include "base/random.h"
#include "base/result.h"

namespace postern::simulate {

/// What came back for one request.
struct Reply {
  std::size_t request = 0;        ///< index into the requests sent
  Result<HttpResponse> response;  ///< or why there was none
  MonotonicTime latency{};        ///< from sending the request to having read the answer
};

/// In which order `requests` requests are sent: each `copies` times, mixed by `shuffle` if it is
/// not null, else one copy of all after the other. The same randomness gives the same order.
[[nodiscard]] std::vector<std::size_t> sending_order(std::size_t requests, std::size_t copies,
                                                     Random* shuffle);

/// Sends requests over kept-alive HTTP connections and collects the answers.
///
/// Blocking, for commands and tests. Never sends again what failed: that is the platform's part,
/// which a caller plays by giving more copies.
class Sender {
 public:
  struct Options {
    std::string host;
    std::uint16_t port = 80;
    unsigned connections = 4;  ///< each on a thread of its own, 1 to 256
    double per_second = 0;     ///< over all connections; 0: as fast as answers come
    std::chrono::milliseconds timeout{10'000};
  };
  /// Waits on the calling thread; std::this_thread::sleep_for outside of tests.
  using Pause = std::function<void(std::chrono::nanoseconds)>;

  /// `clock` outlives the sender.
  Sender(Options options, const Clock& clock, Pause pause);

  /// Sends `requests[order[0]]`, `requests[order[1]]`, ...; replies stand in the order of `order`.
  [[nodiscard]] std::vector<Reply> send(std::span<const HttpRequest> requests,
                                        std::span<const std::size_t> order) const;

 private:
  const Options options_;
  const Clock& clock_;
  const Pause pause_;
};

/// The latency below which `percent` of the replies stayed; zero where there are none.
[[nodiscard]] MonotonicTime latency_percentile(std::span<const Reply> replies, double percent);

}  // namespace postern::simulate
