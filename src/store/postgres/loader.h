#pragma once

#include <vector>

#include "store/postgres/connection.h"
#include "store/postgres/round.h"
#include "store/working_set.h"

namespace postern::store::postgres {

/// Begins a transaction, takes its locks and loads what a batch asks for.
///
/// Locks, always in this order and each kind by its key, so that two nodes never wait for each
/// other in a ring:
///   1. shared, the place in the row ids that this batch will be above (see postgres_reader.h),
///   2. the keys themselves, since a row that is not there yet cannot be locked,
///   3. the orders, those of deliveries included: whoever ends a delivery makes the next one ready,
///      which must not happen beside a new event of the order,
///   4. the deliveries; those that are to be claimed only if nobody else has them.
/// Row ids are drawn behind the locks of orders, so that of one order they grow.
///
/// @thread that of its connection
class Loader {
 public:
  /// @errors as Connection
  [[nodiscard]] static Result<Loader> prepare(Connection& connection);

  /// The numbers that end blocks of `kBlock` row ids are added to `blocks`.
  /// @errors as Connection; kFault store_corrupt
  [[nodiscard]] Result<void> load(const KeySet& keys, WorkingSet& working,
                                  std::vector<RowId>& blocks);
  /// Draws further blocks in the midst of a transaction.
  [[nodiscard]] Result<void> draw(std::size_t count, std::vector<RowId>& blocks);

  static constexpr RowId kBlock = 64;

 private:
  struct Found;
  struct Read;
  explicit Loader(Connection& connection) : connection_(&connection) {}
  [[nodiscard]] Result<void> prepare_locks();
  [[nodiscard]] Result<void> prepare_orders();
  [[nodiscard]] Result<void> prepare_known();
  [[nodiscard]] Result<void> prepare_deliveries();
  /// The first trip: locks keys and learns which orders are meant.
  [[nodiscard]] Result<void> find(const KeySet& keys, Found& found);
  /// The second trip: locks these and loads what belongs to them.
  [[nodiscard]] Result<void> read(const KeySet& keys, const Found& found, WorkingSet& working,
                                  std::vector<RowId>& blocks);
  void send_order_parts(Round& round, const Found& found, Read& into);
  void send_known(Round& round, const KeySet& keys, WorkingSet& working);
  void send_claims(Round& round, const KeySet& keys, WorkingSet& working);
  [[nodiscard]] Result<void> read_applied(const KeySet& keys, WorkingSet& working);

  Connection* connection_;
  Prepared begin_, mark_, lock_keys_, draw_;
  Prepared attempts_by_key_, orders_by_key_, orders_of_deliveries_;
  Prepared orders_, attempts_, facts_, unfinished_;
  Prepared facts_by_key_, callbacks_of_facts_, callbacks_by_message_, events_, applied_;
  Prepared deliveries_, due_;
};

}  // namespace postern::store::postgres
