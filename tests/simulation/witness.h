#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "delivery/commands.h"
#include "delivery/sink.h"
#include "tests/simulation/journal.h"
#include "tests/simulation/memory_store.h"
#include "tests/simulation/weather.h"

namespace postern::simulation {

/// Sees every try, what the endpoints take and what they answer, holds it against what is
/// committed, and reports each broken promise. It outlives the processes.
class Witness {
 public:
  /// Lifetime: everything outlives the witness.
  Witness(const MemoryDisk& disk, const World& world, const Weather& weather, Journal& journal);

  // What happens to the process.
  /// Something after which a try may be lost or repeated: a crash, a commit that failed, a clock
  /// that was set.
  void disturbed() { ++disturbances_; }
  void process_started();
  void process_ended();
  void faults_stopped() { is_calm_ = true; }

  // What happens to the deliveries.
  void on_try(std::size_t endpoint, const delivery::Message& message);
  void on_arrival(std::size_t endpoint, const delivery::Message& message);
  void on_answer(std::size_t endpoint, const std::string& id, const delivery::Answer& answer);
  void on_wish(store::RowId delivery, delivery::Wish wish);

  /// P6: every effect that is committed is owed to each endpoint that wants it, once.
  void check_outbox();
  /// A stopped endpoint is somebody's to mend.
  void check_gone(std::size_t endpoint);
  void check_end();

  [[nodiscard]] std::uint64_t tries() const { return tries_; }

 private:
  /// A delivery as it was seen from outside.
  struct Seen {
    std::string body, order;
    std::int64_t sequence = 0;
    std::uint64_t tries = 0, arrivals = 0, wishes = 0;
    std::size_t in_flight = 0;
    bool may_overlap = false;  ///< the last try began beside another, or with little lease left
    bool is_cancel_wished = false;
    bool is_confirmed = false;       ///< the endpoint answered that it has it
    std::int64_t tries_counted = 0;  ///< by the row, when the last try began
    /// Before that it must not be tried again, if nothing disturbs.
    std::optional<MonotonicTime> not_before;
    std::uint64_t disturbances = 0;  ///< when the last try began
  };
  /// An endpoint as one process saw it.
  struct Line {
    std::size_t in_flight = 0;
    std::size_t failures = 0;       ///< in a row
    MonotonicTime failing_since{};  ///< when it was to be left alone for the first time
    MonotonicTime left_alone_until{};
    std::chrono::milliseconds pause{0};
    bool is_gone = false;        ///< answered 410
    bool is_proven = false;      ///< took something
    bool is_calm_start = false;  ///< the process met no faults any more
  };

  [[nodiscard]] Seen& seen(std::size_t endpoint, store::RowId event);
  [[nodiscard]] const store::DeliveryRow* row_of(std::size_t endpoint,
                                                 const store::EventRow& event) const;
  void check_spacing(std::size_t endpoint, const store::DeliveryRow& row, Seen& known);
  void check_rate(std::size_t endpoint);
  void count_failure(Line& line);
  void check_ended(const store::DeliveryRow& row);
  void check_dead(const store::DeliveryRow& row);
  [[nodiscard]] bool is_open(core::IncidentKind kind, const std::string& subject) const;

  const MemoryDisk& disk_;
  const World& world_;
  const Weather& weather_;
  Journal& journal_;
  std::map<std::pair<std::size_t, store::RowId>, Seen> seen_;
  std::array<Line, kEndpoints> lines_;
  std::uint64_t disturbances_ = 0;
  std::uint64_t tries_ = 0;
  bool is_calm_ = false;
};

}  // namespace postern::simulation
