#pragma once

#include "store/sqlite/many.h"
#include "store/sqlite/sqlite.h"
#include "store/working_set.h"

namespace postern::store::sqlite {

/// What people did, and what consumers said of events. @thread that of its database
class AuditTables {
 public:
  /// Lifetime: the database outlives it. @errors as error_of
  [[nodiscard]] static Result<AuditTables> prepare(Database& database);

  /// Loads what `events` of `keys` names. @errors as error_of
  [[nodiscard]] Result<void> load(const KeySet& keys, WorkingSet& working);
  /// @errors as error_of
  [[nodiscard]] Result<void> write(const Writes& writes);

 private:
  [[nodiscard]] Result<void> load_event(RowId id, WorkingSet& working);

  Statement event_;
  Statement audit_;
  Statement applied_;
};

}  // namespace postern::store::sqlite
