#pragma once

#include "store/sqlite/sqlite.h"
#include "store/working_set.h"

namespace postern::store::sqlite {

/// Loads into a working set what a command asks for. @thread that of its database
class Loader {
 public:
  /// @errors as error_of
  [[nodiscard]] static Result<Loader> prepare(Database& database);

  /// @errors as error_of; kFault store_corrupt
  [[nodiscard]] Result<void> load(const KeySet& keys, WorkingSet& working);

 private:
  Loader() = default;
  [[nodiscard]] Result<void> load_attempt(const core::AttemptKey& key, WorkingSet& working);
  [[nodiscard]] Result<void> load_order(const core::OrderKey& key, WorkingSet& working);
  [[nodiscard]] Result<void> complete_order(LoadedOrder order, WorkingSet& working);
  [[nodiscard]] Result<void> load_facts_of(const AttemptRow& attempt, WorkingSet& working);
  [[nodiscard]] Result<void> load_fact(const std::string& key, WorkingSet& working);
  [[nodiscard]] Result<void> load_callback(RowId id, WorkingSet& working);
  [[nodiscard]] Result<void> load_message(const MessageKey& key, WorkingSet& working);

  Statement attempt_by_key_;
  Statement order_by_key_;
  Statement facts_of_order_;
  Statement facts_of_attempt_;
  Statement endpoints_busy_;
  Statement fact_by_key_;
  Statement callback_by_id_;
  Statement callback_by_message_;
};

}  // namespace postern::store::sqlite
