#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/current.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "delivery/commands.h"
#include "delivery/retry.h"
#include "delivery/sink.h"
#include "store/store.h"

namespace postern::delivery {

/// One endpoint, as the dispatcher drives it.
struct EndpointOptions {
  EndpointName name;
  std::unique_ptr<Sink> sink;
  std::size_t concurrency = 8;  ///< tries under way at once
  RetrySchedule schedule;
};

struct DispatcherOptions {
  /// Longer than any sink's own deadline. After a crash, what was being tried comes back after it.
  std::chrono::milliseconds lease{30'000};
  /// How often an endpoint is looked at that nobody woke, so that a lost hint costs time only.
  std::chrono::milliseconds look_again{1'000};
};

/// Sends what the store owes to the endpoints: claims what is due, tries it, writes what came of
/// it. Nothing is held in memory but what is being tried, however long the backlog.
///
/// Endpoints do not share anything: a slow or dead one delays itself only. Of one order an endpoint
/// gets first deliveries in sequence, since only the head is ever ready; a stuck order delays
/// itself only.
///
/// Lifetime: `stop` it before the store goes; the store's last commands still find what they need.
/// Everything else referred to outlives both.
/// @thread any
class Dispatcher {
 public:
  struct World {
    store::Store& store;
    const Clock& clock;
    Timers& timers;
    Random& random;
    Log& log;
    Metrics& metrics;
  };
  Dispatcher(std::vector<EndpointOptions> endpoints, DispatcherOptions options, World world);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// Looks at all endpoints: at the start, and whenever deliveries were written.
  void wake();
  /// Begins to drive an endpoint. One of the same name goes first, as in `remove`, with all that
  /// was known of it (failures, a 410).
  /// @thread one at a time; not inside a sink's answer. Blocks while the old sink goes
  void put(EndpointOptions endpoint);
  /// Lets an endpoint go, where there is one: what it was trying is answered and given back, what
  /// it is owed stays in the store. @thread as put
  void remove(const EndpointName& name);

  /// Lets the sinks go: no further try is begun, and those under way are answered and written.
  /// @thread not inside a sink's answer
  void stop();

  /// How an endpoint stands, for the operator.
  struct Standing {
    std::size_t in_flight = 0;
    bool breaker_open = false;
    bool gone = false;  ///< it answered 410: nothing is sent until it is changed or the next start
  };
  [[nodiscard]] std::map<std::string, Standing> standings() const;

 private:
  class Endpoint;
  using Endpoints = std::vector<std::shared_ptr<Endpoint>>;

  const DispatcherOptions options_;
  const World world_;
  Current<Endpoints> endpoints_;
};

}  // namespace postern::delivery
