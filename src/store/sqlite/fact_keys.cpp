// fact_keys holds (hash of the key, id of the fact); meta.facts_filed says up to which id all facts
// are in it. Some later ones may be as well, when a round of filing was under way: filing them
// again changes nothing.
#include "store/sqlite/fact_keys.h"

#include <algorithm>
#include <iterator>

#include "base/failpoint.h"

namespace postern::store::sqlite {
namespace {

/// With 65,536 unfiled keys a drawer holds about as many as the largest batch brings. (Some 256:
/// the one filed next is the fullest, the one filed last is empty.)
constexpr int kDrawerBits = 9;
constexpr std::size_t kDrawers = std::size_t{1} << kDrawerBits;
/// After a start more than usual is in memory; no batch is to wait until all of that is filed.
constexpr std::size_t kFiledAtOnce = 1024;

// "check_then_act" plants a guard against doubles that sees nothing of earlier batches.
[[nodiscard]] bool facts_are_hidden() {
  return planted_fault("check_then_act");
}

}  // namespace

FactKeys::FactKeys(std::size_t unfiled_max) : unfiled_max_(unfiled_max), drawers_(kDrawers) {}

// FNV-1a: keys are signed by a platform, so nobody can choose them to collide.
FactKeys::Hash FactKeys::hash_of(const std::string& key) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : key) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  // Its upper bits, which choose the drawer, know little of the last characters.
  hash ^= hash >> 32;
  hash *= 0x9e3779b97f4a7c15;
  return static_cast<Hash>(hash);
}

Result<FactKeys> FactKeys::open(Database& database, std::size_t unfiled_max) {
  FactKeys made(unfiled_max);
  POSTERN_ASSIGN_OR_RETURN(
      made.filed_by_hash_,
      Many::prepare(database,
                    "SELECT f.hash, f.fact_id FROM (VALUES {}) k CROSS JOIN fact_keys f "
                    "WHERE f.hash = k.column1",
                    1));
  POSTERN_ASSIGN_OR_RETURN(
      made.file_,
      Many::prepare(database, "INSERT OR IGNORE INTO fact_keys (hash, fact_id) VALUES {}", 2));
  POSTERN_ASSIGN_OR_RETURN(made.key_of_fact_,
                           database.prepare("SELECT fact_key FROM facts WHERE id = ?"));
  POSTERN_ASSIGN_OR_RETURN(
      made.note_round_,
      database.prepare("INSERT INTO meta (name, value) VALUES ('facts_filed', ?) "
                       "ON CONFLICT (name) DO UPDATE SET value = excluded.value"));
  POSTERN_RETURN_IF_ERROR(made.load_unfiled(database));
  return made;
}

Result<void> FactKeys::load_unfiled(Database& database) {
  POSTERN_ASSIGN_OR_RETURN(
      Statement rows,
      database.prepare("SELECT id, fact_key FROM facts WHERE id > ifnull((SELECT CAST(value AS "
                       "INTEGER) FROM meta WHERE name = 'facts_filed'), 0) ORDER BY id"));
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, rows.step());
    if (!more) break;
    const Hash hash = hash_of(std::string(rows.text(1)));
    newest_ = rows.integer(0);
    drawer_of(hash).push_back({hash, newest_});
    ++unfiled_;
  }
  round_ = round_before_ = {.drawer = 0, .newest_at_start = newest_};
  return {};
}

std::vector<FactKeys::Entry>& FactKeys::drawer_of(Hash hash) {
  return drawers_[static_cast<std::uint64_t>(hash) >> (64 - kDrawerBits)];
}

Result<std::vector<RowId>> FactKeys::find(const std::vector<const std::string*>& keys) {
  if (facts_are_hidden()) return std::vector<RowId>();
  std::vector<Hash> hashes;
  hashes.reserve(keys.size());
  for (const std::string* key : keys) hashes.push_back(hash_of(*key));
  // In the table's order: neighbours share pages.
  std::ranges::sort(hashes);
  const auto equal = std::ranges::unique(hashes);
  hashes.erase(equal.begin(), equal.end());

  std::vector<Entry> found;
  POSTERN_RETURN_IF_ERROR(find_filed(hashes, found));
  for (const Hash hash : hashes) find_unfiled(hash, found);
  std::ranges::sort(found, {}, &Entry::hash);
  free_.clear();
  std::ranges::copy_if(hashes, std::back_inserter(free_), [&found](Hash hash) {
    return !std::ranges::binary_search(found, hash, {}, &Entry::hash);
  });
  std::vector<RowId> facts;
  facts.reserve(found.size());
  for (const Entry& entry : found) facts.push_back(entry.fact);
  std::ranges::sort(facts);
  const auto repeated = std::ranges::unique(facts);
  facts.erase(repeated.begin(), repeated.end());
  return facts;
}

Result<void> FactKeys::find_filed(const std::vector<Hash>& hashes, std::vector<Entry>& found) {
  const auto bind = [](Statement& statement, int first, Hash hash) {
    statement.bind_at(first, hash);
  };
  return filed_by_hash_.for_all(hashes, bind, [&](Statement& rows) -> Result<void> {
    while (true) {
      POSTERN_ASSIGN_OR_RETURN(const bool more, rows.step());
      if (!more) return {};
      found.push_back({rows.integer(0), rows.integer(1)});
    }
  });
}

void FactKeys::find_unfiled(Hash hash, std::vector<Entry>& found) {
  for (const Entry& entry : drawer_of(hash)) {
    if (entry.hash == hash) found.push_back(entry);
  }
}

Result<void> FactKeys::claim(const std::string& key, RowId fact) {
  const Hash hash = hash_of(key);
  const auto free = std::ranges::lower_bound(free_, hash);
  if (free != free_.end() && *free == hash) {
    // Nobody had it, and from now on this one has.
    free_.erase(free);
  } else {
    POSTERN_RETURN_IF_ERROR(check_untaken(key, hash));
  }
  drawer_of(hash).push_back({hash, fact});
  claimed_.push_back({hash, fact});
  ++unfiled_;
  newest_ = std::max(newest_, fact);
  return {};
}

Result<void> FactKeys::check_untaken(const std::string& key, Hash hash) {
  std::vector<Entry> others;
  find_unfiled(hash, others);
  POSTERN_RETURN_IF_ERROR(find_filed({hash}, others));
  for (const Entry& other : others) {
    if (facts_are_hidden()) break;
    POSTERN_ASSIGN_OR_RETURN(const bool taken, has_key(other.fact, key));
    if (taken) return rejected("store_row_refused", "another fact has the key of this one");
  }
  return {};
}

Result<bool> FactKeys::has_key(RowId fact, const std::string& key) {
  const Reading until_done(key_of_fact_);
  key_of_fact_.bind(fact);
  POSTERN_ASSIGN_OR_RETURN(const bool found, key_of_fact_.step());
  if (!found) return fault("store_corrupt", "a key is filed for a fact that does not exist");
  return key_of_fact_.text(0) == key;
}

Result<void> FactKeys::file_surplus() {
  std::size_t filed = 0;
  while (unfiled_ - filed > unfiled_max_ && filed < kFiledAtOnce) {
    filed += drawers_[round_.drawer].size();
    POSTERN_RETURN_IF_ERROR(file_next_drawer());
  }
  return {};
}

Result<void> FactKeys::file_next_drawer() {
  std::vector<Entry>& drawer = drawers_[round_.drawer];
  std::ranges::sort(drawer, {}, &Entry::hash);
  POSTERN_RETURN_IF_ERROR(
      file_.run(drawer, [](Statement& statement, int first, const Entry& entry) {
        statement.bind_from(first, entry.hash, entry.fact);
      }));
  drawers_filed_.push_back(round_.drawer);
  if (++round_.drawer < kDrawers) return {};
  const std::string filed = std::to_string(round_.newest_at_start);
  note_round_.bind(filed);
  POSTERN_RETURN_IF_ERROR(note_round_.run());
  round_ = {.drawer = 0, .newest_at_start = newest_};
  return {};
}

void FactKeys::committed() {
  for (const std::size_t drawer : drawers_filed_) {
    unfiled_ -= drawers_[drawer].size();
    drawers_[drawer].clear();
  }
  drawers_filed_.clear();
  claimed_.clear();
  free_.clear();
  round_before_ = round_;
}

void FactKeys::rolled_back() {
  for (const Entry& claimed : claimed_) {
    std::erase_if(drawer_of(claimed.hash),
                  [&](const Entry& entry) { return entry.fact == claimed.fact; });
  }
  unfiled_ -= claimed_.size();
  drawers_filed_.clear();
  claimed_.clear();
  free_.clear();
  round_ = round_before_;
}

}  // namespace postern::store::sqlite
