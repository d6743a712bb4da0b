#pragma once

#include <vector>

#include "store/postgres/connection.h"
#include "store/postgres/round.h"
#include "store/working_set.h"

namespace postern::store::postgres {

/// Writes what a batch has changed, all of it in one trip: one statement a table, whose parameters
/// are whole columns. @thread that of its connection
class RowWriter {
 public:
  /// @errors as Connection
  [[nodiscard]] static Result<RowWriter> prepare(Connection& connection);

  /// @errors as Connection; kRejected store_row_refused
  [[nodiscard]] Result<void> write(const Writes& writes);

 private:
  explicit RowWriter(Connection& connection) : connection_(&connection) {}
  [[nodiscard]] Result<void> prepare_evidence();
  [[nodiscard]] Result<void> prepare_orders();
  [[nodiscard]] Result<void> prepare_effects();
  [[nodiscard]] Result<void> prepare_rest();
  void send_callbacks(Round& round, const std::vector<NewCallback>& rows);
  void send_copies(Round& round, std::vector<RowId> copies);
  void send_orders(Round& round, const Writes& writes);
  void send_attempts(Round& round, const Writes& writes);
  void send_facts(Round& round, const std::vector<FactRow>& rows);
  void send_events(Round& round, const std::vector<EventRow>& rows);
  void send_deliveries(Round& round, const Writes& writes);
  void send_tries(Round& round, const std::vector<TryRow>& rows);
  void send_incidents(Round& round, const Writes& writes);
  void send_audit(Round& round, const Writes& writes);

  Connection* connection_;
  Prepared callback_, evidence_, copies_, fact_;
  Prepared order_new_, order_changed_, attempt_new_, attempt_assigned_;
  Prepared event_, delivery_, delivery_changed_, delivery_promoted_, try_;
  Prepared incident_, incident_resolved_, audit_, applied_;
};

}  // namespace postern::store::postgres
