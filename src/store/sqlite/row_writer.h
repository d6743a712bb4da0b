#pragma once

#include "store/sqlite/fact_keys.h"
#include "store/sqlite/many.h"
#include "store/sqlite/sqlite.h"
#include "store/working_set.h"

namespace postern::store::sqlite {

/// Writes the rows of a batch. @thread that of its database
class RowWriter {
 public:
  /// Lifetime: database and fact keys outlive the writer. @errors as error_of
  [[nodiscard]] static Result<RowWriter> prepare(Database& database, FactKeys& fact_keys);

  /// @errors kRejected store_row_refused (one row cannot be written); else as error_of
  [[nodiscard]] Result<void> write(const Writes& writes);

 private:
  RowWriter(Database& database, FactKeys& fact_keys)
      : database_(&database), fact_keys_(&fact_keys) {}
  [[nodiscard]] Result<void> prepare_orders();
  [[nodiscard]] Result<void> prepare_evidence();
  [[nodiscard]] Result<void> prepare_effects();
  [[nodiscard]] Result<void> write_callbacks(const Writes& writes);
  [[nodiscard]] Result<void> write_copies(std::vector<RowId> copies);
  [[nodiscard]] Result<void> write_orders(const Writes& writes);
  [[nodiscard]] Result<void> write_attempts(const Writes& writes);
  [[nodiscard]] Result<void> write_facts(const Writes& writes);
  [[nodiscard]] Result<void> write_events(const Writes& writes);
  [[nodiscard]] Result<void> write_deliveries(const Writes& writes);
  [[nodiscard]] Result<void> write_incidents(const Writes& writes);
  /// Runs a change that must meet exactly one row.
  [[nodiscard]] Result<void> run_on_one(Statement& statement);

  Database* database_;
  FactKeys* fact_keys_;
  Many callback_;
  Statement copies_;
  Many order_new_;
  Statement order_changed_;
  Many attempt_new_;
  Statement attempt_assigned_;
  Many fact_;
  Many event_;
  Many delivery_;
  Statement incident_;
  Statement incident_resolved_;
};

}  // namespace postern::store::sqlite
