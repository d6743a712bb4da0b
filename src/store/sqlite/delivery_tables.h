#pragma once

#include "store/sqlite/many.h"
#include "store/sqlite/sqlite.h"
#include "store/working_set.h"

namespace postern::store::sqlite {

/// Claims, tries and ends of deliveries. (New ones are written with the events they owe.)
/// @thread that of its database
class DeliveryTables {
 public:
  /// Lifetime: the database outlives it. @errors as error_of
  [[nodiscard]] static Result<DeliveryTables> prepare(Database& database);

  /// Loads what `claims` and `deliveries` of `keys` name. @errors as error_of; kFault store_corrupt
  [[nodiscard]] Result<void> load(const KeySet& keys, WorkingSet& working);
  /// @errors as error_of
  [[nodiscard]] Result<void> write(const Writes& writes);

 private:
  [[nodiscard]] Result<void> load_claim(const ClaimKey& key, WorkingSet& working);
  [[nodiscard]] Result<void> load_delivery(RowId id, WorkingSet& working);
  [[nodiscard]] Result<void> load_chain(const ChainKey& key, WorkingSet& working);

  Statement due_;
  Statement by_id_;
  Statement chain_;
  Statement change_;
  Statement promote_;
  Many try_;
};

}  // namespace postern::store::sqlite
