#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "store/rows.h"

namespace postern::store {

/// Asks for deliveries of an endpoint that are ready and due, the longest due first.
struct ClaimKey {
  EndpointName endpoint;
  TimePoint due_by;
  std::size_t limit = 0;
};

/// What an endpoint owes of one order: only the head may be tried, the rest waits behind it.
struct ChainKey {
  RowId order = 0;
  EndpointName endpoint;
  friend auto operator<=>(const ChainKey&, const ChainKey&) = default;
};

/// The unfinished deliveries of a chain. More than one is ready only where somebody revived one.
struct Chain {
  std::set<RowId> ready;
  std::set<RowId> waiting;
};

/// A delivery with the event it owes.
struct LoadedDelivery {
  DeliveryRow row;
  EventRow event;
  core::OrderKey order;
};

struct Promotion {
  RowId delivery = 0;
  TimePoint due_at;
};

/// The deliveries that one batch sees, as part of a WorkingSet. @thread one
class DeliverySet {
 public:
  // For planners. Pointers stay valid until the next change.
  [[nodiscard]] const LoadedDelivery* find(RowId id) const;
  /// What was loaded for claims of the endpoint, in the order of being due.
  [[nodiscard]] const std::vector<RowId>& claimable(const EndpointName& endpoint) const;
  /// When the endpoint's next ready delivery is due that was not loaded.
  [[nodiscard]] std::optional<TimePoint> next_due(const EndpointName& endpoint) const;
  /// What stands beside a delivery that was loaded by id; nullptr where none of its chain was.
  [[nodiscard]] const Chain* chain(const ChainKey& key) const;
  /// Changes state, due time, tries, lease and reason of a loaded delivery. Where that ends it, the
  /// oldest one waiting behind it becomes ready, due `now`.
  /// @return whether its chain still owes something
  enum class ChainLeft : unsigned char { kOwes, kNothing };
  ChainLeft update(const DeliveryRow& row, TimePoint now);

  // For engines.
  void put(LoadedDelivery delivery);
  /// All unfinished deliveries of a chain; called for the chain of each delivery loaded by id.
  void put_chain(const ChainKey& key, Chain chain);
  void put_claimable(const EndpointName& endpoint, RowId id);
  void put_next_due(const EndpointName& endpoint, TimePoint due_at);
  [[nodiscard]] bool has_chain(const ChainKey& key) const { return chains_.contains(key); }

  // For the WorkingSet.
  /// Adds a row that is written by this batch.
  void note_new(const DeliveryRow& row);
  void move_out(std::vector<DeliveryRow>& added, std::vector<DeliveryRow>& changed,
                std::vector<Promotion>& promoted);

 private:
  void promote(RowId id, TimePoint now);

  std::map<RowId, LoadedDelivery> loaded_;
  std::map<EndpointName, std::vector<RowId>> claimable_;
  std::map<EndpointName, TimePoint> next_due_;
  std::map<ChainKey, Chain> chains_;
  std::vector<DeliveryRow> added_;
  std::set<RowId> changed_;
  std::map<RowId, TimePoint> promoted_;  // of rows that were not loaded
};

}  // namespace postern::store
