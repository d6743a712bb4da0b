#include "store/sqlite/sqlite_store.h"

#include <utility>

#include "store/batch_writer.h"
#include "store/sqlite/file_lock.h"
#include "store/sqlite/sqlite_engine.h"
#include "store/sqlite/sqlite_reader.h"

namespace postern::store::sqlite {
namespace {

class SqliteStore final : public Store {
 public:
  SqliteStore(SqliteOptions options, FileLock lock, std::unique_ptr<SqliteEngine> engine,
              const Clock& clock, Log& log, Metrics& metrics, BatchWriter::OnFailure on_failure)
      : options_(std::move(options)),
        tag_(engine->tag()),
        lock_(std::move(lock)),
        engine_(std::move(engine)),
        writer_(*engine_, *engine_,
                BatchLimits{.batch_max = options_.batch_max,
                            .queue_max = options_.queue_max,
                            .stop_timeout = options_.stop_timeout},
                clock, log, metrics, std::move(on_failure)) {}

  void submit(std::unique_ptr<Command> command) override { writer_.submit(std::move(command)); }
  bool healthy() const override { return writer_.healthy(); }
  Result<std::unique_ptr<Reader>> reader() override {
    return open_reader(options_, [this](const Error& error) { writer_.fail(error); });
  }
  const std::string& tag() const override { return tag_; }

 private:
  const SqliteOptions options_;
  const std::string tag_;
  // In this order: the writer stops first, then the file is closed, then it is given up.
  FileLock lock_;
  std::unique_ptr<SqliteEngine> engine_;
  BatchWriter writer_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(SqliteOptions options, const Clock& clock,
                                           Random& random, Log& log, Metrics& metrics,
                                           std::move_only_function<void(Error)> on_failure) {
  const bool on_host = options.vfs.empty();
  FileLock lock;
  if (on_host) {
    POSTERN_RETURN_IF_ERROR(check_only_ours(options.path));
    POSTERN_ASSIGN_OR_RETURN(lock, FileLock::take(options.path + ".lock"));
    POSTERN_RETURN_IF_ERROR(create_private_file(options.path));
  }
  POSTERN_ASSIGN_OR_RETURN(std::unique_ptr<SqliteEngine> engine,
                           SqliteEngine::open(options, clock, random, log, metrics));
  if (on_host) POSTERN_RETURN_IF_ERROR(flush_directory_of(options.path));
  return std::make_unique<SqliteStore>(std::move(options), std::move(lock), std::move(engine),
                                       clock, log, metrics, std::move(on_failure));
}

}  // namespace postern::store::sqlite
