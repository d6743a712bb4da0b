#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "channel/settings.h"
#include "ledger/ledger.h"
#include "store/store.h"

namespace postern::app {

/// A key or certificate, and when it counts.
struct CalendarEntry {
  std::string account;  ///< empty for what is nobody's, such as a listener's certificate
  std::string node;     ///< whose listener it is; empty for what all nodes share
  std::string setting;
  std::string key;  ///< its public id: fingerprint, serial number or key id
  channel::KeyWindow window;

  /// Names its incident: "account/setting/key", "setting/key" or "node/setting/key".
  [[nodiscard]] std::string subject() const;
};

/// What the accounts of `config` verify with, and what its listeners show.
/// @param node  this one, of several on one database; empty where there is one
[[nodiscard]] std::vector<CalendarEntry> calendar_of(const Config& config,
                                                     const std::string& node = {});

/// Tells how long keys still count: a figure each, and an incident for one that ends within thirty
/// days, or has ended, while nothing is listed that goes on after it. The incident is resolved when
/// something is, or when the key is listed no longer.
///
/// Lifetime: what it refers to outlives it, except the timers, which go first; what `Tell` was
/// given is called back before it goes. @thread start once; replace on any
class KeyCalendar {
 public:
  static constexpr std::chrono::hours kLookEvery{24};
  static constexpr std::chrono::days kWarnBefore{30};

  struct World {
    const Clock& clock;
    Timers& timers;
    Log& log;
    Metrics& metrics;
  };
  using Done = std::move_only_function<void(Result<void>)>;
  /// How the operator is told; neither blocks, and both call `done` some time later.
  struct Tell {
    std::function<void(std::string subject, std::string detail, Done done)> raise;
    std::function<void(std::string subject, Done done)> resolve;
  };

  KeyCalendar(World world, Tell tell) : world_(world), tell_(std::move(tell)) {}
  KeyCalendar(const KeyCalendar&) = delete;
  KeyCalendar& operator=(const KeyCalendar&) = delete;

  /// Looks at once, and daily from then on.
  /// @param open  subjects of incidents that an earlier run raised
  void start(std::vector<CalendarEntry> entries, const std::vector<std::string>& open);
  /// After the configuration was read again: looks at once.
  void replace(std::vector<CalendarEntry> entries);

 private:
  void await_next();
  void look();
  [[nodiscard]] bool has_successor(const CalendarEntry& entry) const;
  /// Sets the figures. Holds the lock.
  void show();
  /// What could not be written is told with the next look.
  [[nodiscard]] Done remember(std::string subject, bool is_raised);

  const World world_;
  const Tell tell_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<CalendarEntry> entries_;
  std::set<std::string> raised_;
  std::map<std::string, Gauge*> gauges_;
};

/// Tells by incidents of kind key_expiring. Lifetime: the ledger outlives what is returned.
[[nodiscard]] KeyCalendar::Tell tell_by(ledger::Ledger& ledger);

/// The subjects of the incidents of kind key_expiring that are not resolved, without those of other
/// nodes' listeners. @errors kRetryable store_unreadable
[[nodiscard]] Result<std::vector<std::string>> open_key_incidents(store::Store& store,
                                                                  std::string_view node = {});

}  // namespace postern::app
