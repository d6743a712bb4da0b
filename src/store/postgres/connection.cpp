// libpq does the protocol; this waits for it. All waiting is a poll of the socket with a limit, so
// that a server that hangs, or a network that swallows everything, is given up in the end.
#include "store/postgres/connection.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

namespace postern::store::postgres {
namespace {

using OwnedResult = std::unique_ptr<PGresult, decltype(&PQclear)>;

/// The message of libpq or of the server, on one line.
[[nodiscard]] std::string one_line(const char* message) {
  std::string line = message == nullptr ? "" : message;
  while (!line.empty() && line.back() == '\n') line.pop_back();
  for (char& c : line) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return line;
}

/// @source PostgreSQL documentation, appendix A, "Error Codes"
[[nodiscard]] Error error_of(const PGresult* result) {
  const char* const field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view state = field == nullptr ? "" : field;
  const std::string_view kind = state.substr(0, 2);
  // The primary message alone: details quote the row.
  const char* const message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  std::string detail = fmt::format("{} ({})", one_line(message), state.empty() ? "-" : state);
  const auto error = [&detail](ErrorClass error_class, std::string_view code) {
    return Error{error_class, code, std::move(detail)};
  };
  if (kind == "22" || kind == "23" || kind == "54")
    return error(ErrorClass::kRejected, "store_row_refused");
  if (state == "40001" || state == "40P01") return error(ErrorClass::kRetryable, kConflict);
  // 57P: shut down by an administrator, crashed, starting up. 25006: it takes no writes any more,
  // so another one does.
  if (state.empty() || kind == "08" || state.starts_with("57P") || state == "25006") {
    return error(ErrorClass::kRetryable, kUnreachable);
  }
  if (kind == "XX" && state != "XX000") return error(ErrorClass::kFault, "store_corrupt");
  return error(ErrorClass::kRetryable, "store_refused_by_server");
}

/// A batch is planned in milliseconds.
constexpr std::chrono::milliseconds kIdleInTransaction{3000};
/// How long the answer to a cancelled statement is waited for.
constexpr std::chrono::milliseconds kCancelledTimeout{2000};

[[nodiscard]] std::string seconds_of(std::chrono::milliseconds time) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count());
}

}  // namespace

bool Row::is_null(int column) const {
  return PQgetisnull(result_, index_, column) != 0;
}

std::int64_t Row::integer(int column) const {
  const std::string_view bytes = text(column);
  std::uint64_t value = !bytes.empty() && (bytes.front() & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(value);
}

std::string_view Row::text(int column) const {
  return {PQgetvalue(result_, index_, column),
          static_cast<std::size_t>(PQgetlength(result_, index_, column))};
}

void Rows::Clear::operator()(pg_result* result) const {
  PQclear(result);
}

int Rows::size() const {
  return PQntuples(result_.get());
}

std::int64_t Rows::changed() const {
  return std::strtoll(PQcmdTuples(result_.get()), nullptr, 10);
}

std::string_view Rows::tag() const {
  return PQcmdStatus(result_.get());
}

struct Connection::State {
  PGconn* handle = nullptr;
  std::chrono::milliseconds answer_timeout{0};
  bool is_open = true;
  bool has_warning = false;
  std::size_t queued = 0;   ///< statements sent since the last answers
  bool is_refused = false;  ///< libpq took one of them not
  int statements = 0;       ///< prepared so far

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { PQfinish(handle); }

  static void note(void* state, const PGresult* notice) {
    const char* const severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity != nullptr && std::strcmp(severity, "WARNING") == 0) {
      static_cast<State*>(state)->has_warning = true;
    }
  }
};

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::Connection(Connection&& other) noexcept = default;
Connection& Connection::operator=(Connection&& other) noexcept = default;
Connection::~Connection() = default;

Result<Connection> Connection::open(const ConnectOptions& options) {
  // What stands behind the URL wins over what it says.
  const std::string connect_seconds = seconds_of(options.connect_timeout);
  const std::string silence = std::to_string(options.answer_timeout.count());
  std::vector<std::pair<const char*, const char*>> given = {
      {"dbname", options.url.c_str()},       {"connect_timeout", connect_seconds.c_str()},
      {"tcp_user_timeout", silence.c_str()}, {"target_session_attrs", "read-write"},
      {"client_encoding", "UTF8"},           {"application_name", options.name.c_str()}};
  const Secret password(std::string(options.password.reveal()));  // ends with a zero
  if (!password.empty()) given.emplace_back("password", password.reveal().data());
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : given) {
    names.push_back(name);
    values.push_back(value);
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  auto state = std::make_unique<State>();
  state->answer_timeout = options.answer_timeout;
  state->handle = PQconnectdbParams(names.data(), values.data(), 1);
  if (state->handle == nullptr || PQstatus(state->handle) != CONNECTION_OK) {
    return retryable(kUnreachable, one_line(PQerrorMessage(state->handle)));
  }
  PQsetNoticeReceiver(state->handle, State::note, state.get());
  // Details quote rows, and what libpq says of a lost connection may repeat an earlier error.
  PQsetErrorVerbosity(state->handle, PQERRORS_TERSE);
  Connection made(std::move(state));
  POSTERN_RETURN_IF_ERROR(made.set_up(options));
  return made;
}

/// A client that fell asleep inside a transaction, or that is not there any more, must not hold its
/// locks for long.
Result<void> Connection::set_up(const ConnectOptions& options) {
  POSTERN_RETURN_IF_ERROR(
      run(fmt::format("SET statement_timeout = {0}; SET lock_timeout = {0}; "
                      "SET idle_in_transaction_session_timeout = {1}; "
                      "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; "
                      "SET tcp_keepalives_count = 3; SET tcp_user_timeout = {0}; "
                      "SET default_transaction_isolation = 'read committed'; "
                      "SET client_min_messages = warning; SET jit = off; "
                      // Every question is about few rows by their keys. What the planner thinks
                      // of a table that was empty a minute ago must not make it read all of it.
                      "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; "
                      "SET enable_hashjoin = off; SET enable_mergejoin = off; "
                      "SET max_parallel_workers_per_gather = 0",
                      options.statement_timeout.count(), kIdleInTransaction.count())));
  state_->has_warning = false;
  if (PQsetnonblocking(state_->handle, 1) == 0 && PQenterPipelineMode(state_->handle) == 1) {
    return {};
  }
  return std::unexpected(lost("libpq cannot pipeline"));
}

Error Connection::lost(std::string_view why) {
  Error error{ErrorClass::kRetryable, kUnreachable,
              fmt::format("{}: {}", why, one_line(PQerrorMessage(state_->handle)))};
  close();
  return error;
}

void Connection::close() {
  PQfinish(std::exchange(state_->handle, nullptr));
  state_->is_open = false;
  state_->queued = 0;
}

bool Connection::is_open() const {
  return state_->is_open;
}

bool Connection::take_warning() {
  return std::exchange(state_->has_warning, false);
}

Result<void> Connection::run(const std::string& script) {
  if (!state_->is_open) return retryable(kUnreachable, "the connection is gone");
  const bool in_pipeline = PQpipelineStatus(state_->handle) != PQ_PIPELINE_OFF;
  if (in_pipeline && PQexitPipelineMode(state_->handle) != 1) {
    return std::unexpected(lost("a script in the midst of a pipeline"));
  }
  if (PQsendQuery(state_->handle, script.c_str()) != 1) return std::unexpected(lost("cannot send"));
  std::optional<Error> first;
  while (true) {
    POSTERN_RETURN_IF_ERROR(wait_until_readable());
    const OwnedResult result(PQgetResult(state_->handle), PQclear);
    if (result == nullptr) break;
    if (!first && PQresultStatus(result.get()) == PGRES_FATAL_ERROR) first = error_of(result.get());
  }
  if (PQstatus(state_->handle) != CONNECTION_OK) return std::unexpected(lost("no answer"));
  if (in_pipeline) (void)PQenterPipelineMode(state_->handle);
  if (first) return std::unexpected(*std::move(first));
  return {};
}

Result<Rows> Connection::ask(const std::string& sql, const Parameters& parameters) {
  // Under the empty name, which the next one takes over: none is left behind on the server.
  if (!state_->is_open) return retryable(kUnreachable, "the connection is gone");
  if (PQsendPrepare(state_->handle, "", sql.c_str(), 0, nullptr) != 1) {
    return std::unexpected(lost("cannot send"));
  }
  ++state_->queued;
  return ask(Prepared{}, parameters);
}

Result<std::string> Connection::text(const std::string& sql) {
  POSTERN_ASSIGN_OR_RETURN(const Rows rows, ask(sql, {}));
  if (rows.size() == 0) return fault("store_corrupt", "a row is missing: " + sql);
  return std::string(rows.row(0).text(0));
}

Result<Prepared> Connection::prepare(const std::string& sql) {
  if (!state_->is_open) return retryable(kUnreachable, "the connection is gone");
  Prepared statement{fmt::format("s{}", ++state_->statements)};
  if (PQsendPrepare(state_->handle, statement.name.c_str(), sql.c_str(), 0, nullptr) != 1) {
    return std::unexpected(lost("cannot send"));
  }
  ++state_->queued;
  POSTERN_ASSIGN_OR_RETURN(const std::vector<Rows> done, answers());
  return statement;
}

Result<Rows> Connection::ask(const Prepared& statement, const Parameters& parameters) {
  send(statement, parameters);
  POSTERN_ASSIGN_OR_RETURN(std::vector<Rows> rows, answers());
  return std::move(rows.back());
}

void Connection::send(const Prepared& statement, const Parameters& parameters) {
  if (!state_->is_open || state_->is_refused) return;
  const std::vector<std::string>& values = parameters.values();
  std::vector<const char*> pointers;
  std::vector<int> lengths;
  for (const std::string& value : values) {
    pointers.push_back(value.data());
    lengths.push_back(static_cast<int>(value.size()));
  }
  const std::vector<int> formats(values.size(), 1);
  const int taken =
      PQsendQueryPrepared(state_->handle, statement.name.c_str(), static_cast<int>(values.size()),
                          pointers.data(), lengths.data(), formats.data(), 1);
  state_->is_refused = taken != 1;
  ++state_->queued;
}

Result<std::vector<Rows>> Connection::answers() {
  if (!state_->is_open) return retryable(kUnreachable, "the connection is gone");
  if (std::exchange(state_->is_refused, false) || PQpipelineSync(state_->handle) != 1) {
    return std::unexpected(lost("cannot send"));
  }
  std::vector<Rows> all;
  all.reserve(std::exchange(state_->queued, 0));
  std::optional<Error> first;
  while (true) {
    POSTERN_RETURN_IF_ERROR(wait_until_readable());
    OwnedResult result(PQgetResult(state_->handle), PQclear);
    if (result == nullptr) {
      if (PQstatus(state_->handle) != CONNECTION_OK) return std::unexpected(lost("no answer"));
      continue;  // the end of one statement's results
    }
    switch (PQresultStatus(result.get())) {
      case PGRES_TUPLES_OK:
      case PGRES_COMMAND_OK:
        all.emplace_back(result.release());
        break;
      case PGRES_PIPELINE_SYNC:
        if (first) return std::unexpected(*std::move(first));
        return all;
      case PGRES_PIPELINE_ABORTED:
        break;  // behind the first error
      default:
        if (!first) first = error_of(result.get());
        if (PQstatus(state_->handle) != CONNECTION_OK) {
          close();
          return std::unexpected(*std::move(first));
        }
    }
  }
}

/// A COMMIT that waits for a standby is ended by nothing but a cancel, not even by its client going
/// away: it would keep its locks, and its place among the connections.
void Connection::cancel() {
  const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> handle(PQgetCancel(state_->handle),
                                                                  PQfreeCancel);
  std::array<char, 256> why{};
  if (handle != nullptr) (void)PQcancel(handle.get(), why.data(), static_cast<int>(why.size()));
}

Result<void> Connection::wait_until_readable() {
  std::chrono::milliseconds patience = state_->answer_timeout;
  while (true) {
    const int unsent = PQflush(state_->handle);
    if (unsent < 0) return std::unexpected(lost("cannot send"));
    if (PQisBusy(state_->handle) == 0) return {};
    pollfd wanted{.fd = PQsocket(state_->handle),
                  .events = static_cast<short>(unsent == 0 ? POLLIN : POLLIN | POLLOUT),
                  .revents = 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(patience.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0 && patience == state_->answer_timeout && patience > kCancelledTimeout) {
      cancel();
      patience = kCancelledTimeout;
      continue;
    }
    if (ready == 0) return std::unexpected(lost("the server does not answer"));
    if (ready < 0 || PQconsumeInput(state_->handle) != 1) {
      // What the server said before it went is still to be read: PQgetResult gives it.
      if (PQisBusy(state_->handle) == 0) return {};
      return std::unexpected(lost("no answer"));
    }
  }
}

}  // namespace postern::store::postgres
