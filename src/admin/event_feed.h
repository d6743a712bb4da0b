#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "admin/present.h"
#include "admin/read_worker.h"
#include "admin/router.h"
#include "base/clock.h"
#include "base/metrics.h"

namespace postern::admin {

/// The longest that a request of the feed may wait.
inline constexpr std::chrono::seconds kEventWaitMax{60};

/// GET /v1/events?after=&limit=&wait=: the pull feed, oldest first, for consumers that cannot be
/// called. The cursor of an event is its id; `next_after` is where to go on, also when nothing
/// came.
///
/// With `wait` (seconds) an answer without events is put off until there is one or the time is
/// over. Who waits holds neither a thread nor the reader, only its connection; where too many wait,
/// the answer is 503 unless there are events. Stopping answers all of them with an empty page.
///
/// Lifetime: what it refers to outlives it, except the timers, which go first; `reads` has stopped
/// before it goes. @thread any
class EventFeed {
 public:
  struct Context {
    ReadWorker& reads;
    const Presenter& presenter;
    Timers& timers;
    const Clock& clock;
    Metrics& metrics;
  };
  /// Well below the requests that the listener takes at once.
  static constexpr std::size_t kWaitingMax = 128;

  explicit EventFeed(Context context, std::size_t waiting_max = kWaitingMax);
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  /// Adds the resource. The feed outlives the router's server.
  void add_to(Router& router);
  /// Something was committed: whoever waits looks again. Where nobody waits it costs one load.
  /// Never blocks; called after the commit can be read.
  void written();
  /// Nobody waits any more, now and from now on.
  void stop();

 private:
  /// One request on its way: being read for, or parked.
  struct Asking;
  using AskingPtr = std::shared_ptr<Asking>;

  void ask(const Call& call, Responder respond);
  void read(AskingPtr asking);
  void settle(const AskingPtr& asking, HttpResponse response);
  /// What follows from an empty page. The response, where it is to be answered now.
  [[nodiscard]] std::optional<HttpResponse> park(const AskingPtr& asking, HttpResponse empty);
  [[nodiscard]] HttpResponse page(const Asking& asking,
                                  const std::vector<store::EventRow>& rows) const;
  /// Has `on_time` called at `when`, or earlier. Holds the lock.
  void arm(MonotonicTime when);
  void on_time();
  /// Counts one less that may wait. Holds the lock.
  void leave(Asking& asking);

  const Context context_;
  const std::size_t waiting_max_;
  Gauge& waiting_gauge_;
  Counter& refused_;

  /// Those that may wait, being read for or parked; changed with the lock held.
  std::atomic<std::size_t> askings_ = 0;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<AskingPtr> parked_;
  std::uint64_t writings_ = 0;  ///< counted while somebody may wait
  std::optional<MonotonicTime> armed_;
  bool stopping_ = false;
};

}  // namespace postern::admin
