// How a batch reaches the server.
//
// Four trips: keys are locked and orders found; orders are locked and loaded; rows are written;
// then COMMIT alone, so that whatever goes wrong before it is a refusal and only what goes wrong in
// it is unknown. Connections that are lost before COMMIT was sent have written nothing.
#include "store/postgres/postgres_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "store/postgres/evidence_partitions.h"
#include "store/postgres/migrations.h"
#include "store/sql/columns.h"

namespace postern::store::postgres {
namespace {

constexpr std::size_t kTagSize = 6;
constexpr std::string_view kTagLetters = "abcdefghijkmnpqrstuvwxyz23456789";
constexpr std::chrono::milliseconds kReconnectEvery{500};
constexpr std::chrono::milliseconds kLookEvery{30'000};
constexpr std::size_t kMoreBlocks = 16;

}  // namespace

/// What lives as long as one connection.
struct PostgresEngine::Session {
  explicit Session(Connection opened) : connection(std::move(opened)) {}
  [[nodiscard]] Result<void> prepare() {
    POSTERN_ASSIGN_OR_RETURN(loader, Loader::prepare(connection));
    POSTERN_ASSIGN_OR_RETURN(writer, RowWriter::prepare(connection));
    POSTERN_ASSIGN_OR_RETURN(commit, connection.prepare("COMMIT"));
    POSTERN_ASSIGN_OR_RETURN(rollback, connection.prepare("ROLLBACK"));
    POSTERN_ASSIGN_OR_RETURN(
        time, connection.prepare("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"));
    POSTERN_ASSIGN_OR_RETURN(
        barrier, connection.prepare("SELECT pg_logical_emit_message(true, 'postern', '')"));
    return {};
  }

  Connection connection;
  std::optional<Loader> loader;
  std::optional<RowWriter> writer;
  Prepared commit, rollback, time, barrier;
  Guarantee guarantee;  ///< as it was found last
};

std::string Guarantee::text() const {
  if (synchronous_commit == "off") return "acked callbacks may be lost when the server crashes";
  if (standbys.empty() || synchronous_commit == "local") {
    return "acked callbacks are on the primary's disk; they are lost if that disk is";
  }
  if (synchronous_commit == "remote_write") {
    return "acked callbacks are on the primary's disk and in the standby's memory";
  }
  return "acked callbacks are on the disks of the primary and of a standby";
}

Result<void> check_guarantee(const Guarantee& guarantee,
                             const std::string& accept_synchronous_commit) {
  if (guarantee.fsync != "on" || guarantee.full_page_writes != "on") {
    return fault("store_option_refused",
                 "the server runs with fsync or full_page_writes off, which loses and damages "
                 "everything at power loss: turn both on");
  }
  const std::string& level = guarantee.synchronous_commit;
  if (level == "on" || level == "remote_apply" || level == accept_synchronous_commit) return {};
  return fault("store_option_refused",
               fmt::format("the server has synchronous_commit = {}: {}. Set it to on, or say "
                           "[store] accept_synchronous_commit = \"{}\"",
                           level, guarantee.text(), level));
}

Result<void> check_complete(Connection& connection) {
  POSTERN_ASSIGN_OR_RETURN(
      const Rows rows,
      connection.ask(fmt::format("SELECT 1 FROM meta WHERE name = '{}'", kCopyingMark), {}));
  if (rows.size() == 0) return {};
  return retryable(kBeingCopied,
                   "postern copy is filling the database: this goes on once it is complete. Where "
                   "no copy runs, one was interrupted: run it again");
}

ConnectOptions connect_options(const PostgresOptions& options, std::string name) {
  return {.url = options.url,
          .password = options.password,
          .name = std::move(name),
          .connect_timeout = options.connect_timeout,
          .statement_timeout = options.statement_timeout,
          .answer_timeout = options.answer_timeout};
}

PostgresEngine::PostgresEngine(PostgresOptions options, const Clock& clock, Log& log,
                               Metrics& metrics)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      commit_seconds_(metrics.histogram("postern_store_commit_seconds",
                                        "How long a commit took to reach stable storage.")),
      connected_gauge_(metrics.gauge("postern_store_connected",
                                     "Whether there is a connection to the database.")),
      reconnects_(metrics.counter("postern_store_connects_total",
                                  "Connections to the database that were opened to write.")),
      database_clock_(clock) {}

PostgresEngine::~PostgresEngine() = default;

Result<std::unique_ptr<PostgresEngine>> PostgresEngine::open(PostgresOptions options,
                                                             const Clock& clock, Random& random,
                                                             Log& log, Metrics& metrics) {
  std::unique_ptr<PostgresEngine> engine(
      new PostgresEngine(std::move(options), clock, log, metrics));
  POSTERN_RETURN_IF_ERROR(engine->set_up(random));
  return engine;
}

Result<void> PostgresEngine::set_up(Random& random) {
  {
    POSTERN_ASSIGN_OR_RETURN(Connection connection,
                             Connection::open(connect_options(options_, "postern migrate")));
    POSTERN_RETURN_IF_ERROR(migrate(connection, migrations(), Apply::kExpanding, clock_.now()));
    std::string tag;
    while (tag.size() < kTagSize) tag += kTagLetters[random.next() % kTagLetters.size()];
    // Only the first opening of the database finds no tag there.
    POSTERN_ASSIGN_OR_RETURN(const Rows inserted,
                             connection.ask("INSERT INTO meta (name, value) VALUES ('tag', "
                                            "$1::text) ON CONFLICT DO NOTHING",
                                            Parameters().add(std::string_view(tag))));
    POSTERN_ASSIGN_OR_RETURN(tag_, connection.text("SELECT value FROM meta WHERE name = 'tag'"));
  }
  const Result<void> connected = connect();
  if (connected) return {};
  if (connected.error().code != kBeingCopied) return connected;
  log_.warning("store_being_copied", {{"detail", connected.error().detail}});
  connect_next_ = clock_.monotonic() + kReconnectEvery;
  return {};
}

Result<void> PostgresEngine::connect() {
  POSTERN_ASSIGN_OR_RETURN(Connection connection,
                           Connection::open(connect_options(options_, "postern writer")));
  session_ = std::make_unique<Session>(std::move(connection));
  Result<void> ready = check_complete(session_->connection);
  if (ready) ready = check_server();
  if (ready) ready = session_->prepare();
  if (ready) ready = look_at_clock();
  if (!ready) {
    session_.reset();
    return ready;
  }
  keep_partitions();
  if (session_ == nullptr) return retryable(kUnreachable, "the connection is gone again");
  reconnects_.add();
  connected_gauge_.set(1);
  is_connected_ = true;
  return {};
}

/// Each time: another server may answer under the name, or a setting may have been changed.
Result<void> PostgresEngine::check_server() {
  Connection& connection = session_->connection;
  POSTERN_ASSIGN_OR_RETURN(
      const Rows rows,
      connection.ask("SELECT current_setting('synchronous_commit'), "
                     "current_setting('synchronous_standby_names'), current_setting('fsync'), "
                     "current_setting('full_page_writes'), current_setting('server_version'), "
                     "(SELECT value FROM meta WHERE name = 'tag'), "
                     "current_setting('server_encoding')",
                     {}));
  const Row row = rows.row(0);
  const auto text = [&row](int column) { return std::string(row.text(column)); };
  const Guarantee guarantee{.synchronous_commit = text(0),
                            .standbys = text(1),
                            .fsync = text(2),
                            .full_page_writes = text(3)};
  if (text(5) != tag_) {
    return fault("store_foreign",
                 "the server holds another store than the one this process has opened: stop it, "
                 "look where store.url leads, and start it again");
  }
  POSTERN_RETURN_IF_ERROR(check_guarantee(guarantee, options_.accept_synchronous_commit));
  if (text(6) != "UTF8") {
    return fault("store_option_refused",
                 "the database keeps texts in another encoding than UTF8, which cannot hold all "
                 "that platforms send: create one with ENCODING 'UTF8'");
  }
  if (guarantee == session_->guarantee) return {};
  session_->guarantee = guarantee;
  // What was found stays, whatever somebody makes the default meanwhile.
  POSTERN_RETURN_IF_ERROR(
      connection.run(fmt::format("SET synchronous_commit = '{}'", guarantee.synchronous_commit)));
  log_.info("store_connected", {{"server", text(4)},
                                {"synchronous_commit", guarantee.synchronous_commit},
                                {"standbys", guarantee.standbys},
                                {"guarantee", guarantee.text()}});
  return {};
}

/// A server that is not kept as it has to be any more is left, and looked for again.
Result<void> PostgresEngine::note_server() {
  Result<void> checked = check_server();
  if (!checked && session_ != nullptr) lose(checked.error());
  return checked;
}

Result<void> PostgresEngine::look_at_clock() {
  const MonotonicTime asked = clock_.monotonic();
  POSTERN_ASSIGN_OR_RETURN(const Rows rows, session_->connection.ask(session_->time, {}));
  const TimePoint shown{std::chrono::milliseconds(rows.row(0).integer(0))};
  const auto compared = database_clock_.compare(asked, shown);
  look_next_ = clock_.monotonic() +
               (compared == DatabaseClock::Compared::kYes ? kLookEvery : kReconnectEvery);
  return {};
}

void PostgresEngine::keep_partitions() {
  const Result<void> kept = note(keep_evidence_partitions(
      session_->connection, database_clock_.now(), options_.keep_evidence_days, log_));
  if (!kept) log_.warning("evidence_partitions_not_kept", {{"detail", kept.error().detail}});
}

Result<void> PostgresEngine::note(Result<void> result) {
  if (result) return result;
  const Error& error = result.error();
  if (session_ != nullptr && (!session_->connection.is_open() || error.code == kUnreachable)) {
    lose(error);
  } else if ((error.error_class == ErrorClass::kRetryable && error.code != kConflict) ||
             error.code == sql::kRowOfLaterVersion) {
    if (const auto kept_back = refusals_.admit(clock_.monotonic())) {
      log_.warning("store_batch_refused",
                   {{"code", error.code}, {"detail", error.detail}, {"not_told", *kept_back}});
    }
  }
  if (result.error().error_class == ErrorClass::kFault && !failure_) failure_ = result.error();
  return result;
}

void PostgresEngine::lose(const Error& error) {
  session_.reset();
  is_connected_ = false;
  connected_gauge_.set(0);
  connect_next_ = clock_.monotonic();
  log_.error("store_connection_lost", {{"code", error.code}, {"detail", error.detail}});
}

void PostgresEngine::reconnect() {
  if (session_ != nullptr || clock_.monotonic() < connect_next_) return;
  const Result<void> connected = connect();
  if (connected) return;
  connect_next_ = clock_.monotonic() + kReconnectEvery;
  if (const auto kept_back = refusals_.admit(clock_.monotonic())) {
    log_.warning("store_not_connected", {{"code", connected.error().code},
                                         {"detail", connected.error().detail},
                                         {"not_told", *kept_back}});
  }
}

Result<void> PostgresEngine::begin() {
  if (failure_) return std::unexpected(*failure_);
  reconnect();
  if (session_ == nullptr) return retryable(kUnreachable, "there is no connection to the database");
  blocks_.clear();
  block_ = 0;
  is_out_of_ids_ = false;
  return {};
}

Result<void> PostgresEngine::load(const KeySet& keys, WorkingSet& working) {
  // Claims are sent, not answered.
  is_answer_ = !keys.attempts.empty() || !keys.orders.empty() || !keys.messages.empty() ||
               !keys.deliveries.empty() || !keys.events.empty();
  POSTERN_RETURN_IF_ERROR(note(session_->loader->load(keys, working, blocks_)));
  if (!blocks_.empty()) last_id_ = blocks_.front() - Loader::kBlock;
  return {};
}

RowId PostgresEngine::next(Table /*table*/) {
  if (block_ < blocks_.size() && last_id_ == blocks_[block_]) {
    ++block_;
    if (block_ < blocks_.size()) last_id_ = blocks_[block_] - Loader::kBlock;
  }
  if (block_ >= blocks_.size() && session_ != nullptr && !is_out_of_ids_) {
    is_out_of_ids_ = !note(session_->loader->draw(kMoreBlocks, blocks_));
    if (block_ < blocks_.size()) last_id_ = blocks_[block_] - Loader::kBlock;
  }
  return ++last_id_;
}

Result<void> PostgresEngine::write(const Writes& writes) {
  if (session_ == nullptr || is_out_of_ids_) {
    return retryable(kUnreachable, "the connection was lost while a batch was planned");
  }
  POSTERN_RETURN_IF_ERROR(note(session_->writer->write(writes)));
  if (!is_answer_ || !writes.is_empty()) return {};
  // "As you said before" is an answer too, and what it rests on may be visible and yet not on the
  // standby. A transaction that writes nothing waits for nobody, so this one writes a word.
  const Result<Rows> written = session_->connection.ask(session_->barrier, {});
  return written ? Result<void>() : note(std::unexpected(written.error()));
}

Commit PostgresEngine::commit() {
  const MonotonicTime began = clock_.monotonic();
  Connection& connection = session_->connection;
  (void)connection.take_warning();
  const Result<Rows> committed = connection.ask(session_->commit, {});
  commit_seconds_.observe(std::chrono::duration<double>(clock_.monotonic() - began).count());
  if (!committed) {
    // The server may have it or not. What it says now tells; the next copy of the callback asks.
    (void)note(std::unexpected(committed.error()));
    if (session_ != nullptr) lose(committed.error());
    return Commit::kUnknown;
  }
  if (committed->tag() != "COMMIT") return Commit::kRefused;  // "ROLLBACK": it had failed before
  if (!connection.take_warning()) return Commit::kDone;
  // On this server, but no standby has confirmed it: waiting for one was cut short.
  log_.warning("store_commit_not_confirmed",
               {{"detail", "no standby confirmed a commit: it may be lost with the primary"}});
  return Commit::kUnknown;
}

void PostgresEngine::rollback() {
  if (session_ == nullptr) return;
  const Result<Rows> undone = session_->connection.ask(session_->rollback, {});
  if (!undone) (void)note(std::unexpected(undone.error()));
}

void PostgresEngine::tidy() {
  if (failure_) return;
  if (session_ == nullptr) return reconnect();
  if (clock_.monotonic() < look_next_) return;
  // Also tells whether the server is still there.
  if (!note(look_at_clock())) return;
  const Result<void> as_before = note_server();
  if (as_before) keep_partitions();
}

std::chrono::milliseconds PostgresEngine::tidy_every() const {
  return is_connected_ ? kLookEvery : kReconnectEvery;
}

}  // namespace postern::store::postgres
