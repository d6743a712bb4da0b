#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "store/sqlite/many.h"
#include "store/sqlite/sqlite.h"

namespace postern::store::sqlite {

/// The unique key of facts: says which fact stands under a key, and refuses a second one.
///
/// Platforms number payments at random, so an index kept up to date with every commit would dirty
/// one page for each callback: the dearest part of a batch, in the log and again in its copy. So
/// keys are *filed* late. Those of the last `unfiled_max` facts are in memory only, by the hash of
/// the key; what is too many goes into the table `fact_keys`, a stretch of neighbouring hashes with
/// each batch, which share pages. A start reads the unfiled ones again from `facts`, where every
/// key stands since its commit.
///
/// A hash is not a key: facts of the same hash are told apart by their rows.
///
/// All of it is part of the transaction at hand: `committed` or `rolled_back` must be called at its
/// end. @thread that of its database
class FactKeys {
 public:
  using Hash = std::int64_t;

  /// Reads the unfiled keys. Lifetime: the database outlives this. @errors as error_of
  [[nodiscard]] static Result<FactKeys> open(Database& database, std::size_t unfiled_max);

  /// Stable for ever, since it is stored.
  [[nodiscard]] static Hash hash_of(const std::string& key);

  /// The facts that may stand under `keys`: all that do, and rarely another. @errors as error_of
  [[nodiscard]] Result<std::vector<RowId>> find(const std::vector<const std::string*>& keys);

  /// Takes the key of a fact whose row has been written in this transaction.
  /// @errors kRejected store_row_refused: another fact has it; else as error_of
  [[nodiscard]] Result<void> claim(const std::string& key, RowId fact);

  /// Files what is too many, a thousand or so at most. @errors as error_of
  [[nodiscard]] Result<void> file_surplus();

  void committed();
  void rolled_back();

  [[nodiscard]] std::size_t unfiled() const { return unfiled_; }

 private:
  struct Entry {
    Hash hash;
    RowId fact;
  };
  /// How far filing has come. One round goes through all drawers; when it is over, every fact that
  /// was there at its start is filed.
  struct Round {
    std::size_t drawer = 0;  ///< the next one
    RowId newest_at_start = 0;
  };

  explicit FactKeys(std::size_t unfiled_max);
  [[nodiscard]] Result<void> load_unfiled(Database& database);
  [[nodiscard]] std::vector<Entry>& drawer_of(Hash hash);
  [[nodiscard]] Result<void> find_filed(const std::vector<Hash>& hashes, std::vector<Entry>& found);
  void find_unfiled(Hash hash, std::vector<Entry>& found);
  /// @errors kRejected store_row_refused
  [[nodiscard]] Result<void> check_untaken(const std::string& key, Hash hash);
  [[nodiscard]] Result<bool> has_key(RowId fact, const std::string& key);
  [[nodiscard]] Result<void> file_next_drawer();

  std::size_t unfiled_max_;
  Many filed_by_hash_;
  Many file_;
  Statement key_of_fact_;
  Statement note_round_;

  /// By the upper bits of the hash, so that a drawer is a stretch of the table.
  std::vector<std::vector<Entry>> drawers_;
  std::size_t unfiled_ = 0;
  RowId newest_ = 0;
  Round round_;

  // Of the transaction at hand.
  std::vector<Hash> free_;  ///< sorted: asked for, and nobody's yet
  std::vector<Entry> claimed_;
  std::vector<std::size_t> drawers_filed_;
  Round round_before_;
};

}  // namespace postern::store::sqlite
