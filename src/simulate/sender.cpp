#include "simulate/sender.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <utility>

#include "http/client.h"

namespace postern::simulate {
namespace {

constexpr unsigned kConnectionsMax = 256;

}  // namespace

std::vector<std::size_t> sending_order(std::size_t requests, std::size_t copies, Random* shuffle) {
  std::vector<std::size_t> order;
  order.reserve(requests * copies);
  for (std::size_t copy = 0; copy < copies; ++copy) {
    for (std::size_t i = 0; i < requests; ++i) order.push_back(i);
  }
  if (shuffle == nullptr) return order;
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[shuffle->next() % i]);
  }
  return order;
}

Sender::Sender(Options options, const Clock& clock, Pause pause)
    : options_(std::move(options)), clock_(clock), pause_(std::move(pause)) {}

std::vector<Reply> Sender::send(std::span<const HttpRequest> requests,
                                std::span<const std::size_t> order) const {
  std::vector<Reply> replies(order.size(), Reply{.response = retryable("not_sent")});
  const MonotonicTime began = clock_.monotonic();
  std::atomic<std::size_t> next = 0;

  const auto work = [&] {
    http::BlockingClient client(options_.host, options_.port, options_.timeout);
    for (std::size_t i = next++; i < order.size(); i = next++) {
      if (options_.per_second > 0) {
        const auto due = began + std::chrono::nanoseconds(static_cast<std::int64_t>(
                                     1e9 * static_cast<double>(i) / options_.per_second));
        if (const MonotonicTime now = clock_.monotonic(); now < due) pause_(due - now);
      }
      const MonotonicTime sent = clock_.monotonic();
      Result<HttpResponse> response = client.send(requests[order[i]]);
      replies[i] = Reply{.request = order[i],
                         .response = std::move(response),
                         .latency = clock_.monotonic() - sent};
    }
  };

  std::vector<std::jthread> threads;
  const unsigned connections = std::clamp(options_.connections, 1U, kConnectionsMax);
  for (unsigned i = 0; i < connections && i < order.size(); ++i) threads.emplace_back(work);
  threads.clear();
  return replies;
}

MonotonicTime latency_percentile(std::span<const Reply> replies, double percent) {
  if (replies.empty()) return {};
  std::vector<MonotonicTime> latencies;
  latencies.reserve(replies.size());
  for (const Reply& reply : replies) latencies.push_back(reply.latency);
  const auto rank =
      static_cast<std::size_t>(std::ceil(percent / 100.0 * static_cast<double>(latencies.size())));
  const auto place =
      latencies.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1)) - 1;
  std::ranges::nth_element(latencies, place);
  return *place;
}

}  // namespace postern::simulate
