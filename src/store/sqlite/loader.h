#pragma once

#include <optional>
#include <vector>

#include "store/sql/columns.h"
#include "store/sqlite/fact_keys.h"
#include "store/sqlite/many.h"
#include "store/sqlite/sqlite.h"
#include "store/working_set.h"

namespace postern::store::sqlite {

/// Loads into a working set what a batch asks for. @thread that of its database
class Loader {
 public:
  /// Lifetime: database and fact keys outlive the loader. @errors as error_of
  [[nodiscard]] static Result<Loader> prepare(Database& database, FactKeys& fact_keys);

  /// @errors as error_of; kFault store_corrupt
  [[nodiscard]] Result<void> load(const KeySet& keys, WorkingSet& working);

 private:
  explicit Loader(FactKeys& fact_keys) : fact_keys_(&fact_keys) {}
  [[nodiscard]] Result<void> load_attempts(const KeySet& keys, WorkingSet& working);
  [[nodiscard]] Result<void> read_attempts(Statement& rows, WorkingSet& working);
  [[nodiscard]] Result<void> read_fact_of(sql::Columns& columns, RowId attempt,
                                          WorkingSet& working);
  [[nodiscard]] Result<const AttemptRow*> attempt_of(RowId id, WorkingSet& working);
  [[nodiscard]] Result<void> finish_order(std::optional<LoadedOrder>& order, WorkingSet& working);
  [[nodiscard]] Result<void> load_order(const core::OrderKey& key, WorkingSet& working);
  [[nodiscard]] Result<void> load_facts(const KeySet& keys, WorkingSet& working);
  /// Also notes the callback it came from.
  [[nodiscard]] Result<void> load_fact(RowId id, WorkingSet& working,
                                       std::vector<RowId>& callbacks);
  [[nodiscard]] Result<void> load_callback(RowId id, WorkingSet& working);
  [[nodiscard]] Result<void> load_message(const MessageKey& key, WorkingSet& working);

  FactKeys* fact_keys_;
  Many attempts_by_key_;
  Statement attempt_by_id_;
  Statement order_by_key_;
  Statement endpoints_busy_;
  Statement fact_by_id_;
  Statement callback_by_id_;
  Statement callback_by_message_;
};

}  // namespace postern::store::sqlite
