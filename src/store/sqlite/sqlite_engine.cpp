// How the file is kept safe.
//
// SQLite writes to a log (WAL) and with synchronous=FULL flushes it before COMMIT answers; with
// NORMAL, answered commits are lost at power loss. Versions before 3.51.3 can corrupt the file when
// two connections write or checkpoint at once, so this connection is the only one that does either.
//
// It copies the log into the file itself, between batches, since SQLite's own autocheckpoint
// ignores every error it meets. And it writes all pages to the log before COMMIT: a full disk then
// shows while the batch can still be refused, and COMMIT has one page left to write.
#include "store/sqlite/sqlite_engine.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/failpoint.h"
#include "store/sql/columns.h"
#include "store/sqlite/migrations.h"

namespace postern::store::sqlite {
namespace {

constexpr int kWalResetFixed = 3051003;
constexpr int kOldest = 3037000;  // STRICT tables
constexpr std::size_t kTagSize = 6;
constexpr std::string_view kTagLetters = "abcdefghijkmnpqrstuvwxyz23456789";

constexpr std::array<std::string_view, kTables> kTableNames = {"attempts",  "orders", "facts",
                                                               "callbacks", "events", "deliveries",
                                                               "incidents", "tries",  "audit"};

void log_version(Log& log) {
  const bool fixed = sqlite3_libversion_number() >= kWalResetFixed;
  log.info("sqlite_version", {{"version", sqlite3_libversion()},
                              {"wal_reset_bug", !fixed},
                              {"rule", "one connection writes and checkpoints"}});
}

[[nodiscard]] Result<Synchronous> synchronous_of(const SqliteOptions& options) {
#ifdef POSTERN_FAILPOINTS
  return planted_fault("sync_normal") ? Synchronous::kNormal : options.synchronous;
#else
  if (options.synchronous != Synchronous::kFull) {
    return fault("store_option_refused", "synchronous=NORMAL loses payments at power loss");
  }
  return Synchronous::kFull;
#endif
}

// Runs inside COMMIT, after the pages are durable; only takes note.
int note_wal_pages(void* pages, sqlite3* /*db*/, const char* /*name*/, int count) {
  *static_cast<std::int64_t*>(pages) = count;
  return SQLITE_OK;
}

[[nodiscard]] Result<void> expect(Database& database, std::string_view pragma,
                                  std::string_view wanted) {
  POSTERN_ASSIGN_OR_RETURN(const std::string value,
                           database.text(fmt::format("PRAGMA {}", pragma)));
  if (value == wanted) return {};
  return fault("store_cannot_open",
               fmt::format("SQLite keeps {} at '{}' where '{}' is needed", pragma, value, wanted));
}

}  // namespace

Result<std::unique_ptr<SqliteEngine>> SqliteEngine::open(const SqliteOptions& options,
                                                         const Clock& clock, Random& random,
                                                         Log& log, Metrics& metrics) {
  if (sqlite3_libversion_number() < kOldest || sqlite3_threadsafe() == 0) {
    return fault("store_cannot_open", "SQLite 3.37 or newer is needed, built thread-safe");
  }
  log_version(log);
  POSTERN_ASSIGN_OR_RETURN(Database database,
                           Database::open(options.path, Access::kReadWrite, options.vfs));
  std::unique_ptr<SqliteEngine> engine(
      new SqliteEngine(std::move(database), options, clock, log, metrics));
  POSTERN_RETURN_IF_ERROR(engine->set_up(options, random));
  return engine;
}

SqliteEngine::SqliteEngine(Database database, const SqliteOptions& options, const Clock& clock,
                           Log& log, Metrics& metrics)
    : clock_(clock),
      log_(log),
      commit_seconds_(metrics.histogram("postern_store_commit_seconds",
                                        "How long a commit took to reach stable storage.")),
      wal_pages_gauge_(
          metrics.gauge("postern_store_wal_pages", "Pages in the log as of the last commit.")),
      checkpoint_pages_(options.checkpoint_pages),
      database_(std::move(database)) {
  sqlite3_wal_hook(database_.handle(), note_wal_pages, &wal_pages_);
}

SqliteEngine::~SqliteEngine() {
  // Closing copies the log into the file. After a doubt nothing may be written any more: the next
  // start reads the log and sees what is there.
  if (failure_) {
    sqlite3_db_config(database_.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }
}

Result<void> SqliteEngine::set_up(const SqliteOptions& options, Random& random) {
  POSTERN_RETURN_IF_ERROR(check_owner(database_));
  POSTERN_RETURN_IF_ERROR(set_pragmas(options));
  POSTERN_RETURN_IF_ERROR(migrate(database_, migrations(), clock_.now()));
  POSTERN_RETURN_IF_ERROR(check_not_moved());
  POSTERN_RETURN_IF_ERROR(load_tag(random));
  POSTERN_RETURN_IF_ERROR(load_ids());
  POSTERN_ASSIGN_OR_RETURN(begin_, database_.prepare("BEGIN IMMEDIATE"));
  POSTERN_ASSIGN_OR_RETURN(commit_, database_.prepare("COMMIT"));
  POSTERN_ASSIGN_OR_RETURN(rollback_, database_.prepare("ROLLBACK"));
  POSTERN_ASSIGN_OR_RETURN(fact_keys_, FactKeys::open(database_, options.unfiled_keys_max));
  POSTERN_ASSIGN_OR_RETURN(loader_, Loader::prepare(database_, *fact_keys_));
  POSTERN_ASSIGN_OR_RETURN(writer_, RowWriter::prepare(database_, *fact_keys_));
  POSTERN_ASSIGN_OR_RETURN(deliveries_, DeliveryTables::prepare(database_));
  POSTERN_ASSIGN_OR_RETURN(audit_, AuditTables::prepare(database_));
  return {};
}

Result<void> SqliteEngine::set_pragmas(const SqliteOptions& options) {
  POSTERN_ASSIGN_OR_RETURN(const Synchronous synchronous, synchronous_of(options));
  const std::string_view level = synchronous == Synchronous::kFull ? "FULL" : "NORMAL";
  // The page size counts while the file is empty only.
  const std::string script = fmt::format(
      "PRAGMA busy_timeout = 1000; PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; "
      "PRAGMA synchronous = {}; PRAGMA cache_size = -{}; PRAGMA secure_delete = OFF; "
      "PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; "
      "PRAGMA journal_size_limit = 67108864;",
      level, options.cache_kib);
  POSTERN_RETURN_IF_ERROR(database_.run(script.c_str()));
  sqlite3_db_config(database_.handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  POSTERN_RETURN_IF_ERROR(expect(database_, "journal_mode", "wal"));
  POSTERN_RETURN_IF_ERROR(expect(database_, "locking_mode", "normal"));
  return expect(database_, "synchronous", synchronous == Synchronous::kFull ? "2" : "1");
}

Result<void> SqliteEngine::check_not_moved() {
  POSTERN_ASSIGN_OR_RETURN(
      const std::string moved_to,
      database_.text(fmt::format("SELECT coalesce((SELECT value FROM meta WHERE name = '{}'), '')",
                                 kMovedMark)));
  if (moved_to.empty()) return {};
  return fault("store_moved",
               fmt::format("the store has been moved to {}: name that in store.url. This file does "
                           "not know what came since",
                           moved_to));
}

Result<void> SqliteEngine::load_tag(Random& random) {
  std::string tag;
  while (tag.size() < kTagSize) tag += kTagLetters[random.next() % kTagLetters.size()];
  // Only the first opening of the file finds no tag there.
  POSTERN_ASSIGN_OR_RETURN(
      Statement insert,
      database_.prepare("INSERT OR IGNORE INTO meta (name, value) VALUES ('tag', ?)"));
  insert.bind(tag);
  POSTERN_RETURN_IF_ERROR(insert.run());
  POSTERN_ASSIGN_OR_RETURN(tag_, database_.text("SELECT value FROM meta WHERE name = 'tag'"));
  return {};
}

Result<void> SqliteEngine::load_ids() {
  for (std::size_t i = 0; i < kTables; ++i) {
    POSTERN_ASSIGN_OR_RETURN(
        last_ids_[i], database_.integer(fmt::format("SELECT max(id) FROM {}", kTableNames[i])));
  }
  return {};
}

Result<void> SqliteEngine::note(Result<void> result) {
  if (result || failure_) return result;
  const Error& error = result.error();
  if (error.error_class == ErrorClass::kFault) failure_ = error;
  // A file has one daemon, so what no version writes is damage.
  if (error.code == sql::kRowOfLaterVersion) {
    failure_ = Error{ErrorClass::kFault, "store_corrupt", error.detail};
  }
  return result;
}

Result<void> SqliteEngine::check_in_place() {
  int moved = 0;
  const int code = sqlite3_file_control(database_.handle(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (code != SQLITE_OK || moved == 0) return {};
  return fault("store_file_replaced",
               "the store's file was moved, deleted or replaced while in use: put it back, with "
               "the -wal file beside it");
}

Result<void> SqliteEngine::begin() {
  if (failure_) return std::unexpected(*failure_);
  POSTERN_RETURN_IF_ERROR(note(check_in_place()));
  return note(begin_.run());
}

Result<void> SqliteEngine::load(const KeySet& keys, WorkingSet& working) {
  POSTERN_RETURN_IF_ERROR(note(loader_->load(keys, working)));
  POSTERN_RETURN_IF_ERROR(note(deliveries_->load(keys, working)));
  return note(audit_->load(keys, working));
}

Result<void> SqliteEngine::write(const Writes& writes) {
  POSTERN_RETURN_IF_ERROR(note(writer_->write(writes)));
  POSTERN_RETURN_IF_ERROR(note(deliveries_->write(writes)));
  POSTERN_RETURN_IF_ERROR(note(audit_->write(writes)));
  const int code = sqlite3_db_cacheflush(database_.handle());
  if (code == SQLITE_OK) return {};
  return note(std::unexpected(error_of(database_.handle(), code, "write pages to the log")));
}

Commit SqliteEngine::commit() {
  const MonotonicTime began = clock_.monotonic();
  const Result<void> committed = commit_.run();
  commit_seconds_.observe(std::chrono::duration<double>(clock_.monotonic() - began).count());
  if (committed) {
    fact_keys_->committed();
    return Commit::kDone;
  }
  // Whatever the answer was: the log may hold the commit or not, and only a new start can tell.
  failure_ = Error{ErrorClass::kFault, "store_commit_failed", committed.error().detail};
  return Commit::kUnknown;
}

void SqliteEngine::rollback() {
  fact_keys_->rolled_back();
  // Some errors make SQLite roll back by itself.
  if (!database_.in_transaction()) return;
  Result<void> undone = rollback_.run();
  if (!undone && !failure_) failure_ = std::move(undone).error();
}

void SqliteEngine::tidy() {
  if (failure_) return;
  // The log starts over by itself once all of it has been copied and nobody reads it.
  if (wal_pages_ < wal_pages_checkpointed_) wal_pages_checkpointed_ = 0;
  wal_pages_gauge_.set(static_cast<double>(wal_pages_));
  if (wal_pages_ - wal_pages_checkpointed_ < checkpoint_pages_) return;
  failpoint("checkpoint");
  const int code = sqlite3_wal_checkpoint_v2(database_.handle(), "main", SQLITE_CHECKPOINT_PASSIVE,
                                             nullptr, nullptr);
  wal_pages_checkpointed_ = wal_pages_;
  if (code == SQLITE_OK) return;
  const Result<void> copied =
      note(std::unexpected(error_of(database_.handle(), code, "copy the log into the file")));
  if (!failure_) log_.warning("store_checkpoint_refused", {{"reason", copied.error().detail}});
}

RowId SqliteEngine::next(Table table) {
  return ++last_ids_[static_cast<std::size_t>(table)];
}

}  // namespace postern::store::sqlite
